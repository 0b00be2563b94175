import { afterEach, describe, expect, jest, test } from '@jest/globals';
import type { RedisConnection } from '../../../src/redis/redis-client.ts';
import { createRedisLock } from '../../../src/redis/redis-lock.ts';

afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

/** Real Redis is in test/contract/lock.test.ts; here only answers that are late. */
function setUp() {
  jest.useFakeTimers({ now: 0 });
  const set = Promise.withResolvers<'OK' | null>();
  const renewals: PromiseWithResolvers<number>[] = [];
  const redis = {
    set: () => set.promise,
    renewLock: () => {
      const renewal = Promise.withResolvers<number>();
      renewals.push(renewal);
      return renewal.promise;
    },
    releaseLock: async () => 1,
  } as unknown as RedisConnection;
  return { set, renewals, lock: createRedisLock(redis, 3_000) };
}

const settle = () => Promise.resolve().then(() => Promise.resolve());

describe('a lock whose answers are late', () => {
  test('counts its life from the moment it was asked for, not from the answer', async () => {
    const { set, lock } = setUp();
    const acquiring = lock.acquire('key');
    jest.advanceTimersByTime(2_000);
    set.resolve('OK');
    const lease = await acquiring;
    jest.advanceTimersByTime(1_000);
    expect(lease?.isLost()).toBe(false);
    jest.advanceTimersByTime(1);
    expect(lease?.isLost()).toBe(true);
    await lease?.release();
  });

  test('counts a renewal from the moment it was asked for', async () => {
    const { set, lock, renewals } = setUp();
    set.resolve('OK');
    const lease = await lock.acquire('key');
    jest.advanceTimersByTime(1_000);
    jest.advanceTimersByTime(900);
    renewals[0]?.resolve(1);
    await settle();
    jest.advanceTimersByTime(2_100);
    expect(lease?.isLost()).toBe(false);
    jest.advanceTimersByTime(1);
    expect(lease?.isLost()).toBe(true);
    await lease?.release();
  });

  test('is lost at once where a renewal finds another owner', async () => {
    const { set, lock, renewals } = setUp();
    set.resolve('OK');
    const lease = await lock.acquire('key');
    jest.advanceTimersByTime(1_000);
    renewals[0]?.resolve(0);
    await settle();
    expect(lease?.isLost()).toBe(true);
    await lease?.release();
  });

  test('renews three times in its life, and not after its release', async () => {
    const { set, lock, renewals } = setUp();
    set.resolve('OK');
    const lease = await lock.acquire('key');
    jest.advanceTimersByTime(2_999);
    expect(renewals).toHaveLength(2);
    jest.advanceTimersByTime(1);
    expect(renewals).toHaveLength(3);
    await lease?.release();
    jest.advanceTimersByTime(9_000);
    expect(renewals).toHaveLength(3);
  });
});
