/** Turns what happens to sessions and refreshes into log lines and metrics. It decides nothing. */
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { describe } from './request-log.ts';

/** As much of a session as may be told: never its id, never a token. */
interface ToldSession {
  readonly hash: string;
  readonly userId: string;
}

export function createSessionReport(log: Logger, metrics: Metrics) {
  return {
    started({ hash, userId }: ToldSession): void {
      metrics.sessionsStarted.inc();
      log.info({ event: 'session_started', session: hash, user_id: userId }, 'session started');
    },
    ended(hash: string, userId: string, reason: string): void {
      metrics.sessionsEnded.inc({ reason });
      log.info({ event: 'session_ended', session: hash, user_id: userId, reason }, 'session ended');
    },
    activityLost(error: unknown): void {
      log.debug({ event: 'activity_lost', error: describe(error) }, 'activity was not written');
    },
    resealed(hash: string, error?: unknown): void {
      metrics.sessionsResealed.inc({ outcome: error === undefined ? 'done' : 'failed' });
      if (error === undefined) return;
      log.debug({ event: 'reseal_failed', session: hash, error: describe(error) }, 'the older key stays on a session');
    },
  };
}

export function createStoreMeter({ storeSeconds, storeErrors }: Metrics) {
  return {
    took: (operation: string, ms: number, _hasFailed: boolean) => storeSeconds.observe(operation, ms / 1_000),
    failed: (operation: string) => storeErrors.inc({ operation }),
  };
}

export function createRefreshReport(log: Logger, metrics: Metrics) {
  return {
    exchanged({ hash, userId }: ToldSession, outcome: string, why: string, durationMs: number): void {
      metrics.refreshes.inc({ outcome, why });
      metrics.refreshSeconds.observe(durationMs / 1_000);
      const fields = {
        event: 'refresh',
        session: hash,
        user_id: userId,
        outcome,
        reason: why,
        duration_ms: Math.round(durationMs),
      };
      if (outcome === 'refreshed') log.info(fields, 'tokens renewed');
      else log.warn(fields, 'tokens not renewed');
    },
    joined(how: 'process' | 'store'): void {
      metrics.refreshJoined.inc({ how });
    },
    waited(ms: number): void {
      metrics.refreshWaitSeconds.observe(ms / 1_000);
    },
    lockLost({ hash }: ToldSession): void {
      metrics.refreshLockLost.inc();
      log.warn({ event: 'refresh_lock_lost', session: hash }, 'the refresh lock was lost while the exchange ran');
    },
    backgroundFailed({ hash }: ToldSession, error: unknown): void {
      const fields = {
        event: 'refresh_ahead_failed',
        session: hash,
        error: error === undefined ? undefined : describe(error),
      };
      log.warn(fields, 'renewing ahead failed; the token is still good');
    },
    writePending({ hash }: ToldSession, event: 'started' | 'written' | 'dropped'): void {
      metrics.refreshWritesPending.inc({ event });
      log.warn(
        { event: 'refresh_write_pending', session: hash, outcome: event },
        'new tokens could not be written at once',
      );
    },
  };
}
