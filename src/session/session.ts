/** What a session is, and the rules on its times. Pure: no clock, no store, no network. */
import type { Secret } from '../kernel/secret.ts';
import type { SessionHash, SessionId } from './session-id.ts';

/** Who Finvera says the user is (`GET /kms/api/v1/auth/validate`). */
export interface Identity {
  readonly user_id: string;
  readonly email: string;
  readonly username: string;
  readonly licensing_tier_id: string;
}

/** Finvera's tokens with their ends on this machine's clock, counted from the moment of receipt. Times in ms since 1970. */
export interface Tokens {
  readonly access: Secret;
  /** Absent where Finvera gave none: the session then ends with the access token. */
  readonly refresh?: Secret;
  readonly accessExpiresAt: number;
  /** The whole life the access token had when it was received. */
  readonly accessLifeMs: number;
  readonly refreshExpiresAt?: number;
}

/** How the last forced refresh ended; it stands for a while, so that nobody can make a storm of them. */
export interface ForcedRefresh {
  readonly at: number;
  readonly outcome: 'refreshed' | 'unavailable';
}

/** What listing needs; readable without the cookie. Times in ms since 1970. */
export interface SessionMeta {
  /** The id shown in lists: random, of no use as a cookie. */
  readonly publicId: string;
  readonly userId: string;
  readonly createdAt: number;
  readonly ip: string;
  readonly userAgent: string;
}

/** A session that was found and opened. A value, but for the user's last activity, which moves while it is at hand. */
export interface Session extends SessionMeta {
  readonly id: SessionId;
  readonly hash: SessionHash;
  /** Grows by one with each write of the tokens; a write names the version it read. */
  readonly version: number;
  lastSeenAt: number;
  /** The activity that the store knows of. */
  seenWrittenAt: number;
  readonly absoluteExpiresAt: number;
  readonly user: Identity;
  readonly tokens: Tokens;
  readonly forced?: ForcedRefresh;
}

export interface SessionTimes {
  readonly idleTimeoutMs: number;
  readonly absoluteTimeoutMs: number;
}

/** Why a session ended; shown to browsers, logged and counted. */
export type EndReason =
  | 'logout'
  | 'replaced'
  | 'ended_by_user'
  | 'limit'
  | 'refresh_rejected'
  | 'refresh_reply_lost'
  | 'idle'
  | 'absolute'
  | 'operator';

const MAX_ACTIVITY_INTERVAL_MS = 60_000;

/** Activity is written at most this often: at every request it would cost a write each. */
export function activityIntervalMs(idleTimeoutMs: number): number {
  return Math.min(MAX_ACTIVITY_INTERVAL_MS, idleTimeoutMs / 10);
}

/** The absolute end: the setting's, and never beyond the refresh token's (RFC 10017 §6.1.2.2), or the access token's without one. */
export function absoluteEnd(createdAt: number, tokens: Tokens, { absoluteTimeoutMs }: SessionTimes): number {
  const tokensEnd = tokens.refresh ? (tokens.refreshExpiresAt ?? Number.POSITIVE_INFINITY) : tokens.accessExpiresAt;
  return Math.min(createdAt + absoluteTimeoutMs, tokensEnd);
}

/** How long the store keeps a session without activity; covers the interval, so that no active user is cut off early. */
export function storeTtlMs(now: number, lastSeenAt: number, absoluteExpiresAt: number, times: SessionTimes): number {
  const idleEnd = lastSeenAt + times.idleTimeoutMs + activityIntervalMs(times.idleTimeoutMs);
  return Math.max(1, Math.ceil(Math.min(idleEnd, absoluteExpiresAt) - now));
}

/** Tells whether a stored session is over, whatever the store's own expiry says. */
export function endOf(
  { lastSeenAt, absoluteExpiresAt }: Pick<Session, 'lastSeenAt' | 'absoluteExpiresAt'>,
  now: number,
  times: SessionTimes,
): 'idle' | 'absolute' | undefined {
  if (now >= absoluteExpiresAt) return 'absolute';
  if (now >= lastSeenAt + times.idleTimeoutMs + activityIntervalMs(times.idleTimeoutMs)) return 'idle';
  return undefined;
}

/** True where the last written activity is old enough to write anew. */
export function needsActivityWrite(lastSeenAt: number, now: number, { idleTimeoutMs }: SessionTimes): boolean {
  return now - lastSeenAt >= activityIntervalMs(idleTimeoutMs);
}
