// Request smuggling: one request that two readers take for two. What passes the gateway reaches Finvera as exactly the
// request that was decided on, and what could be read in two ways is refused and the connection closed (RFC 9112 §6).
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openRaw, parseAnswers } from '../support/raw-http.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { type RawUpstream, rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const PATH = '/delivery/api/v1/events';
const SMUGGLED = 'GET /admin-smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
const chunked = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene({
    settings: {
      routes: [
        {
          path: '/delivery',
          methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
          credential: 'session',
          apiKeyIn: 'bearer',
        },
      ],
    },
  });
});
afterAll(() => scene.close());

/** What Finvera got of this exchange, and of the harmless request of another user right after it. */
async function sendThenVictim(bytes: string) {
  const before = scene.upstream.requests().length;
  const sent = await scene.exchange(bytes);
  const victim = await scene.browser.fetch('/delivery/victim');
  expect([victim.status, victim.text]).toEqual([200, 'answer to /delivery/victim']);
  const got = scene.upstream.requests().slice(before);
  expect(got.at(-1)?.line).toBe('GET /delivery/victim HTTP/1.1');
  return { ...sent, got: got.slice(0, -1) };
}

beforeEach(() => {
  scene.upstream.answerBy(({ target, line }) =>
    line.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' : rawAnswer(`answer to ${target}`),
  );
});

