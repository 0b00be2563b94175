// Forwarded requests: bytes both ways, which headers pass, what becomes of failures on either side.
import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { describe, expect, test } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import { json } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw, openRaw, rawRequest, rawStatus } from '../support/raw-http.ts';
import { arrangeScene, loggedIn, routeTo } from '../support/scene.ts';
import { expectNothingTold } from '../support/secrets.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const PROBE = '/delivery/api/v1/__';
const ECHO = `${PROBE}echo`;

const scene = arrangeScene();

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const lower = (names: readonly string[]): string[] => names.map((name) => name.toLowerCase());

/** The headers of the last data call as Finvera got them: lower-case name to its values. */
function received(): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  const raw = scene.simulator.requests('data').at(-1)?.rawHeaders ?? [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), raw[i + 1] ?? '']);
  }
  return headers;
}

describe('bytes', () => {
  test('reach Finvera unchanged, announced and chunked', async () => {
    const browser = await loggedIn(await scene.start());
    const body = randomBytes(3_000_000);
    for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }] as Record<string, string>[]) {
      const type = { 'Content-Type': 'application/x-anything; v="1"' };
      const reply = await browser.fetch(ECHO, { method: 'PUT', body, headers: { ...type, ...headers } });
      expect(json(reply)).toMatchObject({ method: 'PUT', bodyBytes: body.length, bodySha256: sha256(body) });
      expect(received().get('content-type')).toEqual(['application/x-anything; v="1"']);
      expect(received().get(headers['Transfer-Encoding'] ? 'transfer-encoding' : 'content-length')).toHaveLength(1);
    }
  });

  test.each(['', '?chunked=1'])('reach the browser unchanged%s', async (query) => {
    const browser = await loggedIn(await scene.start());
    const size = 8_000_003;
    const reply = await browser.fetch(`${PROBE}bytes/${size}${query}`);
    expect(reply.status).toBe(200);
    expect(reply.headers['content-length']).toBe(query === '' ? String(size) : undefined);
    expect(sha256(reply.body)).toBe(sha256(Buffer.alloc(size, Buffer.from(Array.from({ length: 256 }, (_, i) => i)))));
  });

  test('of large bodies leave their buffers behind: these are freed every few megabytes, and never for small ones', async () => {
    const browser = await loggedIn(await scene.start());
    let freed = 0;
    const observer = new PerformanceObserver((list) => {
      const collections = list.getEntries() as (PerformanceEntry & { detail?: { flags: number } })[];
      // Not by kind: V8 finishes a larger collection with it, where one is under way.
      freed += collections.filter(
        ({ detail }) => ((detail?.flags ?? 0) & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0,
      ).length;
    });
    observer.observe({ type: 'gc' });
    for (let i = 0; i < 100; i += 1) await browser.fetch(`${PROBE}bytes/200000`);
    expect(freed).toBe(0);
    await browser.fetch(`${PROBE}bytes/40000000`);
    await until('freed while 40 MB came', () => freed >= 4, 5_000);
    const headers = { 'Content-Type': 'application/octet-stream' };
    for (let i = 0; i < 4; i += 1)
      await browser.fetch(ECHO, { method: 'POST', body: Buffer.alloc(10_000_000), headers });
    await until('freed while 40 MB went', () => freed >= 8, 5_000);
    observer.disconnect();
  });

  test('of a compressed answer are not touched', async () => {
    const browser = await loggedIn(await scene.start());
    const reply = await browser.fetch(`${PROBE}bytes/1000?header=Content-Encoding:gzip`, {
      headers: { 'Accept-Encoding': 'gzip, br;q=0.5' },
    });
    expect(reply.headers['content-encoding']).toBe('gzip');
    expect(reply.body).toHaveLength(1_000);
    expect(received().get('accept-encoding')).toEqual(['gzip, br;q=0.5']);
  });

  test('arrive at Finvera while the browser still sends', async () => {
    const gateway = await scene.start();
    const { cookie = '' } = await loggedIn(gateway);
    const sending = request(gateway.url + ECHO, {
      method: 'POST',
      agent: false,
      headers: { Cookie: cookie, 'Sec-Fetch-Site': 'same-origin', 'Content-Length': '20' },
    });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      sending.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode)));
      sending.on('error', reject);
    });
    sending.write('0123456789');
    await scene.simulator.waitForRequests('data', 1);
    sending.end('0123456789');
    expect(await answered).toBe(200);
    expect(scene.simulator.requests('data')[0]).toMatchObject({ body: '01234567890123456789' });
  });

  test('arrive at the browser while Finvera still sends', async () => {
    const gateway = await scene.start();
    const { cookie = '' } = await loggedIn(gateway);
    scene.simulator.addFault({ fault: 'stall_body', match: { call: 'data' } });
    const connection = await openRaw(gateway.port);
    connection.socket.write(
      rawRequest('GET', `${PROBE}bytes/1000`, [`Cookie: ${cookie}`, 'Sec-Fetch-Site: same-origin']),
    );
    await until('half of the answer', () => connection.received().split('\r\n\r\n')[1]?.length === 500);
    expect(connection.isClosed()).toBe(false);
    connection.socket.destroy();
    await until('the abort', () => scene.simulator.counters().data.aborted === 1);
  });

  test('are not read from Finvera faster than the browser takes them', async () => {
    const gateway = await scene.start();
    const { cookie = '' } = await loggedIn(gateway);
    const before = process.memoryUsage().arrayBuffers;
    const connection = await openRaw(gateway.port);
    connection.socket.pause();
    connection.socket.write(
      rawRequest('GET', `${PROBE}bytes/50000000000`, [`Cookie: ${cookie}`, 'Sec-Fetch-Site: same-origin']),
    );
    await scene.simulator.waitForRequests('data', 1);
    // Other requests are served meanwhile: time for a reader without back-pressure to fill its memory.
    const other = await loggedIn(gateway);
    for (let i = 0; i < 50; i += 1) await other.fetch(EVENT);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1_048_576);
    connection.socket.destroy();
    await until('the abort', () => scene.simulator.counters().data.aborted === 1);
  });
});

