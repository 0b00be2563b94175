// Shared answers: one request for all that want the same, while Finvera limits the rate, and what the browser is told (RFC 9211).
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  always,
  closeCachedScenes,
  ENTERPRISE_2,
  PATH,
  startCachedScene,
  statusOf,
  TTL_MS,
} from '../support/cached-scene.ts';
import type { CallOptions } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { until } from '../support/until.ts';

afterEach(closeCachedScenes);

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

  test('who asked is told what is left; nobody is shown what another one’s allowance is', async () => {
    const { user } = await startCachedScene({
      script: always('RateLimit', '"m";r=3;t=20', 'RateLimit-Policy', '"m";q=60;w=60', 'X-RateLimit-Remaining', '3'),
    });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    const { headers: mine } = await one.fetch(PATH);
    expect([mine.ratelimit, mine['ratelimit-policy'], mine['x-ratelimit-remaining']]).toEqual([
      '"m";r=3;t=20',
      '"m";q=60;w=60',
      '3',
    ]);
    for (const browser of [one, other]) {
      const { headers } = await browser.fetch(PATH);
      expect(Object.keys(headers).filter((name) => name.includes('ratelimit'))).toEqual([]);
    }
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

describe('what is fetched to be kept counts for the user who asks', () => {
  const SHARE = 128;

  test('in the share of what is under way: who has too much waits alone, also where others want the same', async () => {
    let isHeld = true;
    const { gateway, upstream, user } = await startCachedScene({
      script: async ({ url, headers }, count) => {
        if (url.includes('slow') && headers.authorization === greedyBearer)
          await until('it is let go', () => !isHeld, 30_000);
        return { body: `answer ${count}` };
      },
    });
    const [greedy, other] = [await user(), await user(ENTERPRISE_2)];
    await greedy.fetch(PATH);
    const greedyBearer = upstream.requests[0]?.headers.authorization;
    const ask = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, i) => greedy.fetch(`${PATH}/slow/${from + i}`));
    const arrived = () => upstream.requests.length - 1;
    const slow = ask(0, SHARE);
    await until('the share to be used', () => arrived() === SHARE, 20_000);
    slow.push(...ask(SHARE, SHARE + 20));
    await until('all wait', async () => (await gateway.metrics()).includes(`in_flight ${SHARE + 20}`), 20_000);
    for (let i = SHARE; i < SHARE + 20; i += 1)
      expect((await other.fetch(`${PATH}/slow/${i}`)).text).toBe(`answer ${i + 2}`);
    expect(arrived()).toBe(SHARE + 20);
    isHeld = false;
    for (const reply of await Promise.all(slow)) expect(reply.status).toBe(200);
  }, 60_000);

  test('in the breaker: whose calls fail is refused alone', async () => {
    const { user, gateway } = await startCachedScene({
      script: ({ url }, _count, response) => {
        if (!url.includes('broken')) return { body: 'good' };
        response.socket?.resetAndDestroy();
        return undefined;
      },
    });
    const [failing, other] = [await user(), await user(ENTERPRISE_2)];
    const statuses: number[] = [];
    for (let i = 0; i < 60; i += 1) statuses.push((await failing.fetch(`${PATH}/broken/${i}`)).status);
    expect(statuses.slice(0, 20)).toEqual(new Array(20).fill(502));
    expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(10);
    for (let i = 0; i < 20; i += 1) expect((await other.fetch(`${PATH}/${i}`)).status).toBe(200);
    expect(await gateway.metrics()).toContain('finvera_gateway_breaker_state{upstream="data"} 0');
  }, 60_000);
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

  test('the member says nothing was forwarded where nothing was', async () => {
    const { upstream, user, gateway } = await startCachedScene({ route: { methods: ['GET'] }, script: always() });
    const browser = await user();
    const told = async (options: CallOptions, from = browser) => {
      const reply = await from.fetch(PATH, options);
      return [reply.status, statusOf(reply)];
    };
    const post = { method: 'POST', body: 'x' };
    expect(await told(post)).toEqual([405, 'finvera-gateway']);
    expect(await told({}, gateway.browser())).toEqual([401, 'finvera-gateway']);
    expect(await told({ headers: { 'Cache-Control': 'only-if-cached' } })).toEqual([
      504,
      'finvera-gateway; detail=only-if-cached',
    ]);
    expect(upstream.requests).toHaveLength(0);
  });

  test('a method that the route does not take is 405, also where the cache would answer it', async () => {
    const { upstream, user } = await startCachedScene({ route: { methods: ['POST'] }, script: always() });
    const browser = await user();
    expectProblem(await browser.fetch(PATH), 405, 'method_not_allowed');
    expect(upstream.requests).toHaveLength(0);
  });

  test('caches in front of the gateway are told that it depends on the cookie', async () => {
    const { user } = await startCachedScene({ script: always('Vary', 'Accept-Encoding') });
    const browser = await user();
    for (let i = 0; i < 2; i += 1)
      expect((await browser.fetch(PATH)).headers.vary).toMatch(/^Accept-Encoding, (?:.*, )?Cookie$/);
  });

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
