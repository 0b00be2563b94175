/** Turns what happens in the stream hub into log lines and metrics. It decides nothing. */
import type { Secret } from '../kernel/secret.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** Why a message of the upstream reached nobody. */
export type DroppedBecause = 'no_symbol' | 'unwanted' | 'answer' | 'error' | 'malformed' | 'binary';

export interface HubReport {
  connected(): void;
  lost(why: string): void;
  retrying(attempt: number, waitMs: number, why: string): void;
  keyRefused(status: number): void;
  received(): void;
  delivered(readers: number): void;
  dropped(because: DroppedBecause): void;
  upstreamError(text: string): void;
}

/** What the hub holds, read when somebody scrapes. */
export interface HubGauges {
  readonly readers: number;
  readonly topics: number;
  readonly upstream: string;
}

/** An upstream that answers errors by the thousand must not fill the log. */
const ERROR_LINE_EVERY_MS = 10_000;

/** @param key an upstream may repeat it where it complains of it. */
export function createHubReport(log: Logger, metrics: Metrics, key: Pick<Secret, 'hideIn'>): HubReport {
  const counts = { received: 0, delivered: 0 };
  let errorToldAt = Number.NEGATIVE_INFINITY;
  // Counted in plain numbers, as messages come by the thousand; handed over when somebody scrapes.
  metrics.onScrape(() => {
    metrics.hubReceived.inc(counts.received);
    metrics.hubDelivered.inc(counts.delivered);
    Object.assign(counts, { received: 0, delivered: 0 });
  });
  return {
    connected() {
      metrics.hubConnections.inc({ outcome: 'open' });
      log.info({ event: 'hub_connected' }, 'the stream hub has its upstream');
    },
    lost(why) {
      metrics.hubConnections.inc({ outcome: 'lost' });
      log.warn({ event: 'hub_lost', reason: key.hideIn(why) }, 'the stream hub has no upstream');
    },
    retrying(attempt, waitMs, why) {
      metrics.hubConnections.inc({ outcome: 'retry' });
      log.info(
        { event: 'hub_retry', attempt, wait_ms: waitMs, reason: key.hideIn(why) },
        'the stream hub tries again later',
      );
    },
    keyRefused(status) {
      metrics.hubConnections.inc({ outcome: 'key_refused' });
      log.error(
        { event: 'hub_key_refused', upstream_status: status },
        'the upstream refuses FINVERA_API_KEY: browsers get nothing until it takes it',
      );
    },
    received() {
      counts.received += 1;
    },
    delivered(readers) {
      counts.delivered += readers;
    },
    dropped(because) {
      metrics.hubDropped.inc({ reason: because });
    },
    upstreamError(text) {
      metrics.hubDropped.inc({ reason: 'error' });
      if (performance.now() - errorToldAt < ERROR_LINE_EVERY_MS) return;
      errorToldAt = performance.now();
      log.warn({ event: 'hub_upstream_error', error: key.hideIn(text) }, 'the upstream told of an error');
    },
  };
}

/** Brings the gauges up to date before each scrape. */
export function showHub(metrics: Metrics, stats: () => HubGauges): void {
  metrics.onScrape(() => {
    const { readers, topics, upstream } = stats();
    metrics.hubReaders.set(readers);
    metrics.hubTopics.set(topics);
    metrics.hubUpstreamOpen.set(upstream === 'open' ? 1 : 0);
  });
}
