/** The member that says what the cache did (RFC 9211). It tells no key, no user and no host. Pure. */
import { PSEUDONYM } from '../kernel/via.ts';

/** Why Finvera was asked; RFC 9211 §2.2. */
export type ForwardReason = 'uri-miss' | 'vary-miss' | 'stale' | 'request' | 'method' | 'bypass';

export type CacheStatus =
  | { readonly kind: 'hit'; readonly ttlMs: number; readonly detail?: string }
  | {
      readonly kind: 'forward';
      readonly reason: ForwardReason;
      /** Where it is not that of the answer. */
      readonly forwardedStatus?: number;
      readonly stored?: boolean;
      /** Another request's exchange was this one's, too. */
      readonly collapsed?: boolean;
      readonly detail?: string;
    }
  /** The gateway answered by itself, and the cache was not asked or had nothing. */
  | { readonly kind: 'none'; readonly detail?: string };

export function formatCacheStatus(status: CacheStatus): string {
  const parts = [PSEUDONYM];
  if (status.kind === 'hit') {
    parts.push('hit', `ttl=${Math.floor(status.ttlMs / 1_000)}`);
  } else if (status.kind === 'forward') {
    parts.push(`fwd=${status.reason}`);
    if (status.forwardedStatus !== undefined) parts.push(`fwd-status=${status.forwardedStatus}`);
    if (status.stored) parts.push('stored');
    if (status.collapsed) parts.push('collapsed');
  }
  if (status.detail !== undefined) parts.push(`detail=${status.detail}`);
  return parts.join('; ');
}
