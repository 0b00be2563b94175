// What one tier or user may see must not reach another through what is kept, however Finvera marks it: the cache shares answers to requests with Authorization (RFC 9111 §3.5).
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { closeCachedScenes, ENTERPRISE, ENTERPRISE_2, STANDARD, startCachedScene } from '../support/cached-scene.ts';
import { json } from '../support/http-client.ts';
import type { Browser } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';
import { userOfBearer } from '../support/user-of-bearer.ts';

jest.setTimeout(120_000);
afterEach(closeCachedScenes);

const PATH = '/delivery/api/v1/portfolio';

describe('an answer to a request with Authorization', () => {
  test.each(['max-age=600', 'public, max-age=600', 's-maxage=600', 'must-revalidate, max-age=600'])(
    'that says %s is shared on no route that does not ask for it, and never with another tier',
    async (said) => {
      const { upstream, user } = await startCachedScene({
        others: [{ path: '/search', methods: ['GET'], credential: 'session', apiKeyIn: 'bearer' }],
        script: (_request, count) => ({ headers: ['Cache-Control', said], body: `answer ${count}` }),
      });
      const [one, other, standard] = [await user(), await user(ENTERPRISE_2), await user(STANDARD)];
      for (const browser of [one, other]) await browser.fetch('/search/api/v1/securities');
      expect(upstream.requests).toHaveLength(2);
      expect((await one.fetch(PATH)).text).toBe('answer 3');
      expect((await standard.fetch(PATH)).text).toBe('answer 4');
    },
  );

  test.each([
    ['private', ['Cache-Control', 'private']],
    ['private="" (CVE-2026-9678)', ['Cache-Control', 'max-age=600, private=""']],
    ['private with a field', ['Cache-Control', 'max-age=600, private="authorization"']],
    ['private with blanks', ['Cache-Control', 'max-age=600 , private = " x "']],
    ['private after a quote without end', ['Cache-Control', 'max-age=600, x="y, private']],
    ['private on a second line', ['Cache-Control', 'max-age=600', 'cache-control', 'private']],
    ['Vary: *', ['Cache-Control', 'max-age=600', 'Vary', '*']],
    ['Vary: Authorization', ['Cache-Control', 'max-age=600', 'Vary', 'Accept-Encoding, Authorization']],
    ['Vary: Cookie', ['Cache-Control', 'max-age=600', 'Vary', 'Accept-Encoding', 'vary', 'cookie']],
    ['Set-Cookie', ['Cache-Control', 'max-age=600', 'Set-Cookie', 'sid=theirs']],
  ])('with %s crosses to no other user', async (_name, headers) => {
    const { user } = await startCachedScene({
      script: (asked) => ({ headers, body: `of ${userOfBearer(asked.headers.authorization)}` }),
    });
    const browsers = [await user(), await user(ENTERPRISE_2)];
    const bodies: string[] = [];
    for (const browser of [...browsers, ...browsers]) bodies.push((await browser.fetch(PATH)).text);
    expect(bodies[1]).not.toBe(bodies[0]);
    expect(bodies.slice(2)).toEqual(bodies.slice(0, 2));
  });

  test('varies by what Finvera names: no language or coding is shown as another', async () => {
    const { user } = await startCachedScene({
      script: ({ headers }) => ({
        headers: ['Vary', 'Accept-Language, Accept-Encoding'],
        body: `${headers['accept-language']} ${headers['accept-encoding']}`,
      }),
    });
    const [one, other] = [await user(), await user(ENTERPRISE_2)];
    for (const language of ['de', 'en'])
      for (const coding of ['gzip', 'br'])
        for (const browser of [one, other]) {
          const headers = { 'Accept-Language': language, 'Accept-Encoding': coding };
          expect((await browser.fetch(PATH, { headers })).text).toBe(`${language} ${coding}`);
        }
  });
});

