// /stream under attack, in bytes: a foreign page's handshake with the cookie attached (cross-site WebSocket hijacking),
// planted cookies, credentials smuggled as sub-protocols, targets and framings of another meaning, and what a client
// sends on in the belief of a tunnel. Whatever is refused reaches the upstream not at all.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { openRaw, parseAnswers, type RawConnection } from '../support/raw-http.ts';
import { openStream } from '../support/stream-client.ts';
import {
  closeStreamScenes,
  type StreamScene,
  type StreamSceneOptions,
  startStreamScene,
} from '../support/stream-scene.ts';
import { until } from '../support/until.ts';

const SMUGGLED = 'GET /delivery/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const VERSION = 'Sec-WebSocket-Version: 13';
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'];

let simulator: Simulator;
let scene: StreamScene;
const open: RawConnection[] = [];

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  for (const { socket } of open.splice(0)) socket.destroy();
  await closeStreamScenes();
  await simulator.close();
});

async function start(options: StreamSceneOptions = {}): Promise<void> {
  scene = await startStreamScene(simulator, options);
}

async function connect(bytes: string | Buffer): Promise<RawConnection> {
  const connection = await openRaw(scene.gateway.port);
  connection.socket.on('error', () => undefined);
  open.push(connection);
  connection.socket.write(bytes);
  return connection;
}

/** The logged-in page's own handshake, but for what the test says. */
function handshake(changes: {
  readonly request?: string;
  readonly host?: readonly string[];
  readonly cookie?: readonly string[];
  readonly origin?: readonly string[];
  readonly socket?: readonly string[];
  readonly more?: readonly string[];
}): string {
  const {
    request = 'GET /stream HTTP/1.1',
    host = [`Host: 127.0.0.1:${scene.gateway.port}`],
    cookie = [`Cookie: ${scene.browser.cookie}`],
    origin = [`Origin: ${scene.gateway.url}`],
    socket = [...UPGRADE, VERSION, KEY],
    more = [],
  } = changes;
  return [request, ...host, ...cookie, ...origin, ...socket, ...more, '', ''].join('\r\n');
}

/** What RFC 6455 §4.2.2 makes of a key. */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** Sends it with a request behind it: one answer, the end of the connection, and nobody was called. */
async function refused(bytes: string): Promise<number> {
  const asked = simulator.requests().length;
  const connection = await connect(bytes + SMUGGLED);
  await until('the end', () => connection.isClosed(), 10_000);
  const answers = parseAnswers(connection.received(), bytes.startsWith('HEAD ') ? [0] : []);
  expect(answers.map(({ whole }) => whole)).toEqual([true]);
  expect(answers[0]?.values('connection')).toEqual(['close']);
  expect(scene.upstream.handshakes).toEqual([]);
  expect(simulator.requests()).toHaveLength(asked);
  return answers[0]?.status ?? 0;
}

