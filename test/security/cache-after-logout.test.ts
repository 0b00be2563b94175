// What is kept outlives sessions: whoever has logged out, or whose session was ended, gets none of it, fresh or stale, whole or as a 304.
import { afterEach, describe, expect, test } from '@jest/globals';
import { closeCachedScenes, ENTERPRISE_2, startCachedScene, TTL_MS } from '../support/cached-scene.ts';
import { expectProblem } from '../support/problem.ts';
import type { Browser } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

afterEach(closeCachedScenes);

const PATH = '/delivery/api/v1/events';
const ETAG = ['ETag', '"e"'];

/** A browser with the cookie of a session that is over. */
async function afterLogout(browser: Browser): Promise<Browser> {
  const { cookie } = browser;
  expect((await browser.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
  browser.cookie = cookie;
  return browser;
}

describe('after a logout', () => {
  test.each([
    ['fresh', 1_000, {}],
    ['to be renewed in the background', TTL_MS + 1_000, {}],
    ['a stand-in for a Finvera that fails', TTL_MS + 30_000, {}],
    ['by its ETag', 1_000, { 'If-None-Match': '"e"' }],
    ['only if it is kept', 1_000, { 'Cache-Control': 'only-if-cached' }],
    ['as HEAD', 1_000, {}],
  ])('nothing kept is shown: %s', async (name, waitMs, headers) => {
    const { clock, upstream, user } = await startCachedScene({
      rules: { staleWhileRevalidate: 20_000, staleIfError: 60_000 },
      script: (_request, count) => (count === 1 ? { headers: ETAG, body: 'kept' } : { status: 503 }),
    });
    const [leaving, staying] = [await user(), await user(ENTERPRISE_2)];
    await leaving.fetch(PATH);
    const gone = await afterLogout(leaving);
    clock.advance(waitMs);
    const method = name === 'as HEAD' ? 'HEAD' : 'GET';
    const reply = await gone.fetch(PATH, { method, headers });
    expect([reply.status, reply.headers.etag, reply.text.includes('kept')]).toEqual([401, undefined, false]);
    expect(upstream.requests).toHaveLength(1);
    // It is still there for those it is for.
    expect((await staying.fetch(PATH)).text).toBe('kept');
  });

  test('nothing is shown to who waited for it when the session ended', async () => {
    let goOn = false;
    const { gateway, upstream, user } = await startCachedScene({
      script: async () => {
        await until('it is let go', () => goOn, 10_000);
        return { body: 'kept' };
      },
    });
    const [first, second] = [await user(), await user(ENTERPRISE_2)];
    const led = first.fetch(PATH);
    await until('it is asked', () => upstream.requests.length === 1, 10_000);
    const followed = second.fetch(PATH);
    await until('it waits', async () => (await gateway.metrics()).includes('in_flight 2'), 10_000);
    const ending = gateway.browser();
    ending.cookie = second.cookie;
    await ending.fetch('/bff/logout', { method: 'POST' });
    goOn = true;
    expect((await led).text).toBe('kept');
    expectProblem(await followed, 401, 'session_expired');
  });
});

test.each(['must-revalidate', 'proxy-revalidate', 's-maxage=10', 'no-cache'])(
  'with %s nothing stale is shown to anybody (RFC 9111 §4.2.4)',
  async (said) => {
    const { clock, user } = await startCachedScene({
      rules: { staleWhileRevalidate: 60_000, staleIfError: 60_000 },
      script: (_request, count) =>
        count === 1 ? { headers: [...ETAG, 'Cache-Control', said], body: 'kept' } : { status: 503 },
    });
    const browser = await user();
    expect((await browser.fetch(PATH)).text).toBe('kept');
    clock.advance(TTL_MS + 1_000);
    for (let i = 0; i < 2; i += 1) expect((await browser.fetch(PATH)).status).toBe(503);
  },
);
