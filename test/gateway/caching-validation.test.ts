// Shared answers, rule by rule: conditions and revalidation (RFC 9111 §4.3), a client's wishes (§5.2.1), stale ones (RFC 5861).
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  always,
  closeCachedScenes,
  ENTERPRISE_2,
  PATH,
  seen,
  startCachedScene,
  statusOf,
  TTL_MS,
} from '../support/cached-scene.ts';
import type { Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { until } from '../support/until.ts';

afterEach(closeCachedScenes);

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

  test('by Last-Modified where there is no ETag, by both where there are both', async () => {
    const modified = 'Tue, 24 Nov 2026 11:00:00 GMT';
    const { upstream, clock, user } = await startCachedScene({
      script: ({ url, headers }) => ({
        status: headers['if-modified-since'] === modified ? 304 : 200,
        headers: ['Last-Modified', modified, ...(url.endsWith('both') ? ['ETag', 'W/"e"'] : [])],
      }),
    });
    const browser = await user();
    for (const query of ['?one', '?both']) await browser.fetch(PATH + query);
    clock.advance(TTL_MS);
    for (const query of ['?one', '?both'])
      expect(statusOf(await browser.fetch(PATH + query))).toBe('finvera-gateway; fwd=stale; fwd-status=304');
    expect(upstream.requests.slice(2).map(({ headers }) => headers['if-none-match'])).toEqual([undefined, 'W/"e"']);
  });

  test.each([
    ['private', ['Cache-Control', 'private']],
    ['no-store', ['Cache-Control', 'no-store']],
    ['Vary: *', ['Vary', '*']],
    ['Vary: Cookie', ['Vary', 'Cookie']],
    ['Set-Cookie', ['Set-Cookie', 'a=b']],
  ])('a 304 with %s ends what was kept', async (_name, headers) => {
    const { upstream, clock, user } = await startCachedScene({
      script: (asked) =>
        asked.headers['if-none-match']
          ? { status: 304, headers: ['ETag', '"e"', ...headers] }
          : { headers: ['ETag', '"e"'] },
    });
    const [browser, other] = [await user(), await user(ENTERPRISE_2)];
    await browser.fetch(PATH);
    clock.advance(TTL_MS);
    const renewed = await other.fetch(PATH);
    expect([renewed.text, renewed.setCookies]).toEqual(['answer 3', []]);
    expect(upstream.requests).toHaveLength(3);
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

  test('for as long as Finvera says, where that is less', async () => {
    const { clock, user } = await startCachedScene({
      rules: { staleWhileRevalidate: 60_000, staleIfError: 60_000 },
      script: (_request, count) =>
        count === 1
          ? { headers: ['Cache-Control', 'max-age=5, stale-while-revalidate=3, stale-if-error=6'] }
          : { status: 503 },
    });
    const browser = await user();
    await browser.fetch(PATH);
    clock.advance(8_000);
    const stale = await browser.fetch(PATH);
    expect([stale.text, statusOf(stale)]).toEqual([
      'answer 1',
      'finvera-gateway; fwd=stale; fwd-status=503; detail=stale-if-error',
    ]);
    clock.advance(3_000);
    expect((await browser.fetch(PATH)).status).toBe(503);
  });

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
