import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { CACHE } from '../../../src/config/cache-schema.ts';
import { loadWith, problemsOf, settingsOf } from './load-with.ts';

const OVERLAY = { GATEWAY_CONFIG: '/etc/gateway.yaml' };
const fileWith = (content: unknown) => ({ '/etc/gateway.yaml': JSON.stringify(content) });
const routeWith = (changes: object) => fileWith({ routes: [{ path: '/delivery', ...changes }] });

describe('cache', () => {
  test('has defaults for all', () => {
    const { values: cache, problems } = CACHE.parse([]);
    expect(problems).toEqual([]);
    expect(cache).toMatchObject({
      maxEntries: 10_000,
      maxBytes: 67_108_864,
      maxEntryBytes: 1_048_576,
      redis: 'auto',
      reloadAfter: 5_000,
    });
    expect(cache.ignoredQuery).toContain('utm_*');
    expect(cache.ignoredHeaders).toContain('sec-*');
  });

  test('is merged key by key over the shipped one', () => {
    const files = {
      '/shipped.yaml': 'cache: {maxEntries: 3, compressFrom: 5kb}',
      '/etc/gateway.yaml': 'cache: {maxEntries: 4, ignoredQuery: [Ref]}',
    };
    const { cache } = settingsOf(OVERLAY, files);
    expect(cache).toMatchObject({ maxEntries: 4, compressFrom: 5_120, ignoredQuery: ['ref'] });
  });

  test.each([
    [[], /^cache must be a mapping/],
    [{ maxEntris: 1 }, /^cache has an unknown key maxEntris\. Did you mean maxEntries\?/],
    [{ constructor: 1 }, /^cache has an unknown key constructor\. There are maxEntries,/],
    [{ maxEntries: 0 }, /^cache\.maxEntries must be a whole number/],
    [{ redis: 'yes' }, /^cache\.redis must be one of auto, off/],
    [{ ignoredQuery: ['*'] }, /^cache\.ignoredQuery must be names/],
    [{ maxBytes: null }, /^cache\.maxBytes has no value/],
  ])('%j is a problem that names the key and the file', (cache, problem) => {
    const problems = problemsOf(OVERLAY, fileWith({ cache }));
    expect(problems).toEqual([expect.stringMatching(problem)]);
    expect(problems[0]).toMatch(/ \(in \/etc\/gateway\.yaml\)$/);
  });

  test.each([
    [{ maxBytes: '1mb', maxEntryBytes: '2mb' }, /^cache\.maxEntryBytes must be at most cache\.maxBytes/],
    [{ redisMaxBytes: '15mb' }, /^cache\.redisMaxBytes must be at least 16 × cache\.maxEntryBytes/],
  ])('%j cannot be', (cache, problem) => {
    expect(problemsOf(OVERLAY, fileWith({ cache }))).toEqual([expect.stringMatching(problem)]);
  });

  test('warns of a Redis of its own that nothing is kept in', () => {
    const loaded = loadWith({ CACHE_REDIS_URL: 'redis://127.0.0.1' });
    expect(loaded.warnings).toContainEqual('CACHE_REDIS_URL is unused: no route has a cache');
  });
});

describe('the cache of a route', () => {
  test('has its times in milliseconds, and is for the same user where it does not say', () => {
    expect(settingsOf(OVERLAY, routeWith({ cache: { ttl: '30s' } })).routes[0]?.cache).toEqual({
      ttl: 30_000,
      staleWhileRevalidate: 0,
      staleIfError: 0,
      scope: 'user',
    });
    const all = { ttl: '10s', staleWhileRevalidate: '20s', staleIfError: '5m', scope: 'tier' };
    expect(settingsOf(OVERLAY, routeWith({ cache: all })).routes[0]?.cache).toEqual({
      ttl: 10_000,
      staleWhileRevalidate: 20_000,
      staleIfError: 300_000,
      scope: 'tier',
    });
    expect(settingsOf(OVERLAY, routeWith({ credential: 'none', cache: { ttl: '1s' } })).routes[0]?.cache?.scope).toBe(
      'public',
    );
  });

  test.each([
    [{ cache: {} }, /^routes\[0\]\.cache\.ttl /],
    [{ cache: '30s' }, /^routes\[0\]\.cache must be a mapping such as/],
    [{ cache: { ttl: '2d' } }, /^routes\[0\]\.cache\.ttl must be a duration/],
    [{ cache: { ttl: '1s', scop: 'tier' } }, /^routes\[0\]\.cache has an unknown key scop\. Did you mean scope\?/],
    [{ cache: { ttl: '1s', scope: 'all' } }, /^routes\[0\]\.cache\.scope must be one of tier, user, public/],
    [{ cache: { ttl: '1s', scope: 'public' } }, /^routes\[0\]\.cache\.scope: public needs credential: none/],
    [{ credential: 'none', cache: { ttl: '1s', scope: 'tier' } }, /^routes\[0\]\.cache\.scope: tier needs a session/],
  ])('%j is a problem', (changes, problem) => {
    expect(problemsOf(OVERLAY, routeWith(changes))).toEqual([expect.stringMatching(problem)]);
  });
});

describe('config/gateway.yaml', () => {
  const text = readFileSync(fileURLToPath(new URL('../../../config/gateway.yaml', import.meta.url)), 'utf8');
  const { cache } = parse(text) as { cache: Record<string, unknown> };

  test('sets every key of cache to its default, in the order of the table', () => {
    expect(Object.keys(cache)).toEqual([...CACHE.names]);
    expect(CACHE.parse([cache])).toEqual(CACHE.parse([]));
  });

  test.each([...CACHE.names])('describes cache.%s as the table does', (name) => {
    const comments = text.replace(/\n +# /g, (line) => (line.startsWith('\n  # ') ? ' ' : line));
    expect(comments).toContain(CACHE.setting(name).meaning);
  });

  test('shows a cache for /delivery and /search that is valid', () => {
    const shown = [...text.matchAll(/^ {4}# (cache: \{.*\})$/gm)].map(([, line = '']) => parse(line) as object);
    expect(shown).toHaveLength(2);
    for (const each of shown) expect(loadWith(OVERLAY, routeWith(each)).kind).toBe('ok');
  });
});
