// What one user may not see never reaches another, whatever is asked, answered, kept, changed or failed in whatever order.
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { LRUCache } from 'lru-cache';
import type { CacheAnswer } from '../../../src/cache/cache-answer.ts';
import type { CacheEntry } from '../../../src/cache/cache-entry.ts';
import type { CacheQuestion } from '../../../src/cache/cache-question.ts';
import { createCacheSeal } from '../../../src/cache/cache-seal.ts';
import { decodeEntry, encodeEntry } from '../../../src/cache/entry-codec.ts';
import { type HeaderList, withoutFields } from '../../../src/cache/header-list.ts';
import { createInvalidations, pathMark } from '../../../src/cache/invalidations.ts';
import { createMemoryCacheStore } from '../../../src/cache/memory-cache-store.ts';
import type { RedisCacheStore } from '../../../src/cache/redis-cache-store.ts';
import { createResponseCache } from '../../../src/cache/response-cache.ts';
import type { UpstreamAnswer } from '../../../src/cache/upstream-answer.ts';
import type { RouteCacheSettings } from '../../../src/config/settings.ts';
import { GatewayError } from '../../../src/kernel/errors.ts';
import { Secret } from '../../../src/kernel/secret.ts';
import { createTargets, scopeOf } from '../../../src/routes/cache-target.ts';
import { cachedRoute, cacheSettings } from '../../support/cached-scene.ts';
import { createTestClock } from '../../support/test-clock.ts';

jest.setTimeout(180_000);

const RUNS = 10_000;
const USERS = [
  { user_id: 'a', licensing_tier_id: 'enterprise' },
  { user_id: 'b', licensing_tier_id: 'enterprise' },
  { user_id: 'c', licensing_tier_id: 'standard' },
  // A tier that is called like a user, and a user like a tier.
  { user_id: 'standard', licensing_tier_id: 'a' },
].map((user) => ({ user: { email: '', username: '', ...user } }));

/** What Finvera may say of an answer; those with `isOnes` are for the one who asked. */
const SAYINGS: readonly { readonly headers: readonly string[]; readonly isOnes?: boolean; readonly status?: number }[] =
  [
    { headers: [] },
    { headers: ['Cache-Control', 'max-age=3600'] },
    { headers: ['Cache-Control', 'public, s-maxage=5', 'ETag', '"e"'] },
    { headers: ['ETag', '"e"'] },
    { headers: ['Vary', 'Accept-Language'] },
    { headers: ['Cache-Control', 'private'], isOnes: true },
    { headers: ['Cache-Control', 'private=""'], isOnes: true },
    { headers: ['Cache-Control', 'max-age=9, private="x"', 'ETag', '"e"'], isOnes: true },
    { headers: ['Cache-Control', 'no-store'], isOnes: true },
    { headers: ['Set-Cookie', 'id=1', 'Cache-Control', 'public, max-age=60'], isOnes: true },
    { headers: ['Vary', '*'], isOnes: true },
    { headers: ['Cache-Control', 'max-age=9'], isOnes: true, status: 403 },
    { headers: [], isOnes: true, status: 404 },
    { headers: ['Retry-After', '1'], isOnes: true, status: 429 },
    { headers: [], isOnes: true, status: 500 },
  ];

const pick = <const T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
type Picked<A> = A extends fc.Arbitrary<infer T> ? T : never;

const asking = fc.record({
  kind: fc.constant('ask' as const),
  who: fc.nat({ max: USERS.length - 1 }),
  instance: pick(0, 1),
  path: pick('/delivery/1', '/delivery/1/', '/delivery/%31', '/delivery/1/x.css'),
  query: pick('', '?a=1', '?a=1&b=2', '?b=2&a=1', '?a=1%26b=2', '?apikey=z&a=1', '?a=1\u00a0'),
  headers: pick<readonly string[]>(
    [],
    ['Accept-Language', 'de'],
    ['accept-language', 'en'],
    ['X-Forwarded-Host', 'evil.test'],
    ['X-Original-URL', '/delivery/2'],
    ['X-Role', 'admin'],
    ['Authorization', 'Bearer theirs'],
    ['Cookie', 'session=theirs'],
    ['Cache-Control', 'no-cache'],
    ['Cache-Control', 'max-age=1'],
    ['Cache-Control', 'only-if-cached'],
    ['Cache-Control', 'no-store'],
    ['If-None-Match', '"e"'],
  ),
  saying: fc.nat({ max: SAYINGS.length - 1 }),
  /** Instead of an answer: an error; or a 304 where it may be one. */
  turn: pick('answer', 'answer', 'confirm', 'fail', 'late'),
});
const step = fc.oneof(
  { weight: 8, arbitrary: asking },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: pick(500, 3_000, 11_000, 40_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('change' as const), path: pick('/delivery/1', '/delivery/%31') }),
  },
);
type Step = Picked<typeof step>;
type Asking = Picked<typeof asking>;