test('ends both sides where the browser stops reading for FINVERA_BODY_TIMEOUT', async () => {
  const gateway = await scene.start({ FINVERA_BODY_TIMEOUT: '1s' });
  const { cookie = '' } = await loggedIn(gateway);
  const connection = await openRaw(gateway.port);
  connection.socket.pause();
  connection.socket.write(
    rawRequest('GET', `${PROBE}bytes/50000000000`, [`Cookie: ${cookie}`, 'Sec-Fetch-Site: same-origin']),
  );
  await until('the end at Finvera', () => scene.simulator.counters().data.aborted === 1);
  connection.socket.resume();
  await until('the end at the browser', () => connection.isClosed());
});

describe('methods', () => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('%s passes', async (method) => {
    const browser = await loggedIn(await scene.start());
    const reply = await browser.fetch(`${ECHO}?a=1&a=%C3%A4&b`, { method });
    expect(json(reply)).toMatchObject({ method, url: `${ECHO}?a=1&a=%C3%A4&b`, bodyBytes: 0 });
  });

  test('HEAD passes with the headers of its answer and no body', async () => {
    const browser = await loggedIn(await scene.start());
    const get = await browser.fetch(EVENT);
    const head = await browser.fetch(EVENT, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    expect(head.headers['content-length']).toBe(String(get.body.length));
    expect(head.headers.etag).toBe(get.headers.etag);
    expect(scene.simulator.requests('data').at(-1)?.method).toBe('HEAD');
  });
});