describe('a handshake with the session’s cookie', () => {
  test('from a foreign page opens nothing, however the origin is spelled and whatever else it says', async () => {
    await start();
    const own = scene.gateway.url;
    const { port } = scene.gateway;
    const foreign = [
      [],
      ['Origin: null'],
      ['Origin:'],
      ['Origin: https://evil.test'],
      [`Origin: ${own}.evil.test`],
      [`Origin: http://evil-127.0.0.1:${port}`],
      [`Origin: ${own}/`],
      [`Origin: ${own}@evil.test`],
      [`Origin: http://evil.test#${own}`],
      [`Origin: ws://127.0.0.1:${port}`],
      [`Origin: http://127.0.0.1:${port}0`],
      ['Origin: http://127.0.0.1'],
      [`Origin: http://localhost:${port}`],
      [`Origin: http://[::ffff:127.0.0.1]:${port}`],
      ['Origin: file://'],
      ['Origin: chrome-extension://abc'],
      [`Origin: ${own}, https://evil.test`],
      [`Origin: ${own} https://evil.test`],
      ['Origin: https://evil.test', `Origin: ${own}`],
      [`Sec-WebSocket-Origin: ${own}`],
      [`Referer: ${own}/`],
      ['X-CSRF: 1'],
      ['Origin: https://evil.test', 'X-CSRF: 1', `X-Forwarded-Host: evil.test`, 'Forwarded: host=evil.test'],
      ['Origin: https://evil.test', 'Connection: origin'],
      ['Origin: https://evil.test', 'Sec-Fetch-Site: none', 'Sec-Fetch-Mode: websocket'],
      ['Origin: https://evil.test', 'Sec-Fetch-Site: none, same-origin'],
      ['Origin: https://evil.test', 'Sec-Fetch-Site: Same-Origin'],
      [`Origin: ${own}`, 'Sec-Fetch-Site: cross-site'],
      [`Origin: ${own}`, 'Sec-Fetch-Site: same-site'],
      ['Sec-Fetch-Site: same-origin'],
    ];
    for (const origin of foreign) expect([origin, await refused(handshake({ origin }))]).toEqual([origin, 403]);
    const refusals = scene.gateway.auditLines().filter(({ event }) => event === 'origin_refused');
    expect(refusals).toHaveLength(foreign.length);
  });

  test('is measured by PUBLIC_URL alone where there is one, not by the Host that it names', async () => {
    await start({ gateway: { env: { PUBLIC_URL: 'https://app.finvera.test' } } });
    for (const host of ['evil.test', 'app.finvera.test', `127.0.0.1:${scene.gateway.port}`]) {
      const foreign = handshake({ host: [`Host: ${host}`], origin: [`Origin: http://${host}`] });
      expect([host, await refused(foreign)]).toEqual([host, 403]);
    }
    const connection = await connect(handshake({ origin: ['Origin: https://app.finvera.test'] }));
    await until('the stream', () => connection.received().startsWith('HTTP/1.1 101 '));
  });

  test('and a planted one is refused, in every order, by one line or many; other cookies do no harm', async () => {
    await start();
    const name = '__Host-finvera_session';
    const own = `${scene.browser.cookie}`;
    const planted = `${name}=${'A'.repeat(43)}`;
    for (const cookie of [
      [`Cookie: ${own}; ${planted}`],
      [`Cookie: ${planted}; ${own}`],
      [`Cookie: ${own}`, `Cookie: ${planted}`],
      [`Cookie: ${planted}`, `Cookie: a=b; ${own}`],
      [`Cookie: ${own}; ${name}=`],
      [`Cookie: ${own.replace(name, name.toLowerCase())}`],
      [`Cookie: ${own.replace('__Host-', '')}`],
      [`Cookie: ${name}="${own.split('=')[1]}"`],
    ])
      expect([cookie, await refused(handshake({ cookie }))]).toEqual([cookie, 401]);
    const connection = await connect(
      handshake({ cookie: ['Cookie: a=b; __host-finvera_session=x', `Cookie: ${own}`] }),
    );
    await until('the stream', () => connection.received().startsWith('HTTP/1.1 101 '));
  });
});

test('a session is a cookie’s and nothing else’s: no query, sub-protocol or header opens a stream', async () => {
  await start();
  const id = scene.browser.cookie?.split('=')[1] ?? '';
  const bearer = simulator.requests('validate')[0]?.rawHeaders.find((value) => value.startsWith('Bearer ')) ?? '';
  expect(bearer.length).toBeGreaterThan(20);
  for (const [request, more] of [
    [`GET /stream?session=${id}&__Host-finvera_session=${id} HTTP/1.1`, []],
    ['GET /stream HTTP/1.1', [`Sec-WebSocket-Protocol: ${id}`]],
    ['GET /stream HTTP/1.1', [`Sec-WebSocket-Protocol: bearer, ${bearer.slice(7, 200)}`]],
    ['GET /stream HTTP/1.1', [`Authorization: ${bearer}`]],
    ['GET /stream HTTP/1.1', [`X-Session-Id: ${id}`, `Cookie2: __Host-finvera_session=${id}`]],
    ['GET /stream?apikey=x HTTP/1.1', ['X-User-Id: 1']],
  ] as const)
    expect([request, more, await refused(handshake({ request, cookie: [], more }))]).toEqual([request, more, 401]);
});

