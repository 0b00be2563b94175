/**
 * Kept answers in Redis, for all instances: sealed, compressed, inside a byte budget; and the lock under which one
 * instance asks Finvera while the others wait. No operation here is waited for longer than `quick-redis.ts` allows, but
 * another instance's exchange.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { CacheSettings } from '../config/settings.ts';
import type { Clock } from '../kernel/clock.ts';
import type { RedisConnection } from '../redis/redis-client.ts';
import { CACHE_PARTS, cacheKeys } from '../redis/redis-keys.ts';
import { createRedisLock, type Lease } from '../redis/redis-lock.ts';
import { type CacheEntry, lifeMs } from './cache-entry.ts';
import type { CacheSeal } from './cache-seal.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';
import { LATE, type QuickRedis } from './quick-redis.ts';

export type Look =
  | { readonly kind: 'found'; readonly entry: CacheEntry }
  /** Ask Finvera; `release` when others may go on. */
  | { readonly kind: 'lead'; release(): void }
  /** Each is to ask Finvera for itself: the last answer was not one to share. */
  | { readonly kind: 'each_alone' }
  | { readonly kind: 'unavailable' };

export interface RedisCacheStore {
  /**
   * Finds an entry that satisfies `isGood`, or who is to fetch one. Waits while another instance fetches it, at most
   * `maxWaitMs`; where `mayWait` is false that is `each_alone` at once.
   */
  look(key: string, isGood: (entry: CacheEntry) => boolean, mayWait: boolean, maxWaitMs: number): Promise<Look>;
  /** Resolves when it is written, or could not be. */
  put(key: string, entry: CacheEntry): Promise<void>;
  drop(key: string): void;
  /** For a moment nobody waits for anybody over this key. */
  markEachAlone(key: string): Promise<void>;
}

export interface RedisCacheStoreOptions {
  readonly redis: RedisConnection;
  readonly quick: QuickRedis;
  readonly seal: CacheSeal;
  readonly settings: CacheSettings;
  readonly clock: Clock;
  /** Told what became of each operation. */
  readonly onOperation: (operation: 'get' | 'put', outcome: 'found' | 'absent' | 'done' | 'failed') => void;
}

/** Renewed while the exchange runs: others wait so long for an instance that died. */
const LOCK_TTL_MS = 2_000;
const EACH_ALONE_MS = 2_000;
const EACH_ALONE = Buffer.from('-');
/** In a row, while another instance is known to ask. */
const MAX_LATES = 2;
const POLL_MIN_MS = 8;
const POLL_MAX_MS = 60;
/** A moment longer in Redis than of use: it may still be confirmed instead of sent anew. */
const RETENTION_MS = 60_000;

export function createRedisCacheStore(options: RedisCacheStoreOptions): RedisCacheStore {
  const { redis, quick, seal, settings, clock, onOperation } = options;
  const lock = createRedisLock(redis, LOCK_TTL_MS);
  const partBudget = Math.floor(settings.redisMaxBytes / CACHE_PARTS);

  /** The entry, that each is alone, nothing, or LATE. */
  const read = async (name: string): Promise<CacheEntry | 'each_alone' | undefined | typeof LATE> => {
    const bytes = await quick.run(() => redis.getBuffer(cacheKeys(name).entry));
    if (bytes === LATE) return LATE;
    if (bytes === null) return undefined;
    if (bytes.equals(EACH_ALONE)) return 'each_alone';
    const plain = seal.open(name, bytes);
    return plain && (await decodeEntry(plain, settings.maxEntryBytes));
  };
  const acquire = async (name: string): Promise<Lease | undefined | typeof LATE> => {
    let gaveUp = false;
    const taking = lock.acquire(cacheKeys(name).lock);
    // One that comes too late to be used must not hold up the others.
    taking.then(
      (lease) => void (gaveUp && lease?.release()),
      () => undefined,
    );
    const lease = await quick.run(() => taking);
    gaveUp = lease === LATE;
    return lease;
  };
  /** One round; `busy` where another instance fetches it. */
  const lookOnce = async (name: string, isGood: (entry: CacheEntry) => boolean): Promise<Look | 'busy'> => {
    let lease: Lease | undefined;
    for (;;) {
      const found = await read(name);
      if (found === LATE) return release(lease, { kind: 'unavailable' });
      if (found === 'each_alone') return release(lease, { kind: 'each_alone' });
      if (found && isGood(found)) return release(lease, { kind: 'found', entry: found });
      // Between the look and the lock another instance may have finished: it is looked for once more under the lock.
      if (lease) return { kind: 'lead', release: () => void lease?.release() };
      const taken = await acquire(name);
      if (taken === LATE) return { kind: 'unavailable' };
      if (!taken) return 'busy';
      lease = taken;
    }
  };

  return {
    async look(key, isGood, mayWait, maxWaitMs) {
      if (!quick.isUsable()) return { kind: 'unavailable' };
      const name = seal.nameOf(key);
      const until = performance.now() + maxWaitMs;
      let latesLeft = 0;
      for (let pauseMs = POLL_MIN_MS; ; pauseMs = Math.min(pauseMs * 1.5, POLL_MAX_MS)) {
        const look = await lookOnce(name, isGood);
        // Who waits for another instance loses nothing by waiting on: one late answer of Redis's is not the end of it.
        if (look !== 'busy' && (look.kind !== 'unavailable' || latesLeft === 0 || !quick.isUsable())) {
          onOperation('get', look.kind === 'found' ? 'found' : look.kind === 'unavailable' ? 'failed' : 'absent');
          return look;
        }
        if (look === 'busy') latesLeft = MAX_LATES;
        else latesLeft -= 1;
        if (!mayWait || performance.now() > until) return { kind: 'each_alone' };
        await delay(pauseMs * (0.7 + Math.random() * 0.6), undefined, { ref: false });
      }
    },
    async put(key, entry) {
      const ttlMs = Math.ceil(entry.bornAt + lifeMs(entry) - clock.now()) + RETENTION_MS;
      if (!quick.isUsable() || ttlMs <= 0) return;
      try {
        const name = seal.nameOf(key);
        const keys = cacheKeys(name);
        const sealed = seal.seal(name, await encodeEntry(entry, settings.compressFrom));
        const now = clock.now();
        await redis.keepShared(keys.entry, keys.ends, keys.sizes, sealed, name, ttlMs, now, partBudget, keys.prefix);
        onOperation('put', 'done');
      } catch {
        onOperation('put', 'failed');
      }
    },
    drop(key) {
      if (!quick.isUsable()) return;
      const name = seal.nameOf(key);
      const keys = cacheKeys(name);
      redis.dropShared(keys.entry, keys.ends, keys.sizes, name).catch(() => undefined);
    },
    async markEachAlone(key) {
      if (!quick.isUsable()) return;
      await redis.set(cacheKeys(seal.nameOf(key)).entry, EACH_ALONE, 'PX', EACH_ALONE_MS).catch(() => undefined);
    },
  };
}

function release(lease: Lease | undefined, look: Look): Look {
  void lease?.release();
  return look;
}