describe('the request’s headers', () => {
  test('of the client’s own identity and of this hop do not reach Finvera; the gateway’s do', async () => {
    const gateway = await scene.start();
    const { cookie = '' } = await loggedIn(gateway);
    const answer = await exchangeRaw(
      gateway.port,
      rawRequest('GET', EVENT, [
        'Sec-Fetch-Site: same-origin',
        `Cookie: theme=dark; ${cookie}; DT_AUTH_TOKEN=mine`,
        'Authorization: Bearer mine',
        'Proxy-Authorization: Basic bWluZQ==',
        'X-CSRF: 1',
        'X-Session-Activity: none',
        'X-Forwarded-For: 203.0.113.9',
        'X-Forwarded-Host: evil.example',
        'X-Forwarded-Proto: gopher',
        'X-Forwarded-Port: 1',
        'X-Forwarded-Prefix: /evil',
        'X_Forwarded_For: 203.0.113.9',
        'Forwarded: for=203.0.113.9',
        'X-Real-IP: 203.0.113.9',
        'X-Request-Id: mine',
        'TE: trailers',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'Upgrade: h2c',
        'Connection: x-named, authorization, x-request-id, x-forwarded-for',
        'X-Named: for this hop',
        'X-Custom: kept',
        'Accept: application/json',
        'Accept-Language: de, en;q=0.5',
        'User-Agent: test/1',
        'If-None-Match: "x"',
        'Range: bytes=0-1',
      ]),
    );
    expect(rawStatus(answer)).toBe(200);
    const headers = received();
    for (const [name, values] of headers) {
      expect([name, ...values].join(' ')).not.toMatch(
        /mine|203\.0\.113\.9|evil|gopher|for this hop|theme=dark|finvera_session/i,
      );
    }
    for (const name of ['cookie', 'proxy-authorization', 'x-csrf', 'te', 'upgrade', 'x-forwarded-port', 'x-real-ip']) {
      expect([name, headers.get(name)]).toEqual([name, undefined]);
    }
    expect(headers.get('authorization')).toEqual([expect.stringMatching(/^Bearer [\w-]+\.[\w-]+\.[\w-]+$/)]);
    expect(headers.get('x-request-id')).toEqual([/^X-Request-Id: (.*)$/im.exec(answer)?.[1]]);
    expect(headers.get('traceparent')).toEqual([expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)]);
    expect(headers.get('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(headers.get('x-forwarded-proto')).toEqual(['http']);
    expect(headers.get('x-forwarded-host')).toEqual(['127.0.0.1']);
    expect(headers.get('host')).toEqual([`127.0.0.1:${scene.simulator.port}`]);
    expect(headers.get('x-custom')).toEqual(['kept']);
    expect(headers.get('accept')).toEqual(['application/json']);
    expect(headers.get('accept-language')).toEqual(['de, en;q=0.5']);
    expect(headers.get('user-agent')).toEqual(['test/1']);
    expect(headers.get('if-none-match')).toEqual(['"x"']);
    expect(headers.get('range')).toEqual(['bytes=0-1']);
    await expectNothingTold(gateway, scene.simulator);
    expect(await gateway.metrics()).toContain('finvera_gateway_upstream_seconds_count{route="/delivery"} 1');
  });

  test('name the client a trusted proxy names, and keep its trace', async () => {
    const gateway = await scene.start({ TRUST_PROXY: '127.0.0.1' });
    const browser = await loggedIn(gateway);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await browser.fetch(EVENT, {
      headers: { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'https', traceparent },
    });
    expect(received().get('x-forwarded-for')).toEqual(['203.0.113.9']);
    expect(received().get('x-forwarded-proto')).toEqual(['https']);
    expect(received().get('traceparent')?.[0]?.slice(0, 35)).toBe(traceparent.slice(0, 35));
  });
});

describe('the answer', () => {
  const withHeaders = (headers: FaultSpec['headers'] & object) =>
    scene.simulator.addFault({ fault: 'headers', headers, match: { call: 'data' } });

  test('keeps its end-to-end headers and loses what is not Finvera’s to say', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    withHeaders({
      'Set-Cookie': ['DT_AUTH_TOKEN=leaked; Path=/', '__Host-finvera_session=planted; Path=/; Secure'],
      Server: 'finvera/1.2',
      'X-Powered-By': 'PHP',
      Via: '1.1 inner',
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Allow-Credentials': 'true',
      'Clear-Site-Data': '"*"',
      'X-Hop': 'this hop only',
      Connection: 'keep-alive, X-Hop',
      'Cache-Control': 'private, max-age=60',
      'Last-Modified': 'Mon, 01 Jun 2026 00:00:00 GMT',
      'X-RateLimit-Remaining': '59',
      'Content-Disposition': 'attachment; filename="a.csv"',
      Link: '</delivery/api/v1/events?offset=50>; rel="next"',
    });
    const { headers, setCookies, status } = await browser.fetch(EVENT);
    expect(status).toBe(200);
    expect(setCookies).toEqual([]);
    const names = Object.keys(headers);
    for (const name of names)
      expect(name).not.toMatch(/^(server|x-powered-by|via|access-control-|clear-site-data|x-hop)/);
    expect(JSON.stringify(headers)).not.toContain('leaked');
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'private, max-age=60',
      'last-modified': 'Mon, 01 Jun 2026 00:00:00 GMT',
      'x-ratelimit-remaining': '59',
      'content-disposition': 'attachment; filename="a.csv"',
      link: '</delivery/api/v1/events?offset=50>; rel="next"',
      etag: expect.stringMatching(/^".+"$/),
      'x-request-id': expect.any(String),
    });
  });

  test('to a conditional request passes as 304 with its ETag', async () => {
    const browser = await loggedIn(await scene.start());
    const etag = String((await browser.fetch(EVENT)).headers.etag);
    const reply = await browser.fetch(EVENT, { headers: { 'If-None-Match': etag } });
    expect([reply.status, reply.text, reply.headers.etag]).toEqual([304, '', etag]);
  });

  test.each([200, 201, 202, 204, 400, 403, 404, 409, 418, 429, 500, 501, 503])('%d passes', async (status) => {
    const browser = await loggedIn(await scene.start());
    const reply = await browser.fetch(`${PROBE}status/${status}`);
    expect(reply.status).toBe(status);
    if (status >= 400) {
      expect(reply.headers['content-type']).toBe('application/json');
      expect(json(reply)).toEqual({ error: { code: status, message: `Status ${status}`, details: 'As asked' } });
    }
    if (status === 204) expect([reply.text, reply.headers['content-length']]).toEqual(['', undefined]);
  });

  test('to a range passes as 206', async () => {
    const browser = await loggedIn(await scene.start());
    const reply = await browser.fetch(`${PROBE}status/206?header=Content-Range:bytes%200-13/100`);
    expect([reply.status, reply.headers['content-range']]).toEqual([206, 'bytes 0-13/100']);
  });

  test.each([
    ['http://HOST/delivery/api/v1/events?page=2#top', '/delivery/api/v1/events?page=2#top'],
    ['//HOST/delivery/x', '/delivery/x'],
    ['/delivery/y?z=1', '/delivery/y?z=1'],
    ['next', 'next'],
    ['https://elsewhere.example/x', 'https://elsewhere.example/x'],
    ['http://HOST.evil.example/x', 'http://HOST.evil.example/x'],
  ])('that redirects to %s is passed, not followed', async (location, passed) => {
    const browser = await loggedIn(await scene.start());
    const host = `127.0.0.1:${scene.simulator.port}`;
    scene.simulator.addFault({ fault: 'redirect', location: location.replace('HOST', host), match: { call: 'data' } });
    const reply = await browser.fetch(EVENT);
    expect([reply.status, reply.headers.location]).toEqual([302, passed.replace('HOST', host)]);
    expect(scene.simulator.requests('data')).toHaveLength(1);
  });

  test('429 passes with its Retry-After', async () => {
    const browser = await loggedIn(await scene.start());
    scene.simulator.addFault({ fault: 'rate_limited', retryAfter: 23, match: { call: 'data' } });
    const reply = await browser.fetch(EVENT);
    expect([reply.status, reply.headers['retry-after']]).toEqual([429, '23']);
  });
});

