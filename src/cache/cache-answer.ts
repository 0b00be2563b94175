/** What the cache answers, and what it says of itself with each kind of answer (RFC 9211). Pure. */
import { GatewayError } from '../kernel/errors.ts';
import { type CacheEntry, ttlMs } from './cache-entry.ts';
import type { CacheStatus, ForwardReason } from './cache-status.ts';
import type { HeaderList } from './header-list.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';

/** How an answer came about, for metrics. */
export type CacheOutcome = 'hit' | 'stale' | 'miss' | 'collapsed' | 'revalidated' | 'stale_if_error' | 'passed';

export interface KeptAnswer {
  readonly kind: 'kept';
  readonly entry: CacheEntry;
  readonly outcome: CacheOutcome;
  readonly status: CacheStatus;
  /** It waited for somebody else's exchange: what was true of the asker when it began may be so no longer. */
  readonly waited: boolean;
  /** Fields of the asker's own exchange that are nobody else's: what is left of the asker's limit. */
  readonly own?: HeaderList;
}

export type CacheAnswer =
  | KeptAnswer
  /** For the one who asked alone: to be passed as it comes. */
  | {
      readonly kind: 'passed';
      readonly answer: UpstreamAnswer;
      readonly chunks: readonly Buffer[];
      readonly status: CacheStatus;
    }
  /** To be forwarded as if there were no cache. */
  | { readonly kind: 'alone'; readonly status: CacheStatus; readonly waited: boolean }
  /** `only-if-cached`, and nothing fresh is kept (RFC 9111 §5.2.1.7). */
  | { readonly kind: 'not_kept' }
  /** Finvera gave no answer, or could not be asked, and nothing kept may stand in for it. */
  | { readonly kind: 'failed'; readonly error: unknown; readonly status: CacheStatus };

export const hit = (entry: CacheEntry, now: number, waited: boolean): KeptAnswer => ({
  kind: 'kept',
  entry,
  outcome: 'hit',
  status: { kind: 'hit', ttlMs: ttlMs(entry, now) },
  waited,
});

export const staleWhileRevalidate = (entry: CacheEntry, now: number, waited: boolean): KeptAnswer => ({
  kind: 'kept',
  entry,
  outcome: 'stale',
  status: { kind: 'hit', ttlMs: ttlMs(entry, now), detail: 'stale-while-revalidate' },
  waited,
});

/** @param forwardedStatus what Finvera answered; undefined where it gave no answer or was not asked. */
export function staleIfError(entry: CacheEntry, now: number, error: unknown, forwardedStatus?: number): KeptAnswer {
  const status: CacheStatus =
    error === undefined || wasForwarded(error)
      ? {
          kind: 'forward',
          reason: 'stale',
          detail: 'stale-if-error',
          ...(forwardedStatus === undefined ? {} : { forwardedStatus }),
        }
      : { kind: 'hit', ttlMs: ttlMs(entry, now), detail: isLimited(error) ? 'rate-limited' : 'stale-if-error' };
  return { kind: 'kept', entry, outcome: 'stale_if_error', status, waited: false };
}

export const collapsed = (entry: CacheEntry, reason: ForwardReason): KeptAnswer => ({
  kind: 'kept',
  entry,
  outcome: 'collapsed',
  status: { kind: 'forward', reason, stored: true, collapsed: true },
  waited: true,
});

export const alone = (reason: ForwardReason, waited: boolean): CacheAnswer => ({
  kind: 'alone',
  status: { kind: 'forward', reason },
  waited,
});

export const passed = (answer: UpstreamAnswer, chunks: readonly Buffer[], reason: ForwardReason): CacheAnswer => ({
  kind: 'passed',
  answer,
  chunks,
  status: { kind: 'forward', reason },
});

export const failed = (error: unknown, reason: ForwardReason): CacheAnswer => ({
  kind: 'failed',
  error,
  status: statusOfError(error, reason),
});

/** Only what really went to Finvera is said to have been forwarded. */
export function statusOfError(error: unknown, reason: ForwardReason): CacheStatus {
  if (wasForwarded(error)) return { kind: 'forward', reason };
  return isLimited(error) ? { kind: 'none', detail: 'rate-limited' } : { kind: 'none' };
}

/** What says nothing of the request that met it: other errors, such as a session that ended, are the asker's own. */
export function isFault(error: unknown): boolean {
  return error instanceof GatewayError && (error.kind.startsWith('upstream_') || error.kind === 'rate_limited');
}

const isLimited = (error: unknown): boolean => error instanceof GatewayError && error.kind === 'rate_limited';

/** `upstream_unavailable` is an open breaker or an overload: nothing was sent. */
const wasForwarded = (error: unknown): boolean =>
  error instanceof GatewayError && ['upstream_invalid', 'upstream_refused', 'upstream_timeout'].includes(error.kind);