interface Seen {
  /** Who asked Finvera, and with what. */
  readonly user: string;
  readonly tier: string;
  readonly path: string;
  readonly query: string;
  readonly headers: HeaderList;
  readonly isOnes: boolean;
}

const settings = cacheSettings({ reloadAfter: 2_000 });
const gatewaySettings = { finveraHeadersTimeout: 30_000, cache: settings };
const seal = createCacheSeal([{ kid: 'k', key: new Secret(Buffer.alloc(32, 7).toString('base64url')) }]);

/** What two instances share, as Redis does: sealed bytes by name, the oldest go. */
function createSharedStore(): RedisCacheStore {
  const bytes = new LRUCache<string, Buffer>({ max: 50 });
  return {
    async look(key, isGood) {
      const name = seal.nameOf(key);
      const sealed = bytes.get(name);
      const plain = sealed && seal.open(name, sealed);
      const entry: CacheEntry | undefined = plain && (await decodeEntry(plain, 10_000));
      return entry && isGood(entry) ? { kind: 'found', entry } : { kind: 'lead', release: () => undefined };
    },
    async put(key, entry) {
      const name = seal.nameOf(key);
      bytes.set(name, seal.seal(name, await encodeEntry(entry, 10_000)));
    },
    drop: (key) => void bytes.delete(seal.nameOf(key)),
    markEachAlone: async () => undefined,
  };
}

function answerOf(seen: Seen, asked: Asking, validators: HeaderList): UpstreamAnswer {
  const saying = SAYINGS[asked.saying] as (typeof SAYINGS)[number];
  const isConfirming = asked.turn === 'confirm' && validators.length > 0;
  const status = isConfirming ? 304 : (saying.status ?? 200);
  const body = Buffer.from(JSON.stringify(seen));
  const shown = withoutFields(saying.headers, (name) => name === 'set-cookie' || name === 'cache-control');
  return {
    status,
    headers: saying.headers,
    passed: saying.headers,
    shown,
    own: [],
    holdsCredential: () => false,
    read(reader) {
      const write = () => {
        reader.onChunk(body);
        reader.onEnd();
      };
      if (asked.turn === 'late') setImmediate(write);
      else write();
    },
    pause: () => undefined,
    resume: () => undefined,
    cancel: () => undefined,
  };
}

async function bodyOf(answer: CacheAnswer): Promise<Seen | undefined> {
  if (answer.kind === 'kept') return JSON.parse(String(answer.entry.body));
  if (answer.kind !== 'passed') return undefined;
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = String(Buffer.concat([...answer.chunks]));
  answer.answer.read({
    onChunk: (chunk) => {
      text += String(chunk);
    },
    onEnd: () => resolve(text),
    onFailure: () => resolve(''),
  });
  const whole = await promise;
  return whole === '' ? undefined : JSON.parse(whole);
}

const clock = createTestClock();
const invalidations = createInvalidations();
const shared = createSharedStore();
const instances = [0, 1].map(() =>
  createResponseCache({ settings, clock, memory: createMemoryCacheStore(50, 1_000_000), shared, invalidations }),
);
let runs = 0;

/**
 * On the same two instances each time, and an upstream of its own.
 * @param keyedAs the scope that is part of the key: another one than the rules' is a mistake that must show.
 * @returns what each who asked was shown that is not for them.
 */
