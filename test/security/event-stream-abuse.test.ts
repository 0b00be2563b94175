// /bff/events under attack: a foreign page that wants to listen, an id to resume from that is somebody's session, floods and
// pipelines behind an answer that never ends. It is the session of the cookie that is told of, or nothing.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { closeEventClients, openEvents } from '../support/event-client.ts';
import { call } from '../support/http-client.ts';
import { openRaw, parseAnswers, type RawConnection } from '../support/raw-http.ts';
import { type Browser, closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const MB = 1_048_576;

let simulator: Simulator;
let gateway: TestGateway;
let browser: Browser;
const open: RawConnection[] = [];

beforeEach(async () => {
  simulator = await createSimulator();
  gateway = await startGateway(simulator);
  browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
});
afterEach(async () => {
  for (const { socket } of open.splice(0)) socket.destroy();
  closeEventClients();
  await closeGateways();
  await simulator.close();
});

async function connect(bytes: string): Promise<RawConnection> {
  const connection = await openRaw(gateway.port);
  connection.socket.on('error', () => undefined);
  open.push(connection);
  connection.socket.write(bytes);
  return connection;
}

const ask = (lines: readonly string[] = [], target = '/bff/events'): string =>
  [`GET ${target} HTTP/1.1`, `Host: 127.0.0.1:${gateway.port}`, ...lines, '', ''].join('\r\n');
const own = (): string[] => [`Cookie: ${browser.cookie}`, 'Sec-Fetch-Site: same-origin'];
const openCount = async (): Promise<number> =>
  Number(/open_streams\{kind="events"\} (\d+)/.exec(await gateway.metrics())?.[1]);

test('a foreign page hears nothing: neither by EventSource nor by fetch, with or without credentials', async () => {
  const evil = 'https://evil.test';
  for (const headers of [
    { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty', Origin: evil },
    { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
    { 'Sec-Fetch-Site': 'same-site', Origin: 'http://other.127.0.0.1' },
    { 'Sec-Fetch-Site': 'cross-site', Origin: gateway.url },
    { Origin: evil },
    { Origin: 'null' },
    { Origin: evil, 'X-CSRF': '1', Accept: 'text/event-stream' },
  ] as Record<string, string>[]) {
    const reply = await call(`${gateway.url}/bff/events`, { headers: { Cookie: `${browser.cookie}`, ...headers } });
    expect([headers, reply.status]).toEqual([headers, 403]);
    expect(reply.text).not.toContain('retry:');
    expect(JSON.stringify(reply.headers)).not.toMatch(/access-control-allow/i);
  }
  expect(await openCount()).toBe(0);
});

test('an id to resume from opens nobody’s session, starts none and is nowhere repeated', async () => {
  const victim = gateway.browser();
  await victim.login();
  const id = victim.cookie?.split('=')[1] ?? '';
  const ids = [
    id,
    '0',
    '1',
    '-1',
    '1e9',
    '999999999999999',
    '9'.repeat(40),
    '__proto__',
    '../../x',
    'a%0d%0ab',
    'x'.repeat(9_000),
  ];
  for (const lastId of ids) {
    const stranger = await call(`${gateway.url}/bff/events`, { headers: { 'Last-Event-ID': lastId } });
    expect([lastId.slice(0, 20), stranger.status, stranger.setCookies]).toEqual([lastId.slice(0, 20), 401, []]);
    const client = await openEvents(gateway.url, browser.cookie, { 'Last-Event-ID': lastId });
    expect([lastId.slice(0, 20), client.response.statusCode]).toEqual([lastId.slice(0, 20), 200]);
    expect(client.response.headers['set-cookie']).toBeUndefined();
    await until('the start', () => client.text() !== '');
    const told = client.text().replace('event: session\nid: 1\ndata: {"type":"refreshed"}\n\n', '');
    expect(told).toBe('retry: 1000\nid: 1\n\n');
    client.leave();
  }
  expect((await call(`${gateway.url}/bff/events?lastEventId=${id}&session=${id}`)).status).toBe(401);
  const planted = `${browser.cookie}; ${victim.cookie}`;
  expect((await call(`${gateway.url}/bff/events`, { headers: { Cookie: planted } })).status).toBe(401);
  // Whose session it is decides the cookie alone: the victim's end is not the listener's.
  const client = await openEvents(gateway.url, browser.cookie, { 'Last-Event-ID': id });
  expect((await victim.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
  expect((await browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
  await until('its own event', () => client.events.length > 0);
  expect(client.events.map(({ data }) => data)).toEqual([{ type: 'refreshed' }]);
  expect(gateway.logText()).not.toContain(id);
});

describe('floods', () => {
  test('two hundred listeners of one session at once: twenty listen, and every place comes back', async () => {
    const connections = await Promise.all(Array.from({ length: 200 }, () => connect(ask(own()))));
    await until('all answers', () => connections.every((each) => each.received().includes('\r\n\r\n')), 20_000);
    const statuses = connections.map((each) => Number(each.received().slice(9, 12)));
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect(statuses.filter((status) => status === 429)).toHaveLength(180);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
    for (const { socket } of connections) socket.resetAndDestroy();
    await until('the end of all', async () => (await openCount()) === 0, 20_000);
    expect((await openEvents(gateway.url, browser.cookie)).response.statusCode).toBe(200);
  }, 60_000);

  test('what is pipelined behind an answer that never ends is not answered, and not kept without end', async () => {
    const before = process.memoryUsage().rss;
    const connection = await connect(ask(own()) + ask(own(), '/bff/session').repeat(20_000));
    await until('the events', () => connection.received().includes('retry: 1000'));
    const others = await Promise.all(Array.from({ length: 5 }, () => browser.fetch('/bff/session')));
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * MB);
    await browser.fetch('/bff/logout', { method: 'POST' });
    await until('the end', () => connection.isClosed(), 10_000);
    const answers = parseAnswers(connection.received());
    expect(answers.map(({ status, whole }) => [status, whole])).toEqual([[200, true]]);
  }, 60_000);
});
