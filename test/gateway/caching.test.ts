// Shared answers, rule by rule: what is kept and for whom (RFC 9111 §3), when it is used (§4), stale (RFC 5861), what is said of it (RFC 9211).
import { afterEach, describe, expect, test } from '@jest/globals';
import { closeCachedScenes, ENTERPRISE_2, STANDARD, startCachedScene, TTL_MS } from '../support/cached-scene.ts';
import type { Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import type { ScriptedAnswer } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

const PATH = '/delivery/api/v1/events';

afterEach(closeCachedScenes);

/** Every answer alike but for its number. */
const always =
  (...headers: string[]) =>
  (): ScriptedAnswer => ({ headers });

const statusOf = (reply: Reply) => reply.headers['cache-status'];
const seen = (reply: Reply) => [reply.status, reply.text, statusOf(reply), reply.headers.age];

describe('an answer is shared', () => {
  test('inside one tier, for as long as the route says, with its age', async () => {
    const { upstream, clock, user } = await startCachedScene({ script: always() });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    expect(seen(await one.fetch(PATH))).toEqual([200, 'answer 1', 'finvera-gateway; fwd=uri-miss; stored', undefined]);
    clock.advance(4_000);
    expect(seen(await one.fetch(PATH))).toEqual([200, 'answer 1', 'finvera-gateway; hit; ttl=6', '4']);
    expect(seen(await other.fetch(PATH))).toEqual([200, 'answer 1', 'finvera-gateway; hit; ttl=6', '4']);
    clock.advance(6_000);
    expect(seen(await other.fetch(PATH))).toEqual([200, 'answer 2', 'finvera-gateway; fwd=stale; stored', undefined]);
    expect(upstream.requests).toHaveLength(2);
  });

  test('and never with another tier', async () => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const [enterprise, standard] = [await user(), await user(STANDARD)];
    await enterprise.fetch(PATH);
    expect((await standard.fetch(PATH)).text).toBe('answer 2');
    expect((await enterprise.fetch(PATH)).text).toBe('answer 1');
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toHaveLength(2);
  });

  test('with the same user alone where the scope says so, in all sessions of that user', async () => {
    const { user } = await startCachedScene({ rules: { scope: 'user' }, script: always() });
    const [one, again, other] = [await user(), await user(), await user(ENTERPRISE_2)];
    expect((await one.fetch(PATH)).text).toBe('answer 1');
    expect((await again.fetch(PATH)).text).toBe('answer 1');
    expect((await other.fetch(PATH)).text).toBe('answer 2');
  });

  test('with everybody on a public route, by Finvera’s word where there is one', async () => {
    const { gateway, upstream, clock } = await startCachedScene({
      rules: { scope: 'public' },
      route: { path: '/public', credential: 'none' },
      script: ({ url }) => ({ headers: url.endsWith('/said') ? ['Cache-Control', 'max-age=60'] : [] }),
    });
    const browser = gateway.browser();
    for (const path of ['/public/said', '/public/unsaid']) await browser.fetch(path);
    clock.advance(TTL_MS + 1_000);
    for (const path of ['/public/said', '/public/unsaid']) await gateway.browser().fetch(path);
    expect(upstream.requests.map(({ url }) => url)).toEqual(['/public/said', '/public/unsaid', '/public/unsaid']);
    expect((await browser.fetch('/public/said')).headers['cache-control']).toBe('max-age=60');
  });

  test('only after the session was found good', async () => {
    const { gateway, upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    await browser.fetch(PATH);
    expectProblem(await gateway.browser().fetch(PATH), 401, 'session_required');
    const cookie = browser.cookie;
    await browser.fetch('/bff/logout', { method: 'POST' });
    browser.cookie = cookie;
    const after = await browser.fetch(PATH);
    expectProblem(after, 401, 'session_expired');
    expect(statusOf(after)).toBe('finvera-gateway');
    expect(upstream.requests).toHaveLength(1);
  });

  test('not at all on a route that does not ask, and nothing is said of a cache there', async () => {
    const { upstream, user } = await startCachedScene({
      others: [{ path: '/search', methods: ['GET'], credential: 'session', apiKeyIn: 'bearer' }],
      script: always('Cache-Control', 'public, max-age=60'),
    });
    const browser = await user();
    for (let i = 1; i <= 2; i += 1) {
      const reply = await browser.fetch('/search/api/v1/securities');
      expect(seen(reply)).toEqual([200, `answer ${i}`, undefined, undefined]);
    }
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('what Finvera says is less counts: RFC 9111 §4.2.1', () => {
  test.each([
    ['max-age=3', 3],
    ['public, max-age=3', 3],
    ['s-maxage=3, max-age=9', 3],
    ['MAX-AGE=3', 3],
    ['max-age="3"', 3],
    ['max-age=3600', 10],
    ['public', 10],
    ['x-unknown=1', 10],
    ['', 10],
  ])('%j is fresh for %d s', async (said, seconds) => {
    const { upstream, clock, user } = await startCachedScene({ script: always('Cache-Control', said) });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(seconds * 1_000 - 1);
    await browser.fetch(PATH);
    expect(upstream.requests).toHaveLength(1);
    clock.advance(1);
    await browser.fetch(PATH);
    expect(upstream.requests).toHaveLength(2);
  });

  test('Expires counts from Date, and is ignored beside max-age (§5.3)', async () => {
    const date = new Date(Date.parse('2026-11-24T12:00:00Z')).toUTCString();
    const expires = new Date(Date.parse('2026-11-24T12:00:04Z')).toUTCString();
    const { upstream, clock, user } = await startCachedScene({
      script: ({ url }) => ({
        headers: ['Date', date, 'Expires', expires, ...(url.includes('both') ? ['Cache-Control', 'max-age=8'] : [])],
      }),
    });
    const browser = await user();
    for (const query of ['?a', '?both']) await browser.fetch(PATH + query);
    clock.advance(5_000);
    for (const query of ['?a', '?both']) await browser.fetch(PATH + query);
    expect(upstream.requests.map(({ url }) => url.split('?')[1])).toEqual(['a', 'both', 'a']);
  });

  test('the age it came with counts, and is told (§4.2.3)', async () => {
    const { upstream, clock, user } = await startCachedScene({ script: always('Age', '7') });
    const browser = await user();
    expect((await browser.fetch(PATH)).headers.age).toBe('7');
    clock.advance(2_000);
    expect(seen(await browser.fetch(PATH)).slice(2)).toEqual(['finvera-gateway; hit; ttl=1', '9']);
    clock.advance(1_000);
    await browser.fetch(PATH);
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('never kept: RFC 9111 §3', () => {
  test.each([
    ['no-store', ['Cache-Control', 'no-store']],
    ['private', ['Cache-Control', 'private']],
    ['private with fields', ['Cache-Control', 'private="x-a"']],
    ['private of nothing', ['Cache-Control', 'private=""']],
    ['private twice', ['Cache-Control', 'private, private="x"']],
    ['private with blanks', ['Cache-Control', 'max-age=60, private=" authorization"']],
    ['Private', ['Cache-Control', 'Private']],
    ['private on a line of its own', ['Cache-Control', 'max-age=60', 'Cache-Control', 'private']],
    ['a quote without end', ['Cache-Control', 'max-age=60, private="x']],
    ['two lifetimes', ['Cache-Control', 'max-age=60, max-age=0']],
    ['Set-Cookie', ['Set-Cookie', 'a=b']],
    ['Vary: *', ['Vary', '*']],
    ['Vary: Authorization', ['Vary', 'Accept, Authorization']],
    ['Vary: Cookie', ['Vary', 'cookie']],
    ['Vary by what the gateway makes anew', ['Vary', 'X-Request-Id']],
    ['max-age=0 without a validator', ['Cache-Control', 'max-age=0']],
    ['no-cache without a validator', ['Cache-Control', 'no-cache']],
    ['no-cache with a field, without a validator', ['Cache-Control', 'no-cache="\tset-cookie"']],
    ['Pragma: no-cache', ['Pragma', 'no-cache']],
    ['Expires: 0', ['Expires', '0']],
  ])('%s', async (_name, headers) => {
    const { upstream, user } = await startCachedScene({ script: always(...headers) });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const first = await one.fetch(PATH);
    expect([first.text, statusOf(first)]).toEqual(['answer 1', 'finvera-gateway; fwd=uri-miss']);
    expect((await other.fetch(PATH)).text).toBe('answer 2');
    expect((await one.fetch(PATH)).text).toBe('answer 3');
    expect(upstream.requests).toHaveLength(3);
  });

  test.each([201, 206, 302, 400, 403, 404, 410, 429, 431, 500, 503])(
    '%d, whatever it says of itself',
    async (status) => {
      const { upstream, user } = await startCachedScene({
        script: () => ({ status, headers: ['Cache-Control', 'public, max-age=60', 'Location', '/x'] }),
      });
      const browser = await user();
      for (let i = 1; i <= 2; i += 1) {
        const reply = await browser.fetch(PATH);
        expect([reply.status, reply.text, statusOf(reply)]).toEqual([
          status,
          `answer ${i}`,
          'finvera-gateway; fwd=uri-miss',
        ]);
      }
      expect(upstream.requests).toHaveLength(2);
    },
  );

  test('a body that breaks off', async () => {
    const { upstream, user } = await startCachedScene({
      script: (_request, count, response) => {
        if (count > 1) return {};
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('half');
        setTimeout(() => response.destroy(), 20);
        return undefined;
      },
    });
    const browser = await user();
    expectProblem(await browser.fetch(PATH), 502, 'upstream_unavailable');
    expect((await browser.fetch(PATH)).text).toBe('answer 2');
    expect(upstream.requests).toHaveLength(2);
  });

  test('a body that is too large, which passes whole and as it is', async () => {
    const body = Buffer.alloc(300_000, 'abcdefg');
    const { upstream, user } = await startCachedScene({
      cache: { maxEntryBytes: 100_000 },
      script: ({ url }, _count, response) => {
        if (url.includes('length')) return { body };
        response.writeHead(200);
        response.end(body);
        return undefined;
      },
    });
    const browser = await user();
    for (const query of ['?length', '?chunked', '?length', '?chunked'])
      expect((await browser.fetch(PATH + query)).body.equals(body)).toBe(true);
    expect(upstream.requests).toHaveLength(4);
  });

  test('nor by a cache in front of the gateway, where it passes and only Authorization kept it from others', async () => {
    const { user } = await startCachedScene({
      cache: { maxEntryBytes: 100 },
      script: () => ({ body: 'x'.repeat(200), headers: ['Cache-Control', 'max-age=60'] }),
    });
    const browser = await user();
    expect((await browser.fetch(PATH)).headers['cache-control']).toBe('max-age=60, private');
  });

  test('an answer that repeats the token it was asked with', async () => {
    const { user } = await startCachedScene({
      script: ({ headers }, count) => ({ body: `${count} ${headers.authorization}` }),
    });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const token = (await one.fetch(PATH)).text.slice(2);
    const theirs = await other.fetch(PATH);
    expect(theirs.text.slice(0, 1)).toBe('2');
    expect(theirs.text).not.toContain(token);
  });
});

describe('what tells answers apart: RFC 9111 §4.1', () => {
  test('the order of parameters and how they are encoded do not, their values do', async () => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    const same = ['?b=2&a=1', '?a=1&b=2', '?%61=1&b=%32', '?a=1&&b=2&utm_source=x', '?apikey=k&a=1&b=2&fbclid=y'];
    for (const query of same) expect((await browser.fetch(PATH + query)).text).toBe('answer 1');
    for (const query of ['?a=1', '?a=2&b=2', '?a=1&b=2&b=3', '?a=1&b=3&b=2', '?A=1&b=2', '?a=1%26b=2', '', '?'])
      await browser.fetch(PATH + query);
    expect(upstream.requests.map(({ url }) => url.slice(PATH.length))).toEqual([
      '?a=1&b=2',
      '?a=1',
      '?a=2&b=2',
      '?a=1&b=2&b=3',
      '?a=1&b=3&b=2',
      '?A=1&b=2',
      '?a=1%26b=2',
      '',
    ]);
  });

  test('each value of a header that reaches Finvera has its own answer, and Vary-miss is told', async () => {
    const { user } = await startCachedScene({
      script: ({ headers }, count) => ({
        headers: ['Vary', 'Accept-Language'],
        body: `${count} ${headers['accept-language']}`,
      }),
    });
    const browser = await user();
    const ask = (language: string) => browser.fetch(PATH, { headers: { 'Accept-Language': language } });
    expect((await ask('de')).text).toBe('1 de');
    const second = await ask('en');
    expect([second.text, statusOf(second)]).toEqual(['2 en', 'finvera-gateway; fwd=vary-miss; stored']);
    expect((await ask('de')).text).toBe('1 de');
  });

  test('Accept-Encoding by what it allows, and the bytes of each coding as they came', async () => {
    const { upstream, user } = await startCachedScene({
      script: ({ headers }) =>
        String(headers['accept-encoding']).includes('gzip')
          ? { headers: ['Content-Encoding', 'gzip', 'Vary', 'Accept-Encoding'], body: Buffer.from([31, 139, 0, 255]) }
          : { headers: ['Vary', 'Accept-Encoding'], body: 'plain' },
    });
    const browser = await user();
    const ask = async (coding: string) => (await browser.fetch(PATH, { headers: { 'Accept-Encoding': coding } })).body;
    for (const coding of ['gzip, br', 'br;q=0.9,  GZIP', 'br, x-gzip, foo'])
      expect([...(await ask(coding))]).toEqual([31, 139, 0, 255]);
    for (const coding of ['identity', 'gzip;q=0', 'foo']) expect(String(await ask(coding))).toBe('plain');
    expect(upstream.requests.map(({ headers }) => headers['accept-encoding'])).toEqual(['br, gzip', 'identity']);
  });

  test('HEAD is answered from what GET brought, and brings what GET needs', async () => {
    const { upstream, user } = await startCachedScene({ script: always('ETag', '"e"') });
    const browser = await user();
    const head = await browser.fetch(PATH, { method: 'HEAD' });
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', '8']);
    expect((await browser.fetch(PATH)).text).toBe('answer 1');
    expect((await browser.fetch(PATH, { method: 'HEAD' })).headers.etag).toBe('"e"');
    expect(upstream.requests.map(({ method }) => method)).toEqual(['GET']);
  });
});

describe('past the cache', () => {
  test.each([
    ['a range', { headers: { Range: 'bytes=0-3' } }],
    ['a body', { body: 'x', headers: { 'Content-Length': '1' } }],
    ['If-Match', { headers: { 'If-Match': '"e"' } }],
  ])('%s', async (_name, options) => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    await browser.fetch(PATH);
    const reply = await browser.fetch(PATH, options);
    expect([reply.text, statusOf(reply)]).toEqual(['answer 2', 'finvera-gateway; fwd=bypass']);
    expect(upstream.requests).toHaveLength(2);
  });

  test('a session without a tier', async () => {
    const { upstream, user } = await startCachedScene({
      simulator: { users: [{ email: 'none@finvera.test', password: 'demo-password', tier: '' }] },
      script: always(),
    });
    const browser = await user('none@finvera.test');
    for (let i = 0; i < 2; i += 1) expect(statusOf(await browser.fetch(PATH))).toBe('finvera-gateway; fwd=bypass');
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('unsafe methods: RFC 9111 §4.4', () => {
  test('an accepted change ends what was kept of its path, with every query, in its scope', async () => {
    const { upstream, clock, user } = await startCachedScene({ script: always() });
    const [browser, standard] = [await user(), await user(STANDARD)];
    for (const query of ['', '?a=1']) await browser.fetch(PATH + query);
    await browser.fetch(`${PATH}/2`);
    await standard.fetch(PATH);
    clock.advance(10);
    const change = await browser.fetch(PATH, { method: 'POST', body: 'x' });
    expect(statusOf(change)).toBe('finvera-gateway; fwd=method');
    clock.advance(10);
    const before = upstream.requests.length;
    for (const query of ['', '?a=1']) await browser.fetch(PATH + query);
    expect(upstream.requests).toHaveLength(before + 2);
    for (const query of ['', '?a=1']) await browser.fetch(PATH + query);
    await browser.fetch(`${PATH}/2`);
    await standard.fetch(PATH);
    expect(upstream.requests).toHaveLength(before + 2);
  });

  test('a refused one does not', async () => {
    const { upstream, user } = await startCachedScene({
      script: ({ method }) => ({ status: method === 'PUT' ? 500 : 200 }),
    });
    const browser = await user();
    await browser.fetch(PATH);
    await browser.fetch(PATH, { method: 'PUT', body: 'x' });
    expect((await browser.fetch(PATH)).text).toBe('answer 1');
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('a browser’s conditions: RFC 9111 §4.3.2', () => {
  test.each([
    ['If-None-Match', '"e"', 304],
    ['If-None-Match', 'W/"e"', 304],
    ['If-None-Match', '"x", "e"', 304],
    ['If-None-Match', '*', 304],
    ['If-None-Match', '"x"', 200],
    ['If-Modified-Since', 'Tue, 24 Nov 2026 11:00:00 GMT', 304],
    ['If-Modified-Since', 'Tue, 24 Nov 2026 10:59:59 GMT', 200],
    ['If-Modified-Since', 'yesterday', 200],
  ])('%s: %s is %d from what is kept, and Finvera is not asked with it', async (name, value, status) => {
    const headers = ['ETag', '"e"', 'Last-Modified', 'Tue, 24 Nov 2026 11:00:00 GMT', 'Content-Type', 'text/plain'];
    const { upstream, user } = await startCachedScene({ script: always(...headers) });
    const browser = await user();
    for (let i = 0; i < 2; i += 1) {
      const reply = await browser.fetch(PATH, { headers: { [name]: value } });
      expect([reply.status, reply.text, reply.headers.etag]).toEqual([status, status === 304 ? '' : 'answer 1', '"e"']);
      if (status === 304) expect(reply.headers['content-type']).toBeUndefined();
    }
    expect(upstream.requests).toHaveLength(1);
    expect(upstream.requests[0]?.headers).not.toHaveProperty(name.toLowerCase());
  });

  test('If-None-Match counts before If-Modified-Since', async () => {
    const headers = ['ETag', '"e"', 'Last-Modified', 'Tue, 24 Nov 2026 11:00:00 GMT'];
    const { user } = await startCachedScene({ script: always(...headers) });
    const browser = await user();
    const both = { 'If-None-Match': '"x"', 'If-Modified-Since': 'Tue, 24 Nov 2026 11:00:00 GMT' };
    expect((await browser.fetch(PATH, { headers: both })).status).toBe(200);
  });
});

describe('revalidation: RFC 9111 §4.3', () => {
  test('a 304 makes it fresh again, under new fields, asked with the bearer of the one who asks', async () => {
    const { upstream, clock, user } = await startCachedScene({
      script: ({ headers }) =>
        headers['if-none-match'] === '"e"'
          ? { status: 304, headers: ['ETag', '"e"', 'X-New', 'yes', 'Content-Type', 'text/wrong'] }
          : { headers: ['ETag', '"e"', 'Content-Type', 'text/plain'] },
    });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    await one.fetch(PATH);
    clock.advance(TTL_MS);
    const renewed = await other.fetch(PATH);
    expect(seen(renewed)).toEqual([200, 'answer 1', 'finvera-gateway; fwd=stale; fwd-status=304', '0']);
    expect([renewed.headers['x-new'], renewed.headers['content-type']]).toEqual(['yes', 'text/plain']);
    const [first, second] = upstream.requests.map(({ headers }) => headers.authorization);
    expect(first).not.toBe(second);
    clock.advance(1_000);
    expect(seen(await one.fetch(PATH)).slice(1)).toEqual(['answer 1', 'finvera-gateway; hit; ttl=9', '1']);
    expect(upstream.requests).toHaveLength(2);
  });

  test('a 304 about another answer is no confirmation: it is fetched whole', async () => {
    const { upstream, clock, user } = await startCachedScene({
      script: ({ headers }) =>
        headers['if-none-match'] ? { status: 304, headers: ['ETag', '"other"'] } : { headers: ['ETag', '"e"'] },
    });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(TTL_MS);
    expect((await browser.fetch(PATH)).text).toBe('answer 3');
    expect(upstream.requests).toHaveLength(3);
  });

  test('no-cache with a validator is kept and asked for each time', async () => {
    const { upstream, user } = await startCachedScene({
      rules: { staleWhileRevalidate: 60_000, staleIfError: 60_000 },
      script: ({ headers }) =>
        headers['if-none-match']
          ? { status: 304, headers: ['ETag', '"e"'] }
          : { headers: ['ETag', '"e"', 'Cache-Control', 'no-cache'] },
    });
    const browser = await user();
    for (let i = 0; i < 3; i += 1) expect((await browser.fetch(PATH)).text).toBe('answer 1');
    expect(upstream.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"e"', '"e"']);
  });

  test.each([403, 404])('%d ends what was kept, though the route allows stale ones', async (status) => {
    const { upstream, clock, user } = await startCachedScene({
      rules: { staleIfError: 60_000 },
      script: (_request, count) => (count > 1 ? { status } : { headers: ['ETag', '"e"'] }),
    });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(TTL_MS);
    for (let i = 0; i < 2; i += 1) expect((await browser.fetch(PATH)).status).toBe(status);
    expect(upstream.requests[2]?.headers).not.toHaveProperty('if-none-match');
  });
});

describe('a client’s wishes: RFC 9111 §5.2.1', () => {
  test.each([
    ['no-cache', { 'Cache-Control': 'no-cache' }],
    ['max-age=0', { 'Cache-Control': 'max-age=0' }],
    ['max-age=5', { 'Cache-Control': 'max-age=5' }],
    ['min-fresh=8', { 'Cache-Control': 'min-fresh=8' }],
    ['Pragma: no-cache', { Pragma: 'no-cache' }],
  ])('%s asks Finvera again, but not for what is young', async (_name, headers) => {
    const { upstream, clock, user } = await startCachedScene({ script: always() });
    const browser = await user();
    for (let i = 0; i < 3; i += 1) await browser.fetch(PATH, { headers });
    expect(upstream.requests).toHaveLength(1);
    clock.advance(6_000);
    const reply = await browser.fetch(PATH, { headers });
    expect([reply.text, statusOf(reply)]).toEqual(['answer 2', 'finvera-gateway; fwd=request; stored']);
    expect(upstream.requests[1]?.headers).not.toHaveProperty('cache-control');
  });

  test('only-if-cached is 504 where nothing fresh is kept', async () => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    const headers = { 'Cache-Control': 'only-if-cached' };
    expectProblem(await browser.fetch(PATH, { headers }), 504, 'upstream_timeout');
    await browser.fetch(PATH);
    expect((await browser.fetch(PATH, { headers })).text).toBe('answer 1');
    expect(upstream.requests).toHaveLength(1);
  });

  test('no-store keeps nothing of its answer, and may be answered from what is kept', async () => {
    const { upstream, user } = await startCachedScene({ script: always() });
    const browser = await user();
    const headers = { 'Cache-Control': 'no-store' };
    expect(statusOf(await browser.fetch(PATH, { headers }))).toBe('finvera-gateway; fwd=uri-miss');
    expect((await browser.fetch(PATH)).text).toBe('answer 2');
    expect((await browser.fetch(PATH, { headers })).text).toBe('answer 2');
    expect(upstream.requests).toHaveLength(2);
  });
});

describe('stale while it is renewed: RFC 5861 §3', () => {
  test('is served at once and renewed once in the background', async () => {
    const { upstream, clock, user } = await startCachedScene({
      rules: { staleWhileRevalidate: 20_000 },
      script: always(),
    });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(TTL_MS + 5_000);
    const replies = await Promise.all(Array.from({ length: 20 }, () => browser.fetch(PATH)));
    expect(seen(replies[0] as Reply)).toEqual([
      200,
      'answer 1',
      'finvera-gateway; hit; ttl=-5; detail=stale-while-revalidate',
      '15',
    ]);
    await until('it is renewed', async () => (await browser.fetch(PATH)).text === 'answer 2', 10_000);
    expect(upstream.requests).toHaveLength(2);
  });

  test.each(['must-revalidate', 'proxy-revalidate', 's-maxage=10', 'max-age=10, stale-while-revalidate=0'])(
    'not with %s (RFC 9111 §4.2.4)',
    async (said) => {
      const { clock, user } = await startCachedScene({
        rules: { staleWhileRevalidate: 60_000, staleIfError: 60_000 },
        script: always('Cache-Control', said),
      });
      const browser = await user();
      await browser.fetch(PATH);
      clock.advance(TTL_MS);
      expect((await browser.fetch(PATH)).text).toBe('answer 2');
    },
  );

  test('not beyond its time', async () => {
    const { clock, user } = await startCachedScene({ rules: { staleWhileRevalidate: 20_000 }, script: always() });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(TTL_MS + 20_000);
    expect((await browser.fetch(PATH)).text).toBe('answer 2');
  });
});

describe('stale where Finvera fails: RFC 5861 §4', () => {
  test.each([500, 502, 503, 504, 429])('%d', async (status) => {
    const { clock, user } = await startCachedScene({
      rules: { staleIfError: 60_000 },
      script: (_request, count) => (count === 1 ? {} : { status, headers: ['Cache-Control', 'max-age=60'] }),
    });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(TTL_MS + 1_000);
    expect(seen(await browser.fetch(PATH))).toEqual([
      200,
      'answer 1',
      `finvera-gateway; fwd=stale; fwd-status=${status}; detail=stale-if-error`,
      '11',
    ]);
    clock.advance(60_000);
    expect((await browser.fetch(PATH)).status).toBe(status);
  });

  test('a connection that is reset', async () => {
    const { clock, user } = await startCachedScene({
      rules: { staleIfError: 60_000 },
      script: (_request, count, response) => {
        if (count === 1) return {};
        response.destroy();
        return undefined;
      },
    });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(TTL_MS);
    const reply = await browser.fetch(PATH);
    expect([reply.text, statusOf(reply)]).toEqual(['answer 1', 'finvera-gateway; fwd=stale; detail=stale-if-error']);
  });

  test('not with must-revalidate', async () => {
    const { clock, user } = await startCachedScene({
      rules: { staleIfError: 60_000 },
      script: (_request, count) =>
        count === 1 ? { headers: ['Cache-Control', 'max-age=5, must-revalidate'] } : { status: 503 },
    });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(5_000);
    expect((await browser.fetch(PATH)).status).toBe(503);
  });

  test('never after a logout', async () => {
    const { clock, user, gateway } = await startCachedScene({
      rules: { staleIfError: 60_000 },
      script: (_request, count) => (count === 1 ? {} : { status: 503 }),
    });
    const browser = await user();
    await browser.fetch(PATH);
    const { cookie } = browser;
    await browser.fetch('/bff/logout', { method: 'POST' });
    clock.advance(TTL_MS);
    const after = gateway.browser();
    after.cookie = cookie;
    expectProblem(await after.fetch(PATH), 401, 'session_expired');
  });
});

describe('while Finvera limits the rate', () => {
  test('what is kept is served, fresh and stale, and says that nothing remains', async () => {
    const { upstream, clock, user } = await startCachedScene({
      rules: { staleIfError: 60_000 },
      script: (_request, count) => (count === 2 ? { status: 429, headers: ['Retry-After', '30'] } : {}),
    });
    const browser = await user();
    await browser.fetch(PATH);
    expect((await browser.fetch(`${PATH}/2`)).status).toBe(429);
    expect((await browser.fetch(PATH)).text).toBe('answer 1');
    clock.advance(TTL_MS);
    const stale = await browser.fetch(PATH);
    expect([stale.text, statusOf(stale), stale.headers.ratelimit]).toEqual([
      'answer 1',
      'finvera-gateway; hit; ttl=0; detail=rate-limited',
      '"finvera";r=0;t=20',
    ]);
    const refused = await browser.fetch(`${PATH}/3`);
    expectProblem(refused, 429, 'rate_limited');
    expect([refused.headers['retry-after'], statusOf(refused)]).toEqual(['20', 'finvera-gateway; detail=rate-limited']);
    expect(upstream.requests).toHaveLength(2);
  });

  test('nobody is shown what another one’s allowance is', async () => {
    const { user } = await startCachedScene({
      script: always('RateLimit', '"m";r=3;t=20', 'RateLimit-Policy', '"m";q=60;w=60', 'X-RateLimit-Remaining', '3'),
    });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    await one.fetch(PATH);
    const { headers } = await other.fetch(PATH);
    expect(Object.keys(headers).filter((name) => name.includes('ratelimit'))).toEqual([]);
  });
});

describe('one request for all that want the same', () => {
  test('of fifty at once Finvera sees one, and all have its answer', async () => {
    const { upstream, user } = await startCachedScene({
      script: async (_request, count) => {
        await until('all have come', () => waiting >= 50, 10_000);
        return { body: `answer ${count}` };
      },
    });
    let waiting = 0;
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        waiting += 1;
        return (i % 2 === 0 ? one : other).fetch(PATH);
      }),
    );
    expect(replies.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, () => 'answer 1'));
    expect(upstream.requests).toHaveLength(1);
    const collapsed = replies.filter((reply) => String(statusOf(reply)).endsWith('collapsed'));
    expect(collapsed.length + replies.filter((reply) => String(statusOf(reply)).includes('hit')).length).toBe(49);
  });

  test('a leader that leaves does not take it from the others', async () => {
    const { upstream, user } = await startCachedScene({
      script: async () => {
        await until('it is let go', () => goOn, 10_000);
        return { body: 'shared' };
      },
    });
    let goOn = false;
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const leaving = new AbortController();
    const led = one.fetch(PATH, { signal: leaving.signal }).catch(() => 'gone');
    await until('it is asked', () => upstream.requests.length === 1, 10_000);
    const followed = other.fetch(PATH);
    leaving.abort();
    expect(await led).toBe('gone');
    goOn = true;
    expect((await followed).text).toBe('shared');
    expect(upstream.requests).toHaveLength(1);
  });

  test('a leader whose answer is not to be shared leaves the others to ask for themselves', async () => {
    const { upstream, user } = await startCachedScene({
      script: async (_request, count) => {
        if (count === 1) await until('it is let go', () => goOn, 10_000);
        return { headers: ['Cache-Control', 'private'], body: `answer ${count}` };
      },
    });
    let goOn = false;
    const browsers = [await user(), await user(ENTERPRISE_2), await user('third@finvera.test')];
    const led = browsers[0]?.fetch(PATH);
    await until('it is asked', () => upstream.requests.length === 1, 10_000);
    const followed = browsers.slice(1).map((browser) => browser.fetch(PATH));
    goOn = true;
    const texts = (await Promise.all([led, ...followed])).map((reply) => reply?.text).sort();
    expect(texts).toEqual(['answer 1', 'answer 2', 'answer 3']);
  });

  test('a leader that fails does not fail the others', async () => {
    const { upstream, user } = await startCachedScene({
      script: async (_request, count, response) => {
        if (count > 2) return { body: 'good' };
        await until('it is let go', () => goOn, 10_000);
        response.destroy();
        return undefined;
      },
    });
    let goOn = false;
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const led = one.fetch(PATH);
    await until('it is asked', () => upstream.requests.length === 1, 10_000);
    const followed = [other.fetch(PATH), other.fetch(PATH)];
    goOn = true;
    // The leader's one retry met the second reset.
    expectProblem(await led, 502, 'upstream_unavailable');
    for (const reply of await Promise.all(followed)) expect([reply.status, reply.text]).toEqual([200, 'good']);
    expect(upstream.requests).toHaveLength(3);
  });

  test('a follower whose session ended meanwhile gets nothing', async () => {
    const { upstream, user, gateway } = await startCachedScene({
      script: async () => {
        await until('it is let go', () => goOn, 10_000);
        return { body: 'shared' };
      },
    });
    let goOn = false;
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const led = one.fetch(PATH);
    await until('it is asked', () => upstream.requests.length === 1, 10_000);
    const followed = other.fetch(PATH);
    const waitsFor = async () => (await gateway.metrics()).includes('in_flight 2');
    await until('it waits', waitsFor, 10_000);
    const ending = gateway.browser();
    ending.cookie = other.cookie;
    await ending.fetch('/bff/logout', { method: 'POST' });
    goOn = true;
    expect((await led).text).toBe('shared');
    expectProblem(await followed, 401, 'session_expired');
  });
});

describe('towards the browser', () => {
  test.each([
    [undefined, 'no-store'],
    ['public, max-age=60', 'private, no-cache'],
    ['max-age=60, no-transform', 'private, no-cache, no-transform'],
  ])(
    'Cache-Control %j becomes %j: what a session opened is for nobody else, and never without asking',
    async (said, shown) => {
      const { user } = await startCachedScene({ script: always(...(said ? ['Cache-Control', said] : [])) });
      const browser = await user();
      for (let i = 0; i < 2; i += 1) expect((await browser.fetch(PATH)).headers['cache-control']).toBe(shown);
    },
  );

  test('each answer has its own request id, and security headers', async () => {
    const { user } = await startCachedScene({ script: always() });
    const browser = await user();
    const [one, two] = [await browser.fetch(PATH), await browser.fetch(PATH)];
    expect(one.headers['x-request-id']).not.toBe(two.headers['x-request-id']);
    expect(two.headers['x-content-type-options']).toBe('nosniff');
  });

  test('the outcomes are counted by route', async () => {
    const { user, gateway } = await startCachedScene({ script: always() });
    const browser = await user();
    for (let i = 0; i < 3; i += 1) await browser.fetch(PATH);
    const text = await gateway.metrics();
    expect(text).toMatch(/cache_requests_total\{route="\/delivery",outcome="miss"\} 1/);
    expect(text).toMatch(/cache_requests_total\{route="\/delivery",outcome="hit"\} 2/);
    expect(text).toMatch(/finvera_gateway_cache_entries 1/);
  });
});
