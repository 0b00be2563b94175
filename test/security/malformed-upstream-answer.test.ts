// A Finvera that is broken or taken over: whatever bytes it answers, the browser gets a clean answer or a 502, an answer
// that is not whole shows as such, and the process lives on.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { type RawAnswer, rawAnswer } from '../support/raw-upstream.ts';

const PATH = '/delivery/api/v1/events';

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene({ env: { FINVERA_HEADERS_TIMEOUT: '2s', FINVERA_BODY_TIMEOUT: '2s' } });
});
afterAll(() => scene.close());

/** One request that meets the answer; POST, so that nothing is asked twice. */
async function meet(answer: RawAnswer, method = 'POST') {
  scene.upstream.answer(answer);
  const met = await scene.exchange(scene.request(method, PATH, ['Content-Length: 0']));
  scene.upstream.answer(rawAnswer('next'));
  expect((await scene.browser.fetch('/delivery/next')).text).toBe('next');
  return met;
}

const ends =
  (bytes: string): RawAnswer =>
  (socket) =>
    socket.end(bytes, 'latin1');

describe('a head that is not valid is 502 and passes in no part', () => {
  test.each<[string, RawAnswer]>([
    ['status 000', rawAnswer('evil', [], '000 X')],
    ['status 099', rawAnswer('evil', [], '099 X')],
    ['status 600', rawAnswer('evil', [], '600 X')],
    ['status 999', rawAnswer('evil', [], '999 X')],
    ['status 1000', rawAnswer('evil', [], '1000 X')],
    ['status 200OK', rawAnswer('evil', [], '200OK')],
    ['status -200', rawAnswer('evil', [], '-200 OK')],
    ['no status', rawAnswer('evil', [], '')],
    ['101 that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nevil'],
    ['HTTP/0.9', ends('evil')],
    ['HTTP/1.2', rawAnswer('evil').replace('HTTP/1.1', 'HTTP/1.2')],
    ['another protocol', ends('SSH-2.0-evil\r\n')],
    ['a bare carriage return', rawAnswer('evil', ['X: a\rb'])],
    ['a bare line feed', rawAnswer('evil', ['X: a\nX-Split: 1'])],
    ['a NUL', rawAnswer('evil', ['X: a\0b'])],
    ['a control character', rawAnswer('evil', ['X: a\x1b[31m'])],
    ['an obs-fold', rawAnswer('evil', ['X: a', ' b'])],
    ['a blank before the colon', rawAnswer('evil', ['X : a'])],
    ['a name with a blank', rawAnswer('evil', ['X Y: a'])],
    ['an empty name', rawAnswer('evil', [': a'])],
    ['a line without a colon', rawAnswer('evil', ['X'])],
    ['a header beyond 16 KiB', rawAnswer('evil', [`X: ${'a'.repeat(17_000)}`])],
    [
      'three thousand headers',
      rawAnswer(
        'evil',
        Array.from({ length: 3_000 }, (_, i) => `X${i}: a`),
      ),
    ],
    ['a length and chunks', rawAnswer('evil', ['Transfer-Encoding: chunked'])],
    ['two lengths', rawAnswer('evil', ['Content-Length: 5'])],
    ['the same length twice', rawAnswer('evil', ['Content-Length: 4'])],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nevil'],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nevil'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nevil'],
    ['chunks of chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n'],
    [
      'chunked twice',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n',
    ],
    ['a coding below the chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n'],
    ['a coding nobody knows', ends('HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n')],
    ['nothing, and a close', (socket) => void socket.end()],
    ['a reset', (socket) => void socket.resetAndDestroy()],
    ['half a head, and a close', ends('HTTP/1.1 200 OK\r\nX: e')],
  ])('%s', async (_what, answer) => {
    const { statuses, text } = await meet(answer);
    expect(statuses).toEqual([502]);
    expect(text).toContain('"code":"upstream_');
    expect(text).not.toMatch(/evil|X-Split|^X[ :\d]/im);
  });
});

