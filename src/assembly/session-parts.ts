/** Sessions, their store, seal and cache, wired: what happens to one is counted, audited, and told to the other instances. */
import { withSessionAudit } from '../observability/audit-reports.ts';
import { createSessionReport, createStoreMeter } from '../observability/reports.ts';
import { withStoreTrace } from '../observability/trace-reports.ts';
import type { InvalidationChannel } from '../redis/invalidation-channel.ts';
import { createMeasuredSessionStore } from '../session/measured-session-store.ts';
import { createMemorySessionStore } from '../session/memory-session-store.ts';
import { createRedisSessionStore } from '../session/redis-session-store.ts';
import { createSessionCache, type SessionCache } from '../session/session-cache.ts';
import { createSessions, type SessionObserver } from '../session/sessions.ts';
import { createTokenSeal } from '../session/token-seal.ts';
import type { AssemblyParts } from './assemble.ts';

/** Which of the assembly's parts sessions need. */
type SessionNeeds = Pick<
  AssemblyParts,
  'settings' | 'clock' | 'log' | 'metrics' | 'audit' | 'redis' | 'channel' | 'tracing'
>;

export function createSessionParts({ settings, clock, log, metrics, audit, redis, channel, tracing }: SessionNeeds) {
  const times = { idleTimeoutMs: settings.sessionIdleTimeout, absoluteTimeoutMs: settings.sessionAbsoluteTimeout };
  const cache = createSessionCache({ isTrusted: channel.isHealthy });
  keepCacheTrue(cache, channel);
  const seal = createTokenSeal(settings.sessionKeys, clock);
  const store = createMeasuredSessionStore(
    redis ? createRedisSessionStore(redis) : createMemorySessionStore(clock),
    withStoreTrace(createStoreMeter(metrics), tracing),
  );
  const sessions = createSessions({
    store,
    seal,
    cache,
    clock,
    times,
    maxPerUser: settings.sessionMaxPerUser,
    observer: withNews(withSessionAudit(createSessionReport(log, metrics), audit), channel),
  });
  metrics.readSessionLookups(() => cache.lookups);
  return { times, cache, seal, store, sessions };
}

/** What this instance does to sessions itself is news here at once, whether it hears the others or not. */
function withNews(observer: SessionObserver, channel: InvalidationChannel): SessionObserver {
  return {
    ...observer,
    ended(hash, userId, reason, requester) {
      observer.ended(hash, userId, reason, requester);
      channel.tell({ kind: 'ended', hash, reason });
    },
    renewed: (hash) => channel.tell({ kind: 'refreshed', hash }),
  };
}

/** What happened elsewhere is forgotten here; after a gap in hearing everything is. */
function keepCacheTrue(cache: SessionCache, channel: InvalidationChannel): void {
  channel.onEvent((event) => {
    if (event.kind === 'flushed') cache.clear();
    else cache.invalidate(event.hash);
  });
  channel.onHealthy(() => cache.clear());
}
