/**
 * Tells invalidations to every instance through Redis and hears theirs: a list that each instance reads anew all the time.
 * A list, not a message: an instance that was cut off or starts later reads what it missed.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { RedisConnection } from '../redis/redis-client.ts';
import { CACHE_INVALIDATIONS_KEY } from '../redis/redis-keys.ts';
import { type Invalidation, type Invalidations, invalidationForm, pathMark } from './invalidations.ts';

export type PurgeTarget =
  | { readonly kind: 'route'; readonly route: string }
  /** On paths, such as `/delivery/api/v1/events/*`. */
  | { readonly kind: 'pattern'; readonly pattern: string };

export interface InvalidationFeed {
  /** One path in every scope (RFC 9111 §4.4), here at once and elsewhere within half a second. */
  changed(path: string): void;
  close(): void;
}

const POLL_MS = 400;
/** Clocks of instances differ: what was written so long before the last look is read again. */
const OVERLAP_MS = 60_000;
/** And what was asked of Finvera a moment after the purge is dropped once more rather than shown. */
const SKEW_MS = 1_000;
/** Longer than any answer is of use. */
const RETENTION_MS = 16 * 24 * 3_600_000;

/**
 * What `cache purge` does: every instance stops using what it covers within a second.
 * @throws the error of Redis where it is not told.
 */
export async function tellPurge(redis: RedisConnection, target: PurgeTarget, now: number): Promise<void> {
  await tell(redis, { ...target, id: randomUUID(), at: now }, now);
}

async function tell(redis: RedisConnection, invalidation: Invalidation, now: number): Promise<void> {
  await redis.zadd(CACHE_INVALIDATIONS_KEY, now, JSON.stringify(invalidation));
  await redis.zremrangebyscore(CACHE_INVALIDATIONS_KEY, '-inf', now - RETENTION_MS);
  await redis.pexpire(CACHE_INVALIDATIONS_KEY, RETENTION_MS);
}

export function createInvalidationFeed(
  redis: RedisConnection,
  invalidations: Invalidations,
  clock: Clock,
  log: Logger,
): InvalidationFeed {
  const known = new Map<string, number>();
  let readUntil = clock.now() - RETENTION_MS;
  let isReading = false;

  const hear = (text: string) => {
    const parsed = invalidationForm.safeParse(parseJson(text));
    if (!parsed.success || known.has(parsed.data.id)) return;
    const { at, id, kind } = parsed.data;
    known.set(id, at);
    invalidations.apply({ ...parsed.data, at: at + SKEW_MS });
    if (kind !== 'path') log.info({ event: 'cache_purged', reason: kind }, 'kept answers are not used any more');
  };
  const read = async () => {
    if (isReading) return;
    isReading = true;
    try {
      const now = clock.now();
      for (const text of await redis.zrangebyscore(CACHE_INVALIDATIONS_KEY, readUntil - OVERLAP_MS, '+inf')) hear(text);
      readUntil = now;
      for (const [id, at] of known) if (at < now - 2 * OVERLAP_MS) known.delete(id);
    } catch {
      // Read again at the next look, from the last one that succeeded.
    } finally {
      isReading = false;
    }
  };
  const timer = setInterval(() => void read(), POLL_MS);
  timer.unref();
  redis.on('ready', () => void read());

  return {
    changed(path) {
      const now = clock.now();
      const invalidation: Invalidation = { kind: 'path', id: randomUUID(), at: now, mark: pathMark(path) };
      known.set(invalidation.id, now);
      invalidations.apply(invalidation);
      tell(redis, invalidation, now).catch(() => undefined);
    },
    close: () => clearInterval(timer),
  };
}

/** For an instance without Redis: it is all there is. */
export function createLocalFeed(invalidations: Invalidations, clock: Clock): InvalidationFeed {
  return {
    changed: (path) => invalidations.apply({ kind: 'path', id: '', at: clock.now(), mark: pathMark(path) }),
    close: () => undefined,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