describe('a head that is unusual passes cleaned', () => {
  test('bytes beyond ASCII in a value and in the reason', async () => {
    const { answers } = await meet(Buffer.from(rawAnswer('ok', ['X: \xe4\xff'], '200 \xe4'), 'latin1'));
    expect([answers[0]?.status, answers[0]?.values('x')]).toEqual([200, ['\xe4\xff']]);
  });

  test('no reason, and empty lines before the head', async () => {
    expect((await meet(`\r\n\r\n${rawAnswer('ok', [], '200')}`)).answers[0]).toMatchObject({ status: 200, body: 'ok' });
  });

  test('names of object members', async () => {
    const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];
    const { answers } = await meet(
      rawAnswer(
        'ok',
        names.map((name) => `${name}: x`),
      ),
    );
    expect(answers[0]?.status).toBe(200);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('no Date gets one, its own stays', async () => {
    expect((await meet(rawAnswer())).answers[0]?.values('date')).toEqual([
      expect.stringMatching(/^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/),
    ]);
    const date = 'Mon, 01 Jun 2026 00:00:00 GMT';
    expect((await meet(rawAnswer('ok', [`Date: ${date}`]))).answers[0]?.values('date')).toEqual([date]);
  });

  test('several lines of one name stay apart and in order', async () => {
    const { answers } = await meet(rawAnswer('ok', ['Link: </1>', 'X: 1', 'Link: </2>, </3>']));
    expect(answers[0]?.values('link')).toEqual(['</1>', '</2>, </3>']);
  });

  test('trailers reach nobody', async () => {
    const { answers, text } = await meet(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: evil=1\r\nX-Evil: 1\r\n\r\n',
    );
    expect(answers[0]).toMatchObject({ status: 200, body: 'ok', whole: true });
    expect(text).not.toMatch(/evil|trailer/i);
  });

  test('cookies in no kind of answer', async () => {
    const cookies = [
      'Set-Cookie: __Host-finvera_session=evil; Path=/; Secure',
      'Set-Cookie2: a=evil',
      'set-cookie: theme=evil',
    ];
    for (const status of [
      '200 OK',
      '204 No Content',
      '304 Not Modified',
      '302 Found',
      '401 Unauthorized',
      '500 Error',
    ]) {
      const early = `HTTP/1.1 103 Early Hints\r\n${cookies.join('\r\n')}\r\n\r\n`;
      const body = /^(204|304)/.test(status) ? '' : 'ok';
      const { text, answers } = await meet(early + rawAnswer(body, cookies, status), 'GET');
      expect(answers.at(-1)?.status).toBe(Number(status.slice(0, 3)));
      expect(text).not.toMatch(/evil|set-cookie/i);
    }
  });

  test('a challenge of Finvera’s opens no password dialog', async () => {
    const { answers } = await meet(rawAnswer('no', ['WWW-Authenticate: Basic realm="x"'], '403 Forbidden'));
    expect([answers[0]?.status, answers[0]?.values('www-authenticate')]).toEqual([403, []]);
  });
});

describe('informational answers', () => {
  test.each([
    ['103 with hints', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(3)],
    ['102', 'HTTP/1.1 102 Processing\r\n\r\n'],
    ['100, which nobody asked for', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['199', 'HTTP/1.1 199 X\r\n\r\n'],
    ['ten thousand of them', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(10_000)],
  ])('%s are for this hop: the browser gets the final answer', async (_what, early) => {
    const { statuses, answers } = await meet(early + rawAnswer('final'));
    expect([statuses, answers[0]?.body]).toEqual([[200], 'final']);
  });

  test('without an end are 504 in time', async () => {
    let flood: NodeJS.Timeout | undefined;
    const startedAt = performance.now();
    const { statuses } = await meet((socket) => {
      flood = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(100)), 1);
      socket.on('close', () => clearInterval(flood));
    });
    clearInterval(flood);
    expect(statuses).toEqual([504]);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  });
});

