/** Builds the cache and what it is made of, where a route asks for it: the process's part, Redis's part, and what tells both what not to use. */
import type { SessionKey, Settings } from '../config/settings.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createRedisConnection } from '../redis/redis-client.ts';
import { createCacheSeal } from './cache-seal.ts';
import { createInvalidationFeed, createLocalFeed, type InvalidationFeed } from './invalidation-feed.ts';
import { createInvalidations } from './invalidations.ts';
import { createMemoryCacheStore } from './memory-cache-store.ts';
import { createQuickRedis } from './quick-redis.ts';
import { createRedisCacheStore } from './redis-cache-store.ts';
import { createResponseCache, type ResponseCache } from './response-cache.ts';

export interface SharedAnswers {
  readonly cache: ResponseCache;
  readonly feed: InvalidationFeed;
  replaceKeys(keys: readonly SessionKey[]): void;
  close(): void;
}

/** Undefined where no route has a cache: nothing is built, connected or paid for then. */
export function createSharedAnswers(
  settings: Settings,
  clock: Clock,
  log: Logger,
  metrics: Metrics,
): SharedAnswers | undefined {
  if (!settings.routes.some((route) => route.cache)) return undefined;
  const memory = createMemoryCacheStore(settings.cache.maxEntries, settings.cache.maxBytes);
  metrics.onScrape(() => {
    metrics.cacheEntries.set(memory.size);
    metrics.cacheBytes.set(memory.bytes);
  });
  const invalidations = createInvalidations();
  const parts = { settings: settings.cache, clock, memory, invalidations };
  const url = redisOf(settings);
  if (url === undefined) {
    const feed = createLocalFeed(invalidations, clock);
    return {
      cache: createResponseCache({ ...parts, shared: undefined }),
      feed,
      replaceKeys: () => undefined,
      close: feed.close,
    };
  }
  // A connection of its own, also to the same Redis: a large answer must not hold up the sessions behind it.
  const redis = createRedisConnection(url, log);
  const quick = createQuickRedis(redis, (usable) => {
    metrics.cacheRedisUsable.set(usable ? 1 : 0);
    const fields = { event: 'cache_redis', outcome: usable ? 'usable' : 'unusable' };
    if (usable) log.info(fields, 'shared answers are kept in redis again');
    else log.warn(fields, 'redis is too slow or gone: shared answers are kept in the process only');
  });
  metrics.cacheRedisUsable.set(1);
  const seal = createCacheSeal(settings.sessionKeys);
  const shared = createRedisCacheStore({
    redis,
    quick,
    seal,
    settings: settings.cache,
    clock,
    onOperation: (operation, outcome) => metrics.cacheRedisOperations.inc({ operation, outcome }),
  });
  const feed = createInvalidationFeed(redis, invalidations, clock, log);
  return {
    cache: createResponseCache({ ...parts, shared }),
    feed,
    replaceKeys: seal.replaceKeys,
    close() {
      feed.close();
      quick.close();
      redis.disconnect();
    },
  };
}

function redisOf({ cache, cacheRedisUrl, redisUrl, sessionStore }: Settings) {
  if (cache.redis === 'off') return undefined;
  return cacheRedisUrl ?? (sessionStore === 'redis' ? redisUrl : undefined);
}