describe('two framings, or one that is unknown or not the last', () => {
  const FRAMINGS: readonly (readonly [name: string, lines: readonly string[], body: string])[] = [
    ['CL.TE', ['Content-Length: 6', 'Transfer-Encoding: chunked'], '0\r\n\r\nG'],
    ['TE.CL', ['Transfer-Encoding: chunked', 'Content-Length: 4'], chunked(SMUGGLED)],
    ['CL.TE with a list', ['Content-Length: 6', 'Transfer-Encoding: identity, chunked'], '0\r\n\r\nG'],
    ['xchunked', ['Transfer-Encoding: xchunked'], chunked(SMUGGLED)],
    ['twice chunked', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked(SMUGGLED)],
    ['chunked, then another', ['Transfer-Encoding: chunked', 'Transfer-Encoding: cow'], chunked(SMUGGLED)],
    ['chunked, identity', ['Transfer-Encoding: chunked, identity'], chunked(SMUGGLED)],
    ['gzip, chunked', ['Transfer-Encoding: gzip, chunked'], chunked(SMUGGLED)],
    ['identity, chunked', ['Transfer-Encoding: identity, chunked'], chunked(SMUGGLED)],
    ['identity', ['Transfer-Encoding: identity', 'Content-Length: 5'], 'hello'],
    ['a parameter', ['Transfer-Encoding: chunked;a=b'], chunked(SMUGGLED)],
    ['a comma after', ['Transfer-Encoding: chunked,'], chunked(SMUGGLED)],
    ['a comma before', ['Transfer-Encoding: ,chunked'], chunked(SMUGGLED)],
    ['quotes', ['Transfer-Encoding: "chunked"'], chunked(SMUGGLED)],
    ['a vertical tab', ['Transfer-Encoding:\vchunked'], chunked(SMUGGLED)],
    ['a blank before the colon', ['Transfer-Encoding : chunked'], chunked(SMUGGLED)],
    ['a tab before the colon', ['Transfer-Encoding\t: chunked'], chunked(SMUGGLED)],
    ['an obs-fold', ['X: x', '\tTransfer-Encoding: chunked'], chunked(SMUGGLED)],
    ['an obs-fold in the value', ['Transfer-Encoding:', ' chunked'], chunked(SMUGGLED)],
    ['a bare line feed', ['X: x\nTransfer-Encoding: chunked'], chunked(SMUGGLED)],
    ['a bare carriage return', ['X: x\rTransfer-Encoding: chunked'], chunked(SMUGGLED)],
    ['a NUL', ['Transfer-Encoding: chunked\0'], chunked(SMUGGLED)],
    ['a blank before the name', [' Transfer-Encoding: chunked'], chunked(SMUGGLED)],
    ['a length with a blank before the colon', ['Content-Length : 5'], 'hello'],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6'], 'hello!'],
    ['the same length twice', ['Content-Length: 5', 'Content-Length: 5'], 'hello'],
    ['a list of lengths', ['Content-Length: 5, 5'], 'hello'],
    ['a signed length', ['Content-Length: +5'], 'hello'],
    ['a negative length', ['Content-Length: -1'], ''],
    ['a length in hexadecimal', ['Content-Length: 0x5'], 'hello'],
    ['a length with an exponent', ['Content-Length: 5e0'], 'hello'],
    ['a length with a blank inside', ['Content-Length: 5 5'], 'hello'],
    ['an empty length', ['Content-Length:'], 'hello'],
    ['a length beyond 64 bits', ['Content-Length: 18446744073709551617'], 'hello'],
    ['a length in other digits', ['Content-Length: \u0665'], 'hello'],
  ];

  test.each(FRAMINGS)(
    '%s is refused with 400 or 501, the connection closes, Finvera gets nothing',
    async (_name, lines, body) => {
      const { statuses, closed, got } = await sendThenVictim(
        scene.request('POST', PATH, ['Connection: keep-alive', ...lines], body) + SMUGGLED,
      );
      expect({ statuses, closed, got }).toEqual({ statuses: [expect.any(Number)], closed: true, got: [] });
      expect([400, 501]).toContain(statuses[0]);
    },
  );

  test.each([
    ['a chunk of HTTP/1.0', 'HTTP/1.0', chunked('hello')],
    ['a chunk of HTTP/1.2', 'HTTP/1.2', chunked('hello')],
  ])('%s is faulty framing: refused and closed', async (_name, version, body) => {
    const request = scene.request('POST', PATH, ['Connection: keep-alive', 'Transfer-Encoding: chunked'], body);
    const { statuses, closed, got } = await sendThenVictim(request.replace('HTTP/1.1', version) + SMUGGLED);
    expect({ statuses, closed, got }).toEqual({ statuses: [400], closed: true, got: [] });
  });

  test.each([
    ['a size that is no number', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['a size with a prefix', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a size beyond 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['a line feed after the size', '5\nhello\r\n0\r\n\r\n'],
    ['a line feed in an extension', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
    ['a quoted line end in an extension', '5;a="\r\n"\r\nhello\r\n0\r\n\r\n'],
    ['a length among the trailers', '5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n'],
    ['no line end after the data', '5\r\nhello0\r\n\r\n'],
    ['a very long extension', `5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`],
  ])('a chunk with %s breaks the request off; no second one appears', async (_name, body) => {
    const { statuses, closed, got } = await sendThenVictim(
      scene.request('POST', PATH, ['Transfer-Encoding: chunked'], body) + SMUGGLED,
    );
    expect(closed).toBe(true);
    expect(statuses.every((status) => status === 400 || status === 413)).toBe(true);
    expect(got.map(({ line }) => line)).toEqual([]);
  });
});

describe('a body on whatever method', () => {
  const FRAMED = [
    ['chunked', ['Transfer-Encoding: chunked'], chunked(SMUGGLED)],
    ['announced', [`Content-Length: ${SMUGGLED.length}`], SMUGGLED],
    [
      'announced, with Connection naming content-length',
      [`Content-Length: ${SMUGGLED.length}`, 'Connection: keep-alive, content-length'],
      SMUGGLED,
    ],
    [
      'chunked, with Connection naming transfer-encoding',
      ['Transfer-Encoding: chunked', 'Connection: keep-alive, transfer-encoding'],
      chunked(SMUGGLED),
    ],
    ['chunked in capitals', ['Transfer-Encoding: CHUNKED'], chunked(SMUGGLED)],
  ] as const;

  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'reaches Finvera as the body of %s, never as a second request',
    async (method) => {
      for (const [name, lines, body] of FRAMED) {
        const { statuses, got } = await sendThenVictim(scene.request(method, PATH, lines, body));
        expect([name, statuses]).toEqual([name, [200]]);
        expect(got.map(({ line, body: bytes }) => [line, bytes])).toEqual([[`${method} ${PATH} HTTP/1.1`, SMUGGLED]]);
        const framing = [...(got[0]?.values('content-length') ?? []), ...(got[0]?.values('transfer-encoding') ?? [])];
        expect(framing).toHaveLength(1);
        expect(got[0]?.values('authorization')).toHaveLength(1);
      }
    },
  );

  test.each([300, 1_100, 2_100])('is not hidden behind %d padding headers', async (count) => {
    for (const method of ['GET', 'DELETE', 'POST']) {
      const lines = [...Array.from({ length: count }, () => 'a:b'), `Content-Length: ${SMUGGLED.length}`];
      const { statuses, closed, got } = await sendThenVictim(scene.request(method, PATH, lines, SMUGGLED));
      expect({ statuses, closed, got }).toEqual({ statuses: [431], closed: true, got: [] });
    }
  });

  test('is not framed by trailers, and trailers reach nobody', async () => {
    const body = '5\r\nhello\r\n0\r\nAuthorization: Bearer mine\r\nX-User-Id: 1\r\n\r\n';
    const { statuses, got } = await sendThenVictim(
      scene.request('POST', PATH, ['Transfer-Encoding: chunked', 'Trailer: Authorization'], body),
    );
    expect(statuses).toEqual([200]);
    expect(
      got.map((request) => [request.body, request.values('authorization').length, request.values('x-user-id')]),
    ).toEqual([['hello', 1, []]]);
    expect(scene.upstream.received()).not.toContain('Bearer mine');
  });

  test('has no twin of its framing with an underscore', async () => {
    const lines = ['Transfer_Encoding: chunked', 'Content_Length: 100', 'Content-Length: 5'];
    const { statuses, got } = await sendThenVictim(scene.request('POST', PATH, lines, 'hello'));
    expect([statuses, got[0]?.body]).toEqual([[200], 'hello']);
    expect(got[0]?.lines.join('\n')).not.toMatch(/_encoding|_length/i);
  });
});

test('what is no request line is refused, closed, and never repaired', async () => {
  for (const line of [
    'GET /delivery/x y HTTP/1.1',
    'GET /delivery/x',
    'GET /delivery/x HTTP/3.0',
    'get /delivery/x HTTP/1.1',
    'FOO /delivery/x HTTP/1.1',
    'PRI * HTTP/2.0',
    '\0GET /delivery/x HTTP/1.1',
  ]) {
    const before = scene.upstream.requests().length;
    const { statuses, closed } = await scene.exchange(`${line}\r\nHost: x\r\n${scene.lines.join('\r\n')}\r\n\r\n`);
    expect([line, statuses, closed]).toEqual([line, [400], true]);
    expect(scene.upstream.requests()).toHaveLength(before);
  }
});

test('Finvera gets nothing before the header section is whole', async () => {
  const before = scene.upstream.requests().length;
  const connection = await scene.open();
  const request = scene.request('GET', PATH);
  connection.socket.write(request.slice(0, -2));
  // Another request goes its whole way meanwhile.
  await scene.browser.fetch('/delivery/meanwhile');
  expect(
    scene.upstream
      .requests()
      .slice(before)
      .map(({ target }) => target),
  ).toEqual(['/delivery/meanwhile']);
  connection.socket.write('\r\n');
  await until('the answer', () => connection.received().includes('answer to'));
  connection.socket.destroy();
});

describe('on the way to a frontend', () => {
  let frontend: RawUpstream;
  let gateway: TestGateway;

  beforeEach(async () => {
    frontend = await startRawUpstream();
    gateway = await startGateway(scene.upstream.url, { env: { FRONTEND: frontend.url } });
  });
  afterEach(async () => {
    await gateway.close();
    await frontend.close();
  });

  test.each(['GET', 'POST', 'DELETE', 'OPTIONS'])('a body of %s is no second request', async (method) => {
    for (const [lines, body] of [
      [['Transfer-Encoding: chunked'], chunked(SMUGGLED)],
      [[`Content-Length: ${SMUGGLED.length}`], SMUGGLED],
      [[`Content-Length: ${SMUGGLED.length}`, 'Connection: keep-alive, content-length'], SMUGGLED],
      [['Transfer-Encoding: chunked', 'Connection: keep-alive, transfer-encoding'], chunked(SMUGGLED)],
    ] as const) {
      const connection = await openRaw(gateway.port);
      connection.socket.on('error', () => undefined);
      connection.socket.write([`${method} /page HTTP/1.1`, 'Host: x', ...lines, '', body].join('\r\n'));
      await until('the answer', () => connection.received().endsWith('ok'));
      expect(parseAnswers(connection.received()).map(({ status }) => status)).toEqual([200]);
      connection.socket.destroy();
      expect(frontend.requests().map(({ line }) => line)).not.toContain('GET /admin-smuggled HTTP/1.1');
      expect(frontend.requests().at(-1)).toMatchObject({ line: `${method} /page HTTP/1.1`, body: SMUGGLED });
    }
  });
});
