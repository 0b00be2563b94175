/**
 * Every key shape the gateway uses in Redis. All keys of one session carry its hash as hash tag, so that they share
 * a Cluster slot; no command touches keys of two slots.
 */
import { createHash } from 'node:crypto';

const PREFIX = 'finvera';

/** Hash with the fields v (version), l (last seen), x (absolute end), m (what listing needs), s (the seal), f (forced refresh). */
export const sessionKey = (hash: string): string => `${PREFIX}:{${hash}}:session`;

/** String: the owner's random tag, while one instance refreshes this session. */
export const refreshLockKey = (hash: string): string => `${PREFIX}:{${hash}}:lock`;

/** Sorted set: a user's session hashes by the moment they began. The user's id is hashed: it is of unknown shape. */
export const userSessionsKey = (userId: string): string =>
  `${PREFIX}:user:{${createHash('sha256').update(userId).digest('base64url')}}`;

/** Prefix of the login throttle's counters. */
export const THROTTLE_PREFIX = `${PREFIX}:throttle`;

/** What all keys of sessions begin with. */
export const SESSION_KEY_PREFIX = `${PREFIX}:{`;

/** Every session's key, as a pattern for SCAN. */
export const SESSION_KEY_PATTERN = `${PREFIX}:{*}:session`;

const SESSION_KEY_FORM = new RegExp(`^${PREFIX}:\\{([^}]+)\\}:session$`);

/** @returns the hash in a session's key; undefined for other keys. */
export const hashOfSessionKey = (key: string): string | undefined => SESSION_KEY_FORM.exec(key)?.[1];

/** Channel of what happens to sessions: `ended <hash> <reason>`, `refreshed <hash>` and `resealed <hash>`. */
export const EVENTS_CHANNEL = `${PREFIX}:events`;

/** An instance's channel to itself. */
export const echoChannel = (instance: string): string => `${PREFIX}:echo:${instance}`;

/** Parts of the shared answers' byte budget, each in one Cluster slot: one alone would be one node's work. */
export const CACHE_PARTS = 16;

/** Keys of one part of the shared answers; no command touches two parts. */
export interface CacheKeys {
  /** String: a sealed answer, or the mark that it is not to be shared. */
  readonly entry: string;
  /** String: the owner's random tag, while one instance asks Finvera for it. */
  readonly lock: string;
  /** Sorted set: names of the part's answers by the moment they end. */
  readonly ends: string;
  /** Hash: bytes of each of them, and under `` their sum. */
  readonly sizes: string;
  /** What the entries' keys begin with, before the name. */
  readonly prefix: string;
}

/** @param name base64url of an HMAC. */
export function cacheKeys(name: string): CacheKeys {
  const part = `${PREFIX}:cache:{c${(name.charCodeAt(0) + name.charCodeAt(1)) % CACHE_PARTS}}`;
  const prefix = `${part}:entry:`;
  return {
    entry: prefix + name,
    lock: `${part}:lock:${name}`,
    ends: `${part}:ends`,
    sizes: `${part}:sizes`,
    prefix,
  };
}

/** Sorted set: what of the shared answers is not to be used any more, by the moment it was told. */
export const CACHE_INVALIDATIONS_KEY = `${PREFIX}:cache:invalidations`;