test('who the caller is and where it comes from is the gateway’s to say on a stream, too', async () => {
  await start({ protocol: 'v1' });
  const more = [
    'Authorization: Bearer mine',
    'authorization: Bearer mine-too',
    'Authorization_: Bearer mine',
    'X-Forwarded-For: 192.0.2.66',
    'X_Forwarded_For: 192.0.2.66',
    'Forwarded: for=192.0.2.66',
    'X-Real-IP: 192.0.2.66',
    'X-User-Id: admin',
    'X_User_Id: admin',
    'X-Original-URL: /admin',
    'X-HTTP-Method-Override: POST',
    'Via: 1.1 other',
    'TE: trailers',
    'Keep-Alive: 300',
    'Proxy-Authorization: Basic eDp5',
    'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15',
    'Sec-WebSocket-Accept: x',
    'Sec-WebSocket-Protocol: v0, v1',
  ];
  const socket = ['Connection: Upgrade, authorization, x-request-id, via', 'Upgrade: WebSocket', VERSION, KEY];
  const connection = await connect(handshake({ socket, more }));
  const { request } = await scene.upstream.next();
  await until('the stream', () => connection.received().includes('\r\n\r\n'));
  const { headers, rawHeaders } = request;
  expect(headers.authorization).toMatch(/^Bearer ey/);
  expect(headers['x-forwarded-for']).toBe('127.0.0.1');
  expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  expect(headers.via).toMatch(/finvera-gateway/);
  expect(headers['sec-websocket-protocol']).toBe('v0,v1');
  expect(headers['sec-websocket-key']).not.toBe(KEY.split(' ')[1]);
  // `Authorization_` is no twin: with its underscore as a hyphen it is still another name.
  const seen = rawHeaders.join('\n').replace('Bearer mine\n', 'Bearer mine');
  expect(seen).not.toMatch(/mine-too|192\.0\.2\.66|admin|other|trailers|Basic|permessage|x_user|cookie|origin/i);
  const [answer] = parseAnswers(connection.received());
  expect(answer?.status).toBe(101);
  expect(answer?.values('sec-websocket-protocol')).toEqual(['v1']);
  expect(answer?.values('sec-websocket-extensions')).toEqual([]);
});

