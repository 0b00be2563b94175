/** What the cache is asked: for which answer, in whose scope, under which rules, and how Finvera is asked for it. */
import type { RouteCacheSettings } from '../config/settings.ts';
import type { RequestDirectives } from './cache-control.ts';
import { ageMs, type CacheEntry, ttlMs } from './cache-entry.ts';
import type { HeaderList } from './header-list.ts';
import type { UpstreamAnswer } from './upstream-answer.ts';

export interface CacheQuestion {
  readonly key: string;
  readonly uriKey: string;
  readonly scope: string;
  readonly route: string;
  readonly path: string;
  readonly rules: RouteCacheSettings;
  readonly directives: RequestDirectives;
  /** The longest wait for somebody else's exchange. */
  readonly maxWaitMs: number;
  readonly isGatewaysOwn: (lowerName: string) => boolean;
  /**
   * Asks Finvera with the credential of the one who asks. Undefined where that one has too much under way already: it is
   * to wait behind itself, and nobody behind it.
   * @throws GatewayError where there is no answer, or none may be asked for
   */
  fetch(validators: HeaderList): Promise<UpstreamAnswer | undefined>;
}

/**
 * A client's wish for something newer (RFC 9111 §5.2.1), unless what is kept is new by any measure: nobody may press
 * Finvera with it.
 * @param reloadAfterMs what is younger than this is new.
 */
export function wantsNewer(
  { noCache, maxAgeMs, minFreshMs }: RequestDirectives,
  entry: CacheEntry,
  now: number,
  reloadAfterMs: number,
): boolean {
  if (!noCache && maxAgeMs === undefined && minFreshMs === undefined) return false;
  if (now - entry.requestedAt < reloadAfterMs) return false;
  return noCache || ageMs(entry, now) > (maxAgeMs ?? Number.POSITIVE_INFINITY) || ttlMs(entry, now) < (minFreshMs ?? 0);
}