describe('an answer that is not whole is shown as not whole', () => {
  test.each<[string, RawAnswer]>([
    ['a body shorter than announced', ends('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf')],
    ['no last chunk', ends('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n')],
    ['half a chunk', ends('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf')],
    ['a chunk size that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n'],
    [
      'a chunk size beyond 64 bits',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n10000000000000001\r\n',
    ],
    ['bare line feeds around chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\nhalf\n0\n\n'],
    [
      'a reset in the middle',
      (socket) =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf', () => void socket.resetAndDestroy()),
    ],
    ['silence in the middle', 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf'],
  ])('%s', async (_what, answer) => {
    const { answers, closed, text } = await meet(answer);
    expect(closed).toBe(true);
    // The head may have gone already; then the body is cut, and never ended as if it were all of it.
    if (answers[0]?.status !== 502) expect([answers[0]?.status, answers[0]?.whole]).toEqual([200, false]);
    expect(text).not.toMatch(/\r\n0\r\n\r\n$/);
  });
});

describe('HEAD, 204 and 304', () => {
  test('have no body, whatever Finvera adds, and HEAD and 304 keep the length of GET', async () => {
    const head = await meet(rawAnswer('hello'), 'HEAD');
    expect([head.answers[0]?.values('content-length'), head.text.split('\r\n\r\n')[1]]).toEqual([['5'], '']);
    const none = await meet('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello', 'GET');
    expect([none.statuses, none.answers[0]?.values('content-length'), none.text.includes('hello')]).toEqual([
      [204],
      [],
      false,
    ]);
    const coded = await meet(
      'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      'GET',
    );
    expect([coded.statuses, coded.answers[0]?.values('transfer-encoding'), coded.text.includes('hello')]).toEqual([
      [204],
      [],
      false,
    ]);
    const same = await meet('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n', 'GET');
    expect([same.statuses, same.answers[0]?.values('etag'), same.text.split('\r\n\r\n')[1]]).toEqual([
      [304],
      ['"a"'],
      '',
    ]);
  });

  test('are decided by Finvera: conditions and ranges pass and are not evaluated here', async () => {
    const conditions = [
      'If-Match: "a"',
      'If-None-Match: "b", W/"c"',
      'If-Modified-Since: Mon, 01 Jun 2026 00:00:00 GMT',
      'If-Unmodified-Since: Mon, 01 Jun 2026 00:00:00 GMT',
      'If-Range: "d"',
      'Range: bytes=0-1,5-',
    ];
    scene.upstream.answer(rawAnswer('whole', ['ETag: "b"', 'Last-Modified: Mon, 01 Jun 2026 00:00:00 GMT']));
    const { answers } = await scene.exchange(scene.request('GET', PATH, conditions));
    expect([answers[0]?.status, answers[0]?.body, answers[0]?.values('etag')]).toEqual([200, 'whole', ['"b"']]);
    const got = scene.upstream.requests().at(-1)?.lines ?? [];
    for (const condition of conditions) expect(got).toContain(condition);
  });

  test('to HTTP/1.0 come without chunks, and the connection ends them', async () => {
    scene.upstream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n');
    const request = scene.request('GET', PATH, ['Connection: keep-alive']).replace('HTTP/1.1', 'HTTP/1.0');
    const { text, closed } = await scene.exchange(request);
    expect([text.split('\r\n\r\n')[1], /transfer-encoding/i.test(text), closed]).toEqual(['hello', false, true]);
    expect(scene.upstream.requests().at(-1)?.line).toBe(`GET ${PATH} HTTP/1.1`);
  });
});

test('after all of it the process has told nothing of the inside, and nothing was unhandled', () => {
  const lines = scene.gateway.logLines();
  expect(lines.filter(({ code }) => code === 'internal_error')).toEqual([]);
});