describe('a handshake that is none', () => {
  test('is refused as HTTP and closes, and what follows is no request', async () => {
    await start();
    const faults: readonly (readonly [string, number, Parameters<typeof handshake>[0]])[] = [
      ['POST', 405, { request: 'POST /stream HTTP/1.1' }],
      ['HEAD', 405, { request: 'HEAD /stream HTTP/1.1' }],
      ['HTTP/1.0', 400, { request: 'GET /stream HTTP/1.0' }],
      ['version 8', 426, { socket: [...UPGRADE, 'Sec-WebSocket-Version: 8', KEY] }],
      ['version 0', 426, { socket: [...UPGRADE, 'Sec-WebSocket-Version: 0', KEY] }],
      ['version 13 twice', 426, { socket: [...UPGRADE, VERSION, VERSION, KEY] }],
      ['without a version', 426, { socket: [...UPGRADE, KEY] }],
      ['without a key', 400, { socket: [...UPGRADE, VERSION] }],
      ['a short key', 400, { socket: [...UPGRADE, VERSION, 'Sec-WebSocket-Key: c2hvcnQ='] }],
      [
        'a key of another alphabet',
        400,
        { socket: [...UPGRADE, VERSION, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ?=='] },
      ],
      ['two keys', 400, { socket: [...UPGRADE, VERSION, KEY, 'Sec-WebSocket-Key: BBhlIHNhbXBsZSBub25jZQ=='] }],
      ['protocols twice the same', 400, { more: ['Sec-WebSocket-Protocol: a, a'] }],
      ['an empty protocol', 400, { more: ['Sec-WebSocket-Protocol: a,,b'] }],
      ['a protocol that is no token', 400, { more: ['Sec-WebSocket-Protocol: a b'] }],
      ['a protocol of 300 characters', 400, { more: [`Sec-WebSocket-Protocol: ${'a'.repeat(300)}`] }],
      [
        'seventeen protocols',
        400,
        { more: [`Sec-WebSocket-Protocol: ${Array.from({ length: 17 }, (_, i) => `p${i}`)}`] },
      ],
      ['a body', 400, { more: [`Content-Length: ${SMUGGLED.length}`] }],
      ['a chunked body', 400, { more: ['Transfer-Encoding: chunked'] }],
      ['two Hosts', 400, { host: ['Host: a', 'Host: b'] }],
      ['an expectation', 417, { more: ['Expect: 200-ok'] }],
      ['a loop', 508, { more: ['Via: 1.1 finvera-gateway'] }],
    ];
    for (const [what, status, changes] of faults)
      expect([what, await refused(handshake(changes))]).toEqual([what, status]);
  });

  test('to a target of another meaning opens nothing', async () => {
    await start();
    for (const target of [
      '//stream',
      '/stream/../stream',
      '/./stream',
      '/%2e/stream',
      '/stream%2f',
      '/stream%00',
      '/stream%0d%0aX:1',
      '/stream;a=b',
      '/stream/..;/stream',
      '/%252e%252e/stream',
      '/\\stream',
      '/stream#x',
      'http://evil.test/stream',
      'ws://evil.test/stream',
      'http://a@127.0.0.1/stream',
      '*',
      'stream',
      '/STREAM',
      '/stream/',
      '/stream/x',
      '/streams',
      '/bff/stream',
      '/%73tream/x',
    ]) {
      const status = await refused(handshake({ request: `GET ${target} HTTP/1.1` }));
      expect([target, [400, 404].includes(status)]).toEqual([target, true]);
    }
  });
});

describe('what a client sends on in the belief of a tunnel', () => {
  test('is never read as a request where the upstream refuses, and nothing of that answer passes', async () => {
    const secret = 'upstream-secret';
    for (const status of ['426 Upgrade Required', '400 Bad Request', '200 OK', '401 Unauthorized', '302 Found']) {
      const lines = [`HTTP/1.1 ${status}`, `Set-Cookie: a=${secret}`, `Location: ws://x/${secret}`, `X-A: ${secret}`];
      const answer = [...lines, `Content-Length: ${secret.length}`, '', secret].join('\r\n');
      await start({ refuse: () => answer });
      const connection = await connect(handshake({}) + SMUGGLED);
      await until('the end', () => connection.isClosed(), 10_000);
      // 101 and a close frame: what followed was no frame.
      expect(connection.received()).toMatch(/^HTTP\/1\.1 101 /);
      expect(connection.received()).not.toContain(secret);
      expect(connection.received().match(/HTTP\/1\.1/g)).toHaveLength(1);
      expect(simulator.requests('data')).toEqual([]);
      await closeStreamScenes();
    }
  });

  test('reaches the upstream as messages only: what is no frame closes with 1002 and passes in no part', async () => {
    await start();
    const connection = await connect(handshake({}) + SMUGGLED);
    const stream = await scene.upstream.next();
    await until('the end', () => connection.isClosed() && stream.closed() !== undefined, 10_000);
    expect(stream.messages).toEqual([]);
    expect(connection.received()).toContain('\x88\x02\x03\xea');
  });

  test('behind a request that is still to be answered opens no stream', async () => {
    await start();
    simulator.addFault({ fault: 'hang', match: { call: 'data' } });
    const { port } = scene.gateway;
    const first = [`GET /delivery/x HTTP/1.1`, `Host: 127.0.0.1:${port}`, `Cookie: ${scene.browser.cookie}`, '', ''];
    const connection = await connect(first.join('\r\n') + handshake({}));
    await until('the end', () => connection.isClosed(), 10_000);
    expect(connection.received()).toBe('');
    expect(scene.upstream.handshakes).toEqual([]);
  });

  test('an upstream’s 101 sets no cookie and shows no field of its own', async () => {
    await start({
      refuse: ({ headers }) =>
        [
          'HTTP/1.1 101 Switching Protocols',
          'Upgrade: websocket',
          'Connection: Upgrade',
          `Sec-WebSocket-Accept: ${acceptOf(String(headers['sec-websocket-key']))}`,
          'Set-Cookie: __Host-finvera_session=planted; Path=/; Secure',
          'Server: finvera/1',
          'X-Secret: shown',
          '',
          '',
        ].join('\r\n'),
    });
    const connection = await connect(handshake({}));
    await until('the stream', () => connection.received().includes('\r\n\r\n'));
    const head = connection.received().split('\r\n\r\n')[0];
    const [answer] = parseAnswers(`${head}\r\n\r\n`);
    const names = answer?.lines.map((line) => line.split(':')[0]?.toLowerCase());
    expect(names?.sort()).toEqual(['connection', 'sec-websocket-accept', 'upgrade', 'x-request-id']);
  });
});

describe('floods', () => {
  test('two hundred handshakes of one session at once open twenty streams, and give every place back', async () => {
    await start();
    const connections = await Promise.all(Array.from({ length: 200 }, () => connect(handshake({}))));
    await until('all answers', () => connections.every((each) => /\r\n\r\n/.test(each.received())), 20_000);
    const statuses = connections.map((each) => Number(each.received().slice(9, 12)));
    expect(statuses.filter((status) => status === 101)).toHaveLength(20);
    expect(statuses.filter((status) => status === 429)).toHaveLength(180);
    expect(scene.upstream.handshakes).toHaveLength(20);
    for (const { socket } of connections) socket.resetAndDestroy();
    const none = async () => (await scene.gateway.metrics()).includes('open_streams{kind="streams"} 0');
    await until('the end of all', none, 20_000);
    await openStream(scene.target);
  }, 60_000);

  test('three hundred handshakes without a session are 401, call nobody and keep nobody from their stream', async () => {
    await start();
    const flood = Array.from({ length: 300 }, () => connect(handshake({ cookie: [] })));
    const client = await openStream(scene.target);
    const connections = await Promise.all(flood);
    await until('the end of all', () => connections.every((each) => each.isClosed()), 20_000);
    expect(new Set(connections.map((each) => each.received().slice(9, 12)))).toEqual(new Set(['401']));
    expect(scene.upstream.handshakes).toHaveLength(1);
    expect(client.closed()).toBeUndefined();
  }, 60_000);

  test('clients that break off at every stage leave nothing behind', async () => {
    await start({ refuse: (_request, count) => (count < 50 && count % 3 === 0 ? 'hang' : undefined) });
    const whole = handshake({});
    for (let round = 0; round < 20; round += 1) {
      const opened = await Promise.all(
        [whole.slice(0, 20), whole, whole, `${whole}\x81\x85abcd`, `${whole}\x81`].map((bytes) => connect(bytes)),
      );
      if (round % 2 === 0) await scene.browser.fetch('/bff/session');
      for (const { socket } of opened) socket.resetAndDestroy();
    }
    const none = async () => (await scene.gateway.metrics()).includes('open_streams{kind="streams"} 0');
    await until('the end of all', none, 20_000);
    await openStream(scene.target);
    expect(scene.gateway.logLines().filter(({ code }) => code === 'internal_error')).toEqual([]);
  }, 60_000);

  test('a frame of a hundred megabytes is refused by its head, a hundred thousand tiny fragments are not kept', async () => {
    await start();
    const before = process.memoryUsage().rss;
    const huge = await connect(
      Buffer.concat([Buffer.from(handshake({})), Buffer.from([0x82, 0xff, 0, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4])]),
    );
    await until('the end', () => huge.isClosed(), 10_000);
    expect(huge.received()).toContain('\x88\x02\x03\xf1');
    const fragments = Buffer.alloc(7 * 100_000, Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x61]));
    fragments[0] = 0x01;
    const tiny = await connect(Buffer.concat([Buffer.from(handshake({})), fragments]));
    await until('the end', () => tiny.isClosed(), 20_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1_048_576);
    expect(scene.upstream.streams.flatMap(({ messages }) => messages)).toEqual([]);
  }, 60_000);
});
