// Several requests on one connection: answers in order, each with its own identity, none that is nobody's, and no way for
// one client to take the connections of all others (RFC 9112 §9.3.2, ATK-M14).
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { parseAnswers } from '../support/raw-http.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { accessTokenOf, rawAnswer } from '../support/raw-upstream.ts';
import { until } from '../support/until.ts';

const ALICE = 'alice@finvera.test';
const BOB = 'bob@finvera.test';

let scene: RawScene;
let alice: string[];
let bob: string[];

beforeAll(async () => {
  scene = await startRawScene();
  [alice, bob] = [await scene.loginAs(ALICE), await scene.loginAs(BOB)];
});
afterAll(() => scene.close());
beforeEach(() =>
  scene.upstream.answerBy(({ target, values }) => rawAnswer(`${target} ${values('authorization')[0]?.slice(7)}`)),
);

const get = (target: string, lines: readonly string[]): string =>
  [`GET ${target} HTTP/1.1`, 'Host: 127.0.0.1', ...lines, '', ''].join('\r\n');

describe('two identities on one connection', () => {
  test('are never mixed, and the answers keep the order of the requests', async () => {
    // The first ones take longest at Finvera.
    scene.upstream.answerBy(({ target, values }) => (socket) => {
      const answer = rawAnswer(`${target} ${values('authorization')[0]?.slice(7)}`);
      setTimeout(() => socket.write(answer), 50 - 5 * Number(target.split('/').at(-1)));
    });
    const targets = Array.from({ length: 10 }, (_, i) => `/delivery/${i}`);
    const { answers } = await scene.exchange(targets.map((target, i) => get(target, i % 2 ? bob : alice)).join(''), 10);
    expect(answers.map(({ body }) => body)).toEqual(
      targets.map((target, i) => `${target} ${accessTokenOf(i % 2 ? BOB : ALICE)}`),
    );
  });

  test('with none between them: it gets nothing of either', async () => {
    const bytes =
      get('/delivery/1', alice) +
      get('/delivery/2', []) +
      get('/delivery/3', bob) +
      get('/bff/session', []) +
      get('/bff/session', alice);
    const { answers } = await scene.exchange(bytes, 5);
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 200, 401, 200]);
    expect(answers[4]?.body).toContain(ALICE);
    expect(answers[0]?.body).toContain(accessTokenOf(ALICE));
    expect(answers[2]?.body).toContain(accessTokenOf(BOB));
  });

  test('of whom one leaves half-way: the other’s answers stay the other’s', async () => {
    const leaving = await scene.open();
    scene.upstream.answerBy(({ target, values }) =>
      target.includes('hang') ? () => undefined : rawAnswer(`${target} ${values('authorization')[0]?.slice(7)}`),
    );
    leaving.socket.write(get('/delivery/hang', alice) + get('/delivery/hang', alice));
    await until(
      'both at Finvera',
      () => scene.upstream.requests().filter(({ target }) => target.includes('hang')).length === 2,
    );
    leaving.socket.resetAndDestroy();
    for (let i = 0; i < 10; i += 1) {
      const { answers } = await scene.exchange(get(`/delivery/${i}`, bob));
      expect(answers[0]?.body).toBe(`/delivery/${i} ${accessTokenOf(BOB)}`);
    }
  });
});

describe('what cannot be read, behind a request that is being answered', () => {
  test('is never put into the answer: the connection is cut', async () => {
    scene.upstream.answer('HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nthe beginning');
    const connection = await scene.open();
    connection.socket.write(get('/delivery/x', alice));
    await until('the beginning', () => connection.received().endsWith('the beginning'));
    connection.socket.write('garbage\r\n\r\n');
    await until('the end', () => connection.isClosed());
    expect(connection.received()).toMatch(/\r\n\r\nthe beginning$/);
    expect(parseAnswers(connection.received())).toMatchObject([{ status: 200, whole: false }]);
  });

  test('never overtakes the answer, nor is taken for it', async () => {
    scene.upstream.answer(() => undefined);
    const connection = await scene.open();
    const asked = scene.upstream.requests().length;
    connection.socket.write(get('/delivery/x', alice));
    await until('the request at Finvera', () => scene.upstream.requests().length > asked);
    connection.socket.write('garbage\r\n\r\n');
    await until('the end', () => connection.isClosed());
    expect(connection.received()).toBe('');
  });

  test('leads to no second answer after the one that closed', async () => {
    const { text } = await scene.exchange(
      scene.request('POST', '/delivery/x', ['Transfer-Encoding: gzip, chunked'], '0\r\n\r\ngarbage\r\n\r\n'),
    );
    expect(text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 501']);
  });
});

describe('one client with many requests at once', () => {
  afterEach(() => scene.upstream.answer(rawAnswer()));

  test('on one connection gets 503 with Retry-After beyond sixteen, and others are served', async () => {
    const waiting: (() => void)[] = [];
    scene.upstream.answerBy(({ target }) =>
      target.includes('slow') ? (socket) => waiting.push(() => socket.write(rawAnswer('slow'))) : rawAnswer('served'),
    );
    const connection = await scene.open();
    connection.socket.write(get('/delivery/slow', alice).repeat(300));
    await until('sixteen at Finvera', () => waiting.length === 16);
    for (let i = 0; i < 5; i += 1)
      expect((await scene.exchange(get('/delivery/x', bob))).answers[0]?.body).toBe('served');
    expect(waiting).toHaveLength(16);
    scene.upstream.answer(rawAnswer('served'));
    for (const release of waiting) release();
    await until('all answers', () => connection.received().match(/HTTP\/1\.1 \d/g)?.length === 300);
    const answers = parseAnswers(connection.received());
    const refused = answers.filter(({ status }) => status === 503);
    // Node reads on only as answers go out: how many are refused depends on its buffers.
    expect(refused.length).toBeGreaterThan(10);
    expect(answers.every(({ status }) => status === 200 || status === 503)).toBe(true);
    for (const { values, body } of refused) {
      expect(values('retry-after')).toEqual(['1']);
      expect(JSON.parse(body).code).toBe('upstream_unavailable');
    }
    connection.socket.destroy();
  });
});
