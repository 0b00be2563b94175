// One user with a session who wants everything: as many slow calls as there are connections, or calls that Finvera cannot
// answer. They wait, and are refused, alone; everybody else is served.
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { rawAnswer } from '../support/raw-upstream.ts';
import { until } from '../support/until.ts';

const SHARE = 128;

let scene: RawScene;
const sockets: Socket[] = [];

beforeAll(async () => {
  scene = await startRawScene();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => scene.close());

/** Requests of a page, each on a connection of its own. @returns what has been answered so far. */
function sendAll(count: number, request: (index: number) => string): () => number[] {
  const answers = new Array<string>(count).fill('');
  for (let i = 0; i < count; i += 1) {
    const socket = connect(scene.gateway.port, '127.0.0.1', () => socket.write(request(i)));
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      answers[i] += String(chunk);
    });
    sockets.push(socket);
  }
  return () => answers.filter((answer) => answer !== '').map((answer) => Number(answer.slice(9, 12)));
}

const get = (target: string, lines: readonly string[]): string =>
  [`GET ${target} HTTP/1.1`, 'Host: 127.0.0.1', ...lines, '', ''].join('\r\n');

const hangsAtFinvera = (name: string): number =>
  scene.upstream.requests().filter(({ target }) => target.includes(name)).length;

/** Calls whose path has this name wait; the returned function answers them all, and those to come. */
function hold(name: string): () => void {
  let isHeld = true;
  const held: Socket[] = [];
  scene.upstream.answerBy(({ target }) =>
    isHeld && target.includes(name) ? (socket) => void held.push(socket) : rawAnswer(),
  );
  return () => {
    isHeld = false;
    for (const socket of held.splice(0)) socket.write(rawAnswer());
  };
}

describe('a user with more calls at once than Finvera has connections', () => {
  test('waits behind themselves, is answered in the end, and others are served meanwhile', async () => {
    const greedy = await scene.loginAs('greedy@finvera.test');
    const release = hold('slow');
    const answered = sendAll(600, (i) => get(`/delivery/slow/${i}`, greedy));
    await until('the share to be used', () => hangsAtFinvera('/slow/') === SHARE);
    for (let i = 0; i < 20; i += 1) expect((await scene.browser.fetch('/delivery/other')).status).toBe(200);
    expect(hangsAtFinvera('/slow/')).toBe(SHARE);
    expect(answered()).toEqual([]);
    release();
    await until('all answers', () => answered().length === 600);
    expect(answered().every((status) => status === 200)).toBe(true);
    expect(hangsAtFinvera('/slow/')).toBe(600);
  }, 60_000);

  test('sends nothing any more for a session that ended while its request waited', async () => {
    const email = 'leaving@finvera.test';
    const leaving = await scene.loginAs(email);
    const staying = await scene.loginAs(email);
    const release = hold('stay');
    const first = sendAll(SHARE, (i) => get(`/delivery/stay/${i}`, staying));
    await until('the share to be used', () => hangsAtFinvera('/stay/') === SHARE);
    const second = sendAll(1, () => get('/delivery/too-late', leaving));
    // The logout is read after the request before it on the same listener.
    const { statuses } = await scene.exchange(
      ['POST /bff/logout HTTP/1.1', 'Host: 127.0.0.1', 'Content-Length: 0', ...leaving, '', ''].join('\r\n'),
    );
    expect(statuses).toEqual([204]);
    expect(second()).toEqual([]);
    release();
    await until('all answers', () => first().length === SHARE && second().length === 1);
    expect(second()).toEqual([401]);
    expect(hangsAtFinvera('/too-late')).toBe(0);
  }, 60_000);

  test('gives back the places of requests whose browser left', async () => {
    const greedy = await scene.loginAs('breaking-off@finvera.test');
    const release = hold('left');
    sendAll(300, (i) => get(`/delivery/left/${i}`, greedy));
    await until('the share to be used', () => hangsAtFinvera('/left/') === SHARE);
    for (const socket of sockets.splice(0)) socket.destroy();
    const again = sendAll(SHARE, (i) => get(`/delivery/again/${i}`, greedy));
    await until('all answers', () => again().length === SHARE);
    expect(again().every((status) => status === 200)).toBe(true);
    release();
  }, 60_000);
});

test('a user whose calls Finvera cannot answer is refused alone, and others are served', async () => {
  const failing = await scene.loginAs('failing@finvera.test');
  scene.upstream.answerBy(({ target }) =>
    target.includes('broken') ? (socket) => void socket.resetAndDestroy() : rawAnswer(),
  );
  const fail = async () => {
    const request = ['POST /delivery/broken HTTP/1.1', 'Host: 127.0.0.1', 'Content-Length: 0', ...failing, '', ''];
    return (await scene.exchange(request.join('\r\n'))).statuses[0];
  };
  const statuses: (number | undefined)[] = [];
  for (let i = 0; i < 60; i += 1) statuses.push(await fail());
  expect(statuses.slice(0, 20)).toEqual(new Array(20).fill(502));
  // Some get through later, as tries: the rest is refused here.
  expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(10);
  for (let i = 0; i < 20; i += 1) expect((await scene.browser.fetch('/delivery/other')).status).toBe(200);
  expect(await scene.gateway.metrics()).toContain('finvera_gateway_breaker_state{upstream="data"} 0');
}, 60_000);