async function run(
  rules: RouteCacheSettings,
  steps: readonly Step[],
  isConcurrent: boolean,
  keyedAs: Pick<RouteCacheSettings, 'scope'> = rules,
): Promise<string[]> {
  runs += 1;
  const finveraUrl = `http://finvera-${runs}.test`;
  const toTarget = createTargets({ ...gatewaySettings, finveraUrl }, cachedRoute(rules), rules);
  const leaks: string[] = [];

  const ask = async (asked: Asking): Promise<void> => {
    const session = USERS[asked.who] as (typeof USERS)[number];
    const scope = scopeOf(keyedAs, session);
    if (!scope) throw new Error('no scope');
    const rawHeaders = [...asked.headers];
    const headers = Object.fromEntries(rawHeaders.length ? [[rawHeaders[0]?.toLowerCase(), rawHeaders[1]]] : []);
    const path = { raw: asked.path, query: asked.query, decoded: asked.path };
    const target = toTarget({ rawHeaders, headers }, { path, proto: 'https' }, scope);
    const { user_id: user, licensing_tier_id: tier } = session.user;
    const isOnes = SAYINGS[asked.saying]?.isOnes ?? false;
    const mine = { user, tier, path: asked.path, query: target.query, headers: target.headers, isOnes };
    const question: CacheQuestion = {
      ...target,
      async fetch(validators) {
        if (asked.turn === 'fail') throw new GatewayError('upstream_timeout');
        return answerOf(mine, asked, validators);
      },
    };
    const answer = await (instances[asked.instance] as (typeof instances)[number]).answer(question);
    const seen = await bodyOf(answer);
    if (seen && !isFor(rules, seen, mine)) leaks.push(JSON.stringify({ seen, mine }));
  };

  const asked: Promise<void>[] = [];
  for (const each of steps) {
    if (each.kind === 'wait') clock.advance(each.ms);
    else if (each.kind === 'change')
      invalidations.apply({ kind: 'path', id: '', at: clock.now(), mark: pathMark(each.path) });
    else if (isConcurrent) asked.push(ask(each));
    else await ask(each);
  }
  await Promise.all(asked);
  return leaks;
}

/** True where what Finvera was asked is what this one would have asked, by one of those who share. */
function isFor({ scope }: RouteCacheSettings, seen: Seen, mine: Seen): boolean {
  if (seen.user !== mine.user && (seen.isOnes || scope === 'user')) return false;
  if (scope === 'tier' && seen.tier !== mine.tier) return false;
  return (
    seen.path === mine.path &&
    seen.query === mine.query &&
    JSON.stringify(seen.headers) === JSON.stringify(mine.headers)
  );
}

const rulesOf = (scope: 'tier' | 'user' | 'public'): RouteCacheSettings => ({
  ttl: 10_000,
  staleWhileRevalidate: 10_000,
  staleIfError: 30_000,
  scope,
});

describe('of what is shared', () => {
  test(`nothing reaches somebody it is not for: ${RUNS} random mixes of requests`, async () => {
    let shown = 0;
    await fc.assert(
      fc.asyncProperty(
        pick('tier', 'user', 'public'),
        fc.boolean(),
        fc.array(step, { minLength: 2, maxLength: 8 }),
        async (scope, isConcurrent, steps) => {
          shown += steps.length;
          expect(await run(rulesOf(scope), steps, isConcurrent)).toEqual([]);
        },
      ),
      { numRuns: RUNS },
    );
    expect(shown).toBeGreaterThan(RUNS);
  });

  test('a scope that is not in the key shows as a leak', async () => {
    const one: Asking = {
      kind: 'ask',
      who: 0,
      instance: 0,
      path: '/delivery/1',
      query: '',
      headers: [],
      saying: 0,
      turn: 'answer',
    };
    const steps: Step[] = [one, { ...one, who: 1 }, { ...one, who: 2, instance: 1 }];
    // Where the last random mix ends with a change of this path, nothing that is asked for in the same moment is kept.
    clock.advance(1);
    expect(await run(rulesOf('public'), steps, false)).toEqual([]);
    expect(await run(rulesOf('tier'), steps, false)).toEqual([]);
    expect(await run(rulesOf('tier'), steps, false, rulesOf('public'))).toHaveLength(1);
    expect(await run(rulesOf('user'), steps, true, rulesOf('tier'))).toHaveLength(1);
    const seen: Seen = { user: 'a', tier: 'enterprise', path: '', query: '', headers: [], isOnes: false };
    expect(isFor(rulesOf('tier'), { ...seen, isOnes: true }, { ...seen, user: 'b' })).toBe(false);
    expect(isFor(rulesOf('public'), seen, { ...seen, headers: ['x-role', 'admin'] })).toBe(false);
  });
});
