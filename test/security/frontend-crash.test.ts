// One request, or one answer of a frontend, that ends the process for everybody: what Node's HTTP client or server would throw at
// while the proxy of the frontend writes, where nobody catches it. No session is needed to ask for a page.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openRaw, rawStatus } from '../support/raw-http.ts';
import { type RawAnswer, type RawUpstream, rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

let frontend: RawUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  frontend = await startRawUpstream();
  gateway = await startGateway(frontend.url, { env: { FRONTEND: frontend.url } });
});
afterAll(async () => {
  await gateway.close();
  await frontend.close();
});

/** Sends the bytes, waits for an answer or the end, and gives what came. */
async function send(bytes: string): Promise<string> {
  const connection = await openRaw(gateway.port);
  connection.socket.on('error', () => undefined);
  connection.socket.write(Buffer.from(bytes, 'latin1'));
  await until('an answer, or the end', () => connection.isClosed() || connection.received().includes('\r\n\r\n'));
  connection.socket.destroy();
  return connection.received();
}

async function expectAlive(): Promise<void> {
  frontend.answer(rawAnswer('page'));
  expect(await send('GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  expect(gateway.logLines().filter(({ level }) => level === 'fatal')).toEqual([]);
}

describe('a request for a page', () => {
  const request = (method: string, lines: readonly string[], body = '') =>
    [`${method} /page HTTP/1.1`, 'Host: x', ...lines, '', body].join('\r\n');

  test.each([
    ['a trailer announced and no body', request('GET', ['Trailer: x'])],
    ['a trailer announced, by HEAD', request('HEAD', ['Trailer: Expires'])],
    ['a trailer announced and a length', request('POST', ['Trailer: x', 'Content-Length: 2'], 'hi')],
    ['a trailer announced twice and named', request('GET', ['Connection: trailer', 'Trailer: a', 'trailer: b'])],
    [
      'a trailer that comes',
      request('POST', ['Trailer: x', 'Transfer-Encoding: chunked'], '2\r\nhi\r\n0\r\nx: y\r\n\r\n'),
    ],
    ['TE', request('GET', ['TE: trailers', 'Connection: TE'])],
    ['what belongs to one hop', request('GET', ['Keep-Alive: timeout=-1', 'Proxy-Connection: x', 'HTTP2-Settings: x'])],
    ['an upgrade that is none', request('GET', ['Connection: upgrade, HTTP2-Settings', 'Upgrade: h2c', 'Trailer: x'])],
    [
      'a handshake with a trailer announced',
      request('GET', [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Trailer: x',
      ]),
    ],
    ['names of every object', request('GET', ['__proto__: x', 'constructor: y', 'toString: z', 'hasOwnProperty: a'])],
    ['bytes above ASCII', request('GET', ['X: \xff\xfe\x80', 'User-Agent: \xe9'])],
    ['such a target', 'GET /p\xe9?x=\xff HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a method that few know', request('PROPFIND', ['Trailer: x', 'Depth: 1'])],
    ['an empty Host', 'GET /page HTTP/1.1\r\nHost:\r\nTrailer: x\r\n\r\n'],
  ])('with %s ends nothing', async (_what, bytes) => {
    frontend.answer(rawAnswer('page'));
    const answer = await send(bytes);
    if (answer !== '') expect(rawStatus(answer)).toBeGreaterThanOrEqual(200);
    await expectAlive();
  });
});

test('what belongs to one hop does not reach a frontend', async () => {
  frontend.answer(rawAnswer('page'));
  const lines = ['Host: x', 'Trailer: x', 'TE: trailers', 'Proxy-Connection: y', 'Transfer-Encoding: chunked'];
  await send(['POST /page HTTP/1.1', ...lines, '', '2\r\nhi\r\n0\r\n\r\n'].join('\r\n'));
  const got = frontend.requests().at(-1);
  expect([got?.body, got?.values('trailer'), got?.values('te'), got?.values('proxy-connection')]).toEqual([
    'hi',
    [],
    [],
    [],
  ]);
});

describe('an answer of the frontend', () => {
  const ANSWERS: readonly (readonly [string, RawAnswer])[] = [
    ['a trailer announced and a length', rawAnswer('page', ['Trailer: x'])],
    ['a trailer announced and no body', 'HTTP/1.1 204 No Content\r\nTrailer: x\r\n\r\n'],
    ['a trailer announced, and 304', 'HTTP/1.1 304 Not Modified\r\nTrailer: x\r\n\r\n'],
    [
      'a trailer that comes',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n',
    ],
    ['status 099', rawAnswer('page', [], '099 Early')],
    ['status 000', rawAnswer('page', [], '000 None')],
    ['status 999', rawAnswer('page', [], '999 Late')],
    ['a reason with a control character', rawAnswer('page', [], '200 O\x01K')],
    ['a reason above ASCII', Buffer.from(rawAnswer('page', [], '200 \xd6K'), 'latin1')],
    ['no reason', rawAnswer('page', [], '200')],
    ['an unasked 101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbytes'],
    ['many 1xx before', `${'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(20)}${rawAnswer('page')}`],
    ['names of every object', rawAnswer('page', ['__proto__: x', 'constructor: y', 'toString: z'])],
    ['bytes above ASCII', Buffer.from(rawAnswer('page', ['X: \xff\x80', 'Location: /\xe9']), 'latin1')],
    ['two lengths in one', 'HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\npage'],
    ['a coding nobody knows', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\nConnection: close\r\n\r\npage'],
    ['fewer bytes than announced', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npage')],
    ['more bytes than announced', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\npage'],
    ['nothing', (socket) => socket.destroy()],
  ];

  test.each(ANSWERS)('with %s ends nothing', async (_what, answer) => {
    frontend.answer(answer);
    await send('GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await expectAlive();
  });
});
