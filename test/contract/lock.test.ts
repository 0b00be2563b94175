// What every lock must do, run against each; what only one can do stands below.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RedisConnection } from '../../src/redis/redis-client.ts';
import { createMemoryLock, createRedisLock, type Lease, LOCK_TTL_MS, type Lock } from '../../src/redis/redis-lock.ts';
import { connectTo } from '../support/redis-connection.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';

let redis: TestRedis;
let connection: RedisConnection;
beforeAll(async () => {
  redis = await startRedis();
  connection = await connectTo(redis);
});
afterAll(async () => {
  connection.disconnect();
  await redis.close();
});

const held = (lease: Lease | undefined): Lease => {
  if (!lease) throw new Error('the lock is not ours');
  return lease;
};

/** Asks again until `condition` holds: for what real time brings about. */
async function until<T>(ask: () => T | Promise<T>, condition: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask();
    if (condition(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

let keys = 0;
const newKey = () => {
  keys += 1;
  return `lock-${keys}`;
};

describe.each<{ name: string; create: () => Lock }>([
  { name: 'memory', create: () => createMemoryLock() },
  { name: 'redis', create: () => createRedisLock(connection) },
])('the lock: $name', ({ create }) => {
  test('is held by one of many who ask at the same time', async () => {
    const [lock, key] = [create(), newKey()];
    const leases = await Promise.all(Array.from({ length: 20 }, () => lock.acquire(key)));
    const ours = leases.filter((lease) => lease !== undefined);
    expect(ours).toHaveLength(1);
    expect(ours[0]?.isLost()).toBe(false);
    await ours[0]?.release();
  });

  test('can be had again once it was given back', async () => {
    const [lock, key] = [create(), newKey()];
    await held(await lock.acquire(key)).release();
    await held(await lock.acquire(key)).release();
  });

  test('of one key does not hold up another', async () => {
    const lock = create();
    const leases = [held(await lock.acquire(newKey())), held(await lock.acquire(newKey()))];
    for (const lease of leases) await lease.release();
  });

  test('is given back by its owner only: who gave it back already does not take it from the next', async () => {
    const [lock, key] = [create(), newKey()];
    const first = held(await lock.acquire(key));
    await first.release();
    const second = held(await lock.acquire(key));
    await first.release();
    expect(await lock.acquire(key)).toBeUndefined();
    expect(second.isLost()).toBe(false);
    await second.release();
  });
});

describe('the redis lock alone', () => {
  const TTL_MS = 300;

  test('lives five seconds without renewal', async () => {
    const key = newKey();
    const lease = held(await createRedisLock(connection).acquire(key));
    const leftMs = await redis.client.pttl(key);
    expect(LOCK_TTL_MS).toBe(5_000);
    expect(leftMs).toBeGreaterThan(4_000);
    expect(leftMs).toBeLessThanOrEqual(5_000);
    await lease.release();
    expect(await redis.client.exists(key)).toBe(0);
  });

  test('is shared by all instances', async () => {
    const other = await connectTo(redis);
    const key = newKey();
    const lease = held(await createRedisLock(connection).acquire(key));
    expect(await createRedisLock(other).acquire(key)).toBeUndefined();
    await lease.release();
    await held(await createRedisLock(other).acquire(key)).release();
    other.disconnect();
  });

  test('is renewed while it is held, longer than its life', async () => {
    const key = newKey();
    const lock = createRedisLock(connection, TTL_MS);
    const lease = held(await lock.acquire(key));
    const owner = await redis.client.get(key);
    const startedAt = performance.now();
    await until(
      () => lock.acquire(key),
      (other) => other !== undefined || performance.now() - startedAt > 3 * TTL_MS,
    );
    expect(await redis.client.get(key)).toBe(owner);
    expect(lease.isLost()).toBe(false);
    await lease.release();
  });

  test('is not renewed any more once it was given back', async () => {
    const key = newKey();
    const lease = held(await createRedisLock(connection, TTL_MS).acquire(key));
    const owner = (await redis.client.get(key)) ?? '';
    await lease.release();
    await redis.client.set(key, owner, 'PX', TTL_MS);
    await until(
      () => redis.client.exists(key),
      (exists) => exists === 0,
    );
  });

  test('dies with its holder', async () => {
    const holder = await connectTo(redis);
    const key = newKey();
    const lease = held(await createRedisLock(holder, TTL_MS).acquire(key));
    holder.disconnect();
    const next = await until(
      () => createRedisLock(connection, TTL_MS).acquire(key),
      (other) => other !== undefined,
    );
    await until(
      () => lease.isLost(),
      (isLost) => isLost,
    );
    await lease.release();
    expect(next?.isLost()).toBe(false);
    expect(await redis.client.exists(key)).toBe(1);
    await next?.release();
  });

  test('that another took is lost, and is neither renewed nor given back by the first', async () => {
    const key = newKey();
    const lease = held(await createRedisLock(connection, TTL_MS).acquire(key));
    await redis.client.set(key, 'another', 'PX', 60_000);
    await until(
      () => lease.isLost(),
      (isLost) => isLost,
    );
    await lease.release();
    expect(await redis.client.get(key)).toBe('another');
    expect(await redis.client.pttl(key)).toBeGreaterThan(TTL_MS);
  });

  test('is lost where redis does not answer for longer than its life, and giving it back then does not hang', async () => {
    const own = await startRedis();
    const ownConnection = await connectTo(own);
    const key = newKey();
    const lease = held(await createRedisLock(ownConnection, TTL_MS).acquire(key));
    own.pause();
    expect(lease.isLost()).toBe(false);
    await until(
      () => lease.isLost(),
      (isLost) => isLost,
    );
    ownConnection.disconnect();
    own.resume();
    await lease.release();
    await own.close();
  });

  test('rejects where redis cannot be asked', async () => {
    const gone = await connectTo(redis);
    gone.disconnect();
    await expect(createRedisLock(gone).acquire(newKey())).rejects.toThrow();
  });
});