describe('failures', () => {
  test.each([
    ['before the answer', 'hang'],
    ['in its middle', 'stall_body'],
  ] as const)('of the browser to stay, %s, end the request to Finvera', async (_when, fault) => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.simulator.addFault({ fault, match: { call: 'data' } });
    const leaving = new AbortController();
    const left = browser.fetch(EVENT, { signal: leaving.signal });
    await scene.simulator.waitForRequests('data', 1);
    leaving.abort();
    await expect(left).rejects.toThrow();
    await until('the abort', () => scene.simulator.counters().data.aborted === 1);
    await until('the log line', () =>
      gateway.logLines().some((line) => line.event === 'request' && line.path === EVENT && line.aborted === true),
    );
  });

  test('of a pipelining browser to stay end all of its requests to Finvera', async () => {
    const gateway = await scene.start();
    const { cookie = '' } = await loggedIn(gateway);
    scene.simulator.addFault({ fault: 'hang', match: { call: 'data' } });
    const connection = await openRaw(gateway.port);
    const one = `GET ${EVENT} HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\n\r\n`;
    connection.socket.write(one.repeat(3));
    await scene.simulator.waitForRequests('data', 3);
    connection.socket.destroy();
    await until('three aborts', () => scene.simulator.counters().data.aborted === 3);
  });
});

