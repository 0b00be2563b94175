// Answers before the request's body has come: what follows must never be read as a next request (RFC 9112 §9.3), and
// nobody is told to go on (RFC 9110 §10.1.1) whose request is refused anyway.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { rawAnswer } from '../support/raw-upstream.ts';
import { until } from '../support/until.ts';

const PATH = '/delivery/api/v1/events';
const SMUGGLED = 'GET /delivery/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene({
    env: { MAX_BODY_BYTES: '1kb', LOGIN_LIMIT_ADDRESS: '1/15m', FINVERA_BODY_TIMEOUT: '2s' },
  });
});
afterAll(() => scene.close());
beforeEach(() => scene.upstream.answer(rawAnswer()));

const withoutSession = (method: string, target: string, lines: readonly string[], body: string) =>
  [`${method} ${target} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: keep-alive', ...lines, '', body].join('\r\n');

const REFUSALS = [
  ['401 without a session', 'POST', PATH, []],
  ['401 with a cookie that is none', 'POST', PATH, ['Cookie: __Host-finvera_session=x', 'Sec-Fetch-Site: same-origin']],
  ['403 from another site', 'POST', PATH, ['Sec-Fetch-Site: cross-site', 'Origin: https://evil.test']],
  ['404 on a path that is nobody’s', 'POST', '/nothing', []],
  ['405 on a method the path does not take', 'PUT', '/bff/session', []],
  ['400 on a path that is refused', 'POST', '/delivery/%2e%2e/x', []],
  ['415 on a login that is no JSON', 'POST', '/bff/login', ['Content-Type: text/plain']],
  ['200 on a path that reads no body', 'GET', '/health/live', []],
  ['204 on a logout', 'POST', '/bff/logout', []],
  ['404 on an upgrade', 'GET', '/stream-of-nobody', ['Connection: Upgrade', 'Upgrade: websocket']],
] as const;

describe('an answer before the body', () => {
  test.each(REFUSALS)('%s: the body is no second request', async (name, method, target, lines) => {
    const before = scene.upstream.requests().length;
    const withAll = await scene.exchange(
      withoutSession(method, target, [...lines, `Content-Length: ${SMUGGLED.length}`], SMUGGLED + SMUGGLED),
    );
    expect(withAll.statuses[0]).toBe(Number(name.slice(0, 3)));
    // One answer to one request; where the connection stays, the second one is answered as what it is.
    expect(withAll.statuses.length).toBeLessThanOrEqual(2);
    const withPart = await scene.exchange(
      withoutSession(method, target, [...lines, `Content-Length: ${SMUGGLED.length + 500}`], SMUGGLED),
    );
    expect([withPart.statuses, withPart.closed]).toEqual([[Number(name.slice(0, 3))], true]);
    const chunk = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n`;
    const inChunks = await scene.exchange(
      withoutSession(method, target, [...lines, 'Transfer-Encoding: chunked'], chunk),
    );
    expect([inChunks.statuses, inChunks.closed]).toEqual([[Number(name.slice(0, 3))], true]);
    expect(scene.upstream.requests()).toHaveLength(before);
  });

  test('413, announced and while it comes, closes the connection', async () => {
    const announced = await scene.exchange(scene.request('POST', PATH, ['Content-Length: 2000'], SMUGGLED));
    expect([announced.statuses, announced.closed]).toEqual([[413], true]);
    const chunk = `400\r\n${'x'.repeat(1_024)}\r\n`;
    const coming = await scene.exchange(
      scene.request(
        'POST',
        PATH,
        ['Transfer-Encoding: chunked'],
        `${chunk.repeat(2)}${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n`,
      ),
    );
    expect([coming.statuses, coming.closed]).toEqual([[413], true]);
    expect(scene.upstream.received()).not.toContain('smuggled');
  });

  test('429 to a login is no reason to read its body as a request', async () => {
    const body = JSON.stringify({ email: 'a@b.test', password: 'wrong' });
    const lines = ['Content-Type: application/json', `Content-Length: ${body.length}`];
    const request = withoutSession('POST', '/bff/login', lines, body);
    let last = await scene.exchange(request + SMUGGLED, 2);
    for (let i = 0; i < 3 && last.statuses[0] !== 429; i += 1) last = await scene.exchange(request + SMUGGLED, 2);
    expect(last.statuses).toEqual([429, 401]);
  });

  test('of Finvera’s ends the upload, and the connection with it', async () => {
    scene.upstream.answer(rawAnswer());
    const connection = await scene.open();
    connection.socket.write(scene.request('POST', PATH, ['Content-Length: 900'], 'begin'));
    await until('the beginning at Finvera', () => scene.upstream.received().endsWith('begin'));
    scene.upstream.interject(rawAnswer('too much', [], '413 Content Too Large'));
    await until('the end', () => connection.isClosed());
    expect(connection.received()).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close[\s\S]*too much$/);
    // What the connection to Finvera still waited for is never filled with another's request.
    expect((await scene.browser.fetch('/delivery/next')).text).toBe('ok');
    expect(scene.upstream.requests().at(-1)?.line).toBe('GET /delivery/next HTTP/1.1');
  });
});

describe('Expect: 100-continue', () => {
  const EXPECT = 'Expect: 100-continue';

  test.each(REFUSALS.filter(([name]) => !/^20|upgrade/.test(name)))(
    'with %s gets that answer at once, without a 100',
    async (name, method, target, lines) => {
      const before = scene.upstream.requests().length;
      const { statuses, closed } = await scene.exchange(
        withoutSession(method, target, [...lines, EXPECT, `Content-Length: ${SMUGGLED.length}`], ''),
      );
      expect({ statuses, closed }).toEqual({ statuses: [Number(name.slice(0, 3))], closed: true });
      expect(scene.upstream.requests()).toHaveLength(before);
    },
  );

  test('gets one 100 once every guard has passed, and does not reach Finvera', async () => {
    const connection = await scene.open();
    connection.socket.write(scene.request('POST', PATH, [EXPECT, 'Content-Length: 5']));
    await until('the 100', () => connection.received() === 'HTTP/1.1 100 Continue\r\n\r\n');
    connection.socket.write('hello');
    await until('the answer', () => connection.received().endsWith('ok'));
    connection.socket.destroy();
    expect(connection.received().match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200']);
    const last = scene.upstream.requests().at(-1);
    expect([last?.body, last?.values('expect')]).toEqual(['hello', []]);
  });

  test.each(['y 100-continue', '100-continue, y', '200-ok', 'x', '100-continued'])(
    'that reads %j cannot be met: 417, closed, the body is no request',
    async (expectation) => {
      const before = scene.upstream.requests().length;
      const { statuses, closed } = await scene.exchange(
        scene.request('POST', PATH, [`Expect: ${expectation}`, `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
      );
      expect({ statuses, closed }).toEqual({ statuses: [417], closed: true });
      expect(scene.upstream.requests()).toHaveLength(before);
    },
  );

  test('of HTTP/1.0 is ignored', async () => {
    const request = scene.request('POST', PATH, [EXPECT, 'Content-Length: 5'], 'hello').replace('HTTP/1.1', 'HTTP/1.0');
    const { statuses, closed } = await scene.exchange(request);
    expect({ statuses, closed }).toEqual({ statuses: [200], closed: true });
  });

  test('whose body never comes ends with 408, and closed', async () => {
    const { statuses, closed } = await scene.exchange(scene.request('POST', PATH, [EXPECT, 'Content-Length: 5']));
    expect({ statuses, closed }).toEqual({ statuses: [100, 408], closed: true });
  });
});
