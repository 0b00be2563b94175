import { describe, expect, test } from '@jest/globals';
import { judgeRedis } from '../../../src/cli/judge-redis.ts';
import type { RedisFacts } from '../../../src/redis/redis-facts.ts';

const GOOD: RedisFacts = {
  place: 'redis:6379',
  version: '7.4.1',
  maxmemoryPolicy: 'noeviction',
  maxBytes: 1_000,
  usedBytes: 100,
  appendOnly: true,
  replicas: 1,
  lastWriteToDiskWorked: true,
  clockAheadMs: 3,
  roundTripMs: 0.4,
};

const judge = (changes: Partial<RedisFacts>) =>
  judgeRedis({ ...GOOD, ...changes }).map(({ level, says, mend }) => `${level}: ${says}${mend ? ` → ${mend}` : ''}`);

describe('a redis for sessions', () => {
  test('is praised where nothing is wrong', () => {
    expect(judge({})).toEqual([
      'ok: Redis 7.4.1 at redis:6379 answers in 0.4 ms.',
      "ok: The clock of redis:6379 agrees with this machine's.",
    ]);
  });

  test.each([
    [{ maxmemoryPolicy: 'allkeys-lru' }, /^wrong: maxmemory-policy of redis:6379 is allkeys-lru.*→ .*noeviction/],
    [{ maxBytes: 0 }, /^advice: maxmemory of redis:6379 is not set/],
    [{ usedBytes: 900 }, /^wrong: redis:6379 uses 90 % of its maxmemory/],
    [{ appendOnly: false }, /^wrong: redis:6379 keeps no append-only file/],
    [{ lastWriteToDiskWorked: false }, /^wrong: redis:6379 could not write to its disk/],
    [{ replicas: 0 }, /^advice: redis:6379 has no replica/],
    [{ version: '5.0.14' }, /^wrong: Redis 5\.0\.14 at redis:6379 is too old/],
    [{ version: '6.2.1' }, /^advice: Redis 6\.2\.1 .* is older than what is tested/],
    [{ clockAheadMs: 7_000 }, /^advice: The clock of redis:6379 is 7 s ahead of this machine's/],
    [{ clockAheadMs: -7_000 }, /7 s behind this machine's/],
    [{ roundTripMs: 80 }, /^advice: Redis 7\.4\.1 at redis:6379 answers in 80\.0 ms.*→ Bring it nearer/],
  ])('with %j is told so', (changes, expected) => {
    expect(judge(changes)).toContainEqual(expect.stringMatching(expected));
  });

  test('that may not be asked is unknown, not wrong', () => {
    const findings = judgeRedis({ place: 'redis:6379', roundTripMs: 1 });
    expect(findings.map(({ level }) => level)).toEqual(['ok', 'advice', 'advice']);
  });
});