describe('the limit of a body', () => {
  test.each([
    ['announced', {}],
    ['chunked', { 'Transfer-Encoding': 'chunked' }],
  ])('answers 413 to more, %s', async (_how, headers: Record<string, string>) => {
    const gateway = await scene.start({ MAX_BODY_BYTES: '100kb' });
    const browser = await loggedIn(gateway);
    const exact = await browser.fetch(ECHO, { method: 'POST', body: Buffer.alloc(102_400), headers });
    expect(json(exact)).toMatchObject({ bodyBytes: 102_400 });
    const over = await browser.fetch(ECHO, { method: 'POST', body: Buffer.alloc(102_401), headers });
    expectProblem(over, 413, 'body_too_large');
    expect(scene.simulator.requests('data').filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await browser.fetch(EVENT)).status).toBe(200);
  });

  test('is the route’s where it has one', async () => {
    const gateway = await scene.start({ MAX_BODY_BYTES: '1kb' }, [
      routeTo('/delivery'),
      routeTo('/delivery/api/v1/__echo', { maxBodyBytes: 2_000 }),
      routeTo('/search', { maxBodyBytes: 10 }),
    ]);
    const browser = await loggedIn(gateway);
    const post = (path: string, size: number) => browser.fetch(path, { method: 'POST', body: Buffer.alloc(size) });
    expect((await post(ECHO, 2_000)).status).toBe(200);
    expectProblem(await post(ECHO, 2_001), 413, 'body_too_large');
    expectProblem(await post(EVENT, 1_025), 413, 'body_too_large');
    expectProblem(await post('/search/api/v1/__echo', 11), 413, 'body_too_large');
  });

  test('refuses an announced body before asking for it', async () => {
    const gateway = await scene.start({ MAX_BODY_BYTES: '1kb' });
    const { cookie = '' } = await loggedIn(gateway);
    const lines = [`Cookie: ${cookie}`, 'Sec-Fetch-Site: same-origin', 'Expect: 100-continue'];
    const refused = await exchangeRaw(gateway.port, rawRequest('POST', ECHO, [...lines, 'Content-Length: 2000']));
    expect(rawStatus(refused)).toBe(413);
    const wanted = await openRaw(gateway.port);
    wanted.socket.write(rawRequest('POST', ECHO, [...lines, 'Content-Length: 5']));
    await until('100 Continue', () => wanted.received().startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
    wanted.socket.write('hello');
    await until('the answer', () => wanted.isClosed());
    expect(wanted.received()).toContain('"body":"hello"');
    expect(scene.simulator.requests('data')).toHaveLength(1);
  });
});

