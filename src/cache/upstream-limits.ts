/**
 * Remembers for which credentials Finvera answered 429, and until when, so that nothing more is sent for them meanwhile.
 * Not a limiter of its own: it counts nothing and only repeats what Finvera said.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';

/**
 * Whose limit it is: a user's, whatever token the user has at the moment (a renewed token is no new allowance, and
 * Finvera counts by account), or that of the server's key.
 */
export type CredentialTag = string & { readonly __brand: 'CredentialTag' };

/** @param owner the user's id, or undefined for the server's key. Hashed: it is of unknown shape and goes over Redis. */
export function credentialTag(owner: string | undefined): CredentialTag {
  const text = owner === undefined ? 'api-key' : `user:${owner}`;
  return createHash('sha256').update(text).digest('base64url') as CredentialTag;
}

/** How other instances are told and heard; without a guarantee: one that misses a word asks Finvera once itself. */
export interface LimitChannel {
  tellLimited(tag: string, forMs: number): void;
  onLimited(listener: (tag: string, forMs: number) => void): void;
}

export interface UpstreamLimits {
  /** True while anybody is limited: what a request asks first, so that it costs nothing while nobody is. */
  any(): boolean;
  /** Milliseconds until Finvera may be asked again; undefined: it may be asked. */
  waitMs(tag: CredentialTag): number | undefined;
  /** Finvera said 429 and to come back in `forMs`. A later end replaces an earlier one, never the other way round. */
  learn(tag: CredentialTag, forMs: number): void;
  readonly size: number;
}

/** Then Finvera is asked once again, however long it said: a wrong date must not lock a user out for a day. */
const HELD_MAX_MS = 3_600_000;
const MAX_REMEMBERED = 20_000;

interface Limited {
  /** As Finvera said. */
  readonly until: number;
  /** As long as it is believed without asking. */
  readonly heldUntil: number;
}

export function createUpstreamLimits(clock: Clock, channel?: LimitChannel): UpstreamLimits {
  const limited = new Map<string, Limited>();
  const remember = (tag: string, forMs: number): boolean => {
    const now = clock.now();
    const until = now + forMs;
    if (forMs <= 0 || (limited.get(tag)?.until ?? 0) >= until) return false;
    if (limited.size >= MAX_REMEMBERED) makeRoom(limited, now);
    limited.delete(tag);
    limited.set(tag, { until, heldUntil: Math.min(until, now + HELD_MAX_MS) });
    return true;
  };
  channel?.onLimited((tag, forMs) => void remember(tag, forMs));
  return {
    any: () => limited.size > 0,
    waitMs(tag) {
      const found = limited.get(tag);
      if (!found) return undefined;
      const now = clock.now();
      if (now < found.heldUntil) return found.until - now;
      limited.delete(tag);
      return undefined;
    },
    learn(tag, forMs) {
      if (remember(tag, forMs)) channel?.tellLimited(tag, forMs);
    },
    get size() {
      return limited.size;
    },
  };
}

/** Those whose time is over; where all are still held, the one that was learned first. */
function makeRoom(limited: Map<string, Limited>, now: number): void {
  for (const [tag, { heldUntil }] of limited) if (heldUntil <= now) limited.delete(tag);
  const [first] = limited.keys();
  if (limited.size >= MAX_REMEMBERED && first !== undefined) limited.delete(first);
}
