/**
 * A lock in Redis that its holder keeps alive while it works, so that work slower than the lock's life is safe, and that
 * dies with its holder. It does not fence by itself: what is written under it is compared by version.
 */
import { randomBytes } from 'node:crypto';
import type { RedisConnection } from './redis-client.ts';

/** How long others wait for a holder that died. */
export const LOCK_TTL_MS = 5_000;

export interface Lease {
  /** True once the lock may be another's: its renewal failed for longer than its life. */
  isLost(): boolean;
  /** Gives the lock back; never throws: a lock that could not be given back expires. */
  release(): Promise<void>;
}

export interface Lock {
  /**
   * @returns undefined where another holds it.
   * @throws the store's error where Redis does not answer.
   */
  acquire(key: string): Promise<Lease | undefined>;
}

export function createRedisLock(redis: RedisConnection, ttlMs: number = LOCK_TTL_MS): Lock {
  return {
    async acquire(key) {
      const owner = randomBytes(12).toString('base64url');
      const startedAt = performance.now(); // its life counts from the sending: the answer may have been under way for long
      const taken = await redis.set(key, owner, 'PX', ttlMs, 'NX');
      return taken === 'OK' ? keepAlive(redis, key, owner, ttlMs, startedAt) : undefined;
    },
  };
}

function keepAlive(redis: RedisConnection, key: string, owner: string, ttlMs: number, takenAt: number): Lease {
  let renewedAt = takenAt;
  let taken = false;
  const timer = setInterval(() => {
    const startedAt = performance.now();
    redis.renewLock(key, owner, ttlMs).then(
      (renewed) => {
        if (renewed === 1) renewedAt = startedAt;
        else taken = true;
      },
      () => undefined, // counted by its age: see isLost
    );
  }, ttlMs / 3);
  timer.unref();
  return {
    isLost: () => taken || performance.now() - renewedAt > ttlMs,
    async release() {
      clearInterval(timer);
      await redis.releaseLock(key, owner).catch(() => undefined);
    },
  };
}

/** The same for the memory store: one process, so nothing expires. */
export function createMemoryLock(): Lock {
  const held = new Map<string, symbol>();
  return {
    async acquire(key) {
      if (held.has(key)) return undefined;
      const owner = Symbol();
      held.set(key, owner);
      return {
        isLost: () => false,
        release: async () => {
          if (held.get(key) === owner) held.delete(key);
        },
      };
    },
  };
}