describe('routes', () => {
  const KEY = 'sk_server-held/key+1';

  const withKey = async (apiKeyIn: 'bearer' | 'query'): Promise<TestGateway> => {
    scene.simulator.configure({ apiKey: KEY });
    return scene.start({ FINVERA_API_KEY: KEY }, [routeTo('/search', { credential: 'api-key', apiKeyIn })]);
  };
  const SEARCH = '/search/api/v1/securities?search=AAPL';

  test('with credential api-key need a session and send the server’s key as bearer', async () => {
    const gateway = await withKey('bearer');
    expectProblem(await gateway.browser().fetch(SEARCH), 401, 'session_required');
    expect(scene.simulator.requests('data')).toEqual([]);
    const browser = await loggedIn(gateway);
    const reply = await browser.fetch(SEARCH, { headers: { Authorization: 'Bearer mine' } });
    expect(reply.status).toBe(200);
    expect(received().get('authorization')).toEqual([`Bearer ${KEY}`]);
    expect(scene.simulator.requests('data')[0]?.url).toBe(SEARCH);
    await expectNothingTold(gateway, scene.simulator, [KEY]);
  });

  test('with credential api-key in the query replace the browser’s own, however it is spelled', async () => {
    const gateway = await withKey('query');
    const browser = await loggedIn(gateway);
    const reply = await browser.fetch(`${SEARCH}&apikey=mine&APIKEY=mine&%61pikey=mine&apikey&x=1`);
    expect(reply.status).toBe(200);
    expect(scene.simulator.requests('data')[0]?.url).toBe(`${SEARCH}&x=1&apikey=${encodeURIComponent(KEY)}`);
    expect(received().get('authorization')).toBeUndefined();
    expect((await browser.fetch('/search/api/v1/__echo')).status).toBe(200);
    await expectNothingTold(gateway, scene.simulator, [KEY, encodeURIComponent(KEY)]);
  });

  test.each(['bearer', 'query'] as const)(
    'with credential api-key in the %s never answer with it in a header',
    async (where) => {
      const gateway = await withKey(where);
      const browser = await loggedIn(gateway);
      const location = `${scene.simulator.url}${SEARCH}&apikey=${encodeURIComponent(KEY)}&page=2`;
      scene.simulator.addFault({
        fault: 'redirect',
        status: 307,
        location,
        headers: {
          'X-Echo': `Bearer ${KEY}`,
          Link: `<${location}>; rel="next"`,
          'X-Key': encodeURIComponent(KEY),
          'X-Kept': 'kept',
        },
        match: { call: 'data' },
      });
      const reply = await browser.fetch(SEARCH);
      expect([reply.status, reply.headers['x-kept']]).toEqual([307, 'kept']);
      expect(reply.headers.location).toBe('/search/api/v1/securities?search=AAPL&page=2');
      const headers = JSON.stringify(reply.headers);
      expect(headers).not.toContain(KEY);
      expect(headers).not.toContain(encodeURIComponent(KEY));
    },
  );

  test('with credential api-key pass Finvera’s 401 without a refresh', async () => {
    const gateway = await withKey('bearer');
    const browser = await loggedIn(gateway);
    scene.simulator.configure({ apiKey: 'another' });
    const reply = await browser.fetch(SEARCH);
    expect(reply.status).toBe(401);
    expect(json(reply).error.code).toBe(401);
    expect(scene.simulator.counters().refresh.received).toBe(0);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
  });

  test('with credential none are public and bear no credential', async () => {
    const gateway = await scene.start({}, [routeTo('/public', { credential: 'none' })]);
    const browser = await loggedIn(gateway);
    for (const caller of [gateway.browser(), browser]) {
      const reply = await caller.fetch('/public/api/v1/__echo?q=1', { headers: { Authorization: 'Bearer mine' } });
      expect(reply.status).toBe(200);
      expect(lower(json(reply).rawHeaders)).not.toEqual(expect.arrayContaining(['authorization']));
      expect(lower(json(reply).rawHeaders)).not.toEqual(expect.arrayContaining(['cookie']));
    }
  });

  test('with the longest prefix win, on whole segments', async () => {
    const gateway = await scene.start({}, [
      routeTo('/public', { credential: 'none' }),
      routeTo('/public/api/v1/__status', { credential: 'session' }),
      routeTo('/public/api/v1/__status/204', { credential: 'none', methods: ['POST'] }),
    ]);
    const browser = gateway.browser();
    expect((await browser.fetch('/public/api/v1/__echo')).status).toBe(200);
    expectProblem(await browser.fetch('/public/api/v1/__status/200'), 401, 'session_required');
    expectProblem(await browser.fetch('/public/api/v1/__status/204'), 405, 'method_not_allowed');
    expect((await browser.fetch('/public/api/v1/__status/204', { method: 'POST' })).status).toBe(204);
    expectProblem(await browser.fetch('/public/api/v1/__status/2040'), 401, 'session_required');
    for (const path of ['/publicity/api/v1/__echo', '/Public/api/v1/__echo', '/api/v1/__echo']) {
      expectProblem(await browser.fetch(path), 404, 'not_found');
    }
  });

  test('are the only paths that are forwarded', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const before = scene.simulator.requests().length;
    for (const path of ['/', '/kms/api/v1/keys', '/kms', '/deliveries', '/delivery2/x', '/api/v1/events']) {
      expectProblem(await browser.fetch(path), 404, 'not_found');
    }
    expect(scene.simulator.requests()).toHaveLength(before);
  });
});
