// Upgrades: a client that believes to be in a tunnel, or makes the gateway believe so, must not speak past the guards. Here
// it is the frontend's and those that go nowhere; /stream: websocket-hijacking. Finvera's data paths have none.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openRaw, parseAnswers, type RawConnection } from '../support/raw-http.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { type RawUpstream, rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { until } from '../support/until.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

let frontend: RawUpstream;
let scene: RawScene;
const open: RawConnection[] = [];

beforeEach(async () => {
  frontend = await startRawUpstream();
  scene = await startRawScene({ env: { FRONTEND: frontend.url } });
});
afterEach(async () => {
  for (const { socket } of open.splice(0)) socket.destroy();
  await scene.close();
  await frontend.close();
});

async function connect(bytes: string): Promise<RawConnection> {
  const connection = await openRaw(scene.gateway.port);
  connection.socket.on('error', () => undefined);
  open.push(connection);
  connection.socket.write(bytes);
  return connection;
}

const atFrontend = (): string[] => frontend.requests().map(({ target }) => target);

describe('an upgrade to what nobody upgrades to', () => {
  test.each([
    ['h2c', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA']],
    ['TLS', ['Connection: Upgrade', 'Upgrade: TLS/1.2']],
    ['a list', ['Connection: Upgrade', 'Upgrade: h2c, websocket']],
    ['websocket without Connection', ['Upgrade: websocket', 'Sec-WebSocket-Version: 13']],
  ])('%s is ignored: the request passes every guard, is answered as any other, and closes', async (_what, lines) => {
    const { statuses, closed } = await scene.exchange(
      scene.request('GET', '/delivery/x', lines) + scene.request('GET', '/delivery/y'),
    );
    expect({ statuses, closed }).toEqual({ statuses: [200], closed: true });
    expect(scene.upstream.requests()[0]?.lines.join('\n')).not.toMatch(/upgrade|http2|sec-websocket/i);
    const before = scene.upstream.requests().length;
    const body = await scene.exchange(
      scene.request('POST', '/delivery/x', [...lines, `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
    );
    expect(body.statuses).toEqual([200]);
    expect(
      scene.upstream
        .requests()
        .slice(before)
        .map((request) => request.body),
    ).toEqual([SMUGGLED]);
    const anonymous = await scene.exchange(['GET /delivery/x HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n'));
    expect(anonymous.statuses).toEqual([401]);
  });

  test('websocket on a path of the gateway’s is refused as a whole answer, closed, and nothing goes on', async () => {
    for (const target of [
      '/bff/session',
      '/bff/login',
      '/delivery/x',
      '/health',
      '/kms/api/v1/auth/token',
      '/bff',
      '/%62ff/session',
      '/%64elivery/x',
    ]) {
      const connection = await connect(scene.request('GET', target, WEBSOCKET) + SMUGGLED);
      await until('the end', () => connection.isClosed());
      const answers = parseAnswers(connection.received());
      expect([target, answers.length, answers[0]?.whole, (answers[0]?.status ?? 0) >= 400]).toEqual([
        target,
        1,
        true,
        true,
      ]);
      expect(answers[0]?.values('content-type')).toEqual(['application/problem+json; charset=utf-8']);
    }
    expect([scene.upstream.requests(), atFrontend()]).toEqual([[], []]);
  });

  test.each([
    'http://evil.test/hmr',
    '//evil.test/hmr',
    '/hmr/../bff/session',
    '/hmr/%2e%2e/x',
    '/hmr#x',
    '/hmr%00',
    '*',
    'hmr',
  ])('websocket to %s is 400 and goes nowhere', async (target) => {
    const connection = await connect(scene.request('GET', target, WEBSOCKET));
    await until('the end', () => connection.isClosed());
    expect(parseAnswers(connection.received()).map(({ status }) => status)).toEqual([400]);
    expect(atFrontend()).toEqual([]);
  });

  test('with two Hosts, a framing of its own or a loop is refused before it goes anywhere', async () => {
    for (const lines of [
      ['Host: evil.test'],
      ['Via: 1.1 finvera-gateway'],
      Array.from({ length: 300 }, () => 'a: b'),
    ]) {
      const connection = await connect(scene.request('GET', '/hmr', [...WEBSOCKET, ...lines]));
      await until('the end', () => connection.isClosed());
      expect(parseAnswers(connection.received())[0]?.status).toBeGreaterThanOrEqual(400);
    }
    expect(atFrontend()).toEqual([]);
  });
});

describe('an upgrade that the frontend refuses', () => {
  test.each([
    ['426', rawAnswer('no', ['Sec-WebSocket-Version: 13'], '426 Upgrade Required')],
    ['400', rawAnswer('no', [], '400 Bad Request')],
    ['200', rawAnswer('page')],
    ['302', rawAnswer('', ['Location: /x'], '302 Found')],
  ])('with %s is no tunnel: what the client sends on reaches nobody', async (status, answer) => {
    frontend.answer(answer);
    const connection = await connect(scene.request('GET', '/hmr', WEBSOCKET) + SMUGGLED);
    await until('the refusal', () => connection.received().startsWith(`HTTP/1.1 ${status}`));
    connection.socket.write(SMUGGLED.repeat(3));
    // A request of somebody else goes its whole way meanwhile.
    frontend.answer(rawAnswer('page'));
    expect((await scene.browser.fetch('/page')).text).toBe('page');
    expect(atFrontend()).toEqual(['/hmr', '/page']);
    expect(scene.upstream.requests()).toEqual([]);
  });
});

test('an answer 101 that nobody asked for opens no tunnel to Finvera', async () => {
  scene.upstream.answer('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  const connection = await connect(
    scene.request('POST', '/delivery/x', ['Content-Length: 0', 'Upgrade: websocket']) + SMUGGLED,
  );
  await until('the answer', () => connection.received().includes('502'));
  expect(scene.upstream.received()).not.toContain('/smuggled');
});
