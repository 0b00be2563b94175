/** Gauges that are read when somebody scrapes, not kept up to date. It asks its sources and changes nothing. */
import type { Metrics } from './metrics.ts';

export interface LiveSources {
  readonly cachedSessions: () => number;
  readonly isInvalidationHealthy: () => boolean;
  readonly isStoreConnected: () => boolean;
  readonly upstreamConnections: () => { readonly open: number; readonly busy: number; readonly waiting: number };
  /** May fail: the last estimate then stands. */
  readonly estimateSessions: () => Promise<number>;
}

/** Asking costs the store some hundred keys: not at every scrape of every instance. */
const ESTIMATE_INTERVAL_MS = 30_000;

export function showLiveGauges(metrics: Metrics, sources: LiveSources): void {
  let estimatedAt = Number.NEGATIVE_INFINITY;
  const estimate = () => {
    if (performance.now() - estimatedAt < ESTIMATE_INTERVAL_MS) return;
    estimatedAt = performance.now();
    sources.estimateSessions().then(
      (count) => metrics.sessionsActive.set(count),
      () => undefined,
    );
  };
  metrics.onScrape(() => {
    metrics.cachedSessions.set(sources.cachedSessions());
    metrics.invalidationHealthy.set(sources.isInvalidationHealthy() ? 1 : 0);
    metrics.storeConnected.set(sources.isStoreConnected() ? 1 : 0);
    for (const [state, count] of Object.entries(sources.upstreamConnections())) {
      metrics.upstreamConnections.set({ state }, count);
    }
    estimate();
  });
}