test('a tier that Finvera has changed counts from the next renewal of the token', async () => {
  const { clock, upstream, user } = await startCachedScene({
    rules: { ttl: 600_000 },
    script: (_request, count) => ({ body: `answer ${count}` }),
  });
  const [one, other] = [await user(), await user(ENTERPRISE_2)];
  for (const browser of [one, other]) expect((await browser.fetch(PATH)).text).toBe('answer 1');
  const identity = json(await one.fetch('/bff/session')).user;
  const tierOf = async (browser: Browser) => json(await browser.fetch('/bff/session')).user.licensing_tier_id;
  const says = (body: unknown) =>
    upstream.simulator.addFault({
      match: { call: 'validate' },
      fault: 'malformed_json',
      body: JSON.stringify(body),
    });
  const validations = () => upstream.simulator.requests('validate').length;
  // Of somebody else, or nothing of use: what was known stands.
  for (const body of [{ ...identity, user_id: 'another', licensing_tier_id: 'standard' }, {}]) {
    const before = validations();
    const fault = says(body);
    expect((await one.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    await until('it is asked', () => validations() > before, 10_000);
    expect(await tierOf(one)).toBe('enterprise');
    fault.remove();
    clock.advance(31_000);
  }
  says({ ...identity, licensing_tier_id: 'standard' });
  expect((await one.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
  await until('it is known', async () => (await tierOf(one)) === 'standard', 10_000);
  expect(await tierOf(other)).toBe('enterprise');
  expect((await one.fetch(PATH)).text).toBe('answer 2');
  expect((await other.fetch(PATH)).text).toBe('answer 1');
});

interface Echo {
  readonly user: string;
  readonly url: string;
  readonly language: string | undefined;
  readonly isOnes: boolean;
}

const USERS = [ENTERPRISE, ENTERPRISE_2, STANDARD, 'second@finvera.test'];

const ask = fc.record({
  who: fc.nat({ max: USERS.length - 1 }),
  query: fc.constantFrom('', '?a=1', '?b=2&a=1', '?a=1&b=2', '?mine=1'),
  language: fc.constantFrom(undefined, 'de', 'en'),
  wish: fc.constantFrom(undefined, 'no-cache', 'max-age=0'),
  method: fc.constantFrom(...Array.from({ length: 9 }, () => 'GET'), 'POST'),
  advanceMs: fc.constantFrom(1, 1, 1, 6_000, 15_000),
});

/** What Finvera says of answers that are everybody’s, and of those that are one user’s. */
const SAYINGS = {
  shared: [[], ['ETag', '"e"'], ['Cache-Control', 'max-age=5, public']],
  ones: [
    ['Cache-Control', 'private'],
    ['Vary', 'Authorization'],
  ],
} as const;

test.each(['tier', 'user'] as const)(
  'in scope %s random mixes of requests at once show nobody what is not theirs',
  async (scope) => {
    const scene = await startCachedScene({
      rules: { scope, staleWhileRevalidate: 5_000, staleIfError: 20_000 },
      cache: { reloadAfter: 0 },
      script: ({ url, headers }, count) => {
        const isOnes = url.includes('mine');
        const sayings = isOnes ? SAYINGS.ones : SAYINGS.shared;
        const said = sayings[count % sayings.length] as readonly string[];
        const echo: Echo = {
          user: userOfBearer(headers.authorization) ?? '',
          url,
          language: headers['accept-language'],
          isOnes,
        };
        return { headers: said, body: JSON.stringify(echo) };
      },
    });
    const browsers = await Promise.all(USERS.map((email) => scene.user(email)));
    const identities = await Promise.all(
      browsers.map(async (browser) => json(await browser.fetch('/bff/session')).user),
    );
    const tierOf = new Map(identities.map((user) => [user.user_id, user.licensing_tier_id]));
    let shared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(ask, { minLength: 4, maxLength: 12 }), async (asks) => {
        await Promise.all(
          asks.map(async ({ who, query, language, wish, method, advanceMs }) => {
            scene.clock.advance(advanceMs);
            const reply = await (browsers[who] as Browser).fetch(`${PATH}${query}`, {
              method,
              headers: {
                ...(language ? { 'Accept-Language': language } : {}),
                ...(wish ? { 'Cache-Control': wish } : {}),
              },
            });
            const seen: Echo = json(reply);
            const { user_id: me, licensing_tier_id: tier } = identities[who];
            if (seen.user !== me) shared += 1;
            const isAllowed = seen.user === me || (scope === 'tier' && !seen.isOnes && tierOf.get(seen.user) === tier);
            const sorted = query === '?b=2&a=1' ? '?a=1&b=2' : query;
            const isQuery = [sorted, query].some((each) => seen.url === PATH + each);
            const isSame = isQuery && seen.language === language;
            expect([isAllowed, isSame, seen]).toEqual([true, true, seen]);
          }),
        );
      }),
      { numRuns: 40 },
    );
    // Else nothing was tried.
    if (scope === 'tier') expect(shared).toBeGreaterThan(0);
    else expect(shared).toBe(0);
  },
);
