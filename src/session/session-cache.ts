/**
 * Sessions that were opened a moment ago, so that most requests need neither Redis nor a decryption. Valid at most 30 s
 * and only while this instance hears of what others do to sessions; bounded by bytes. It is never the truth.
 */
import { LRUCache } from 'lru-cache';
import type { Session } from './session.ts';
import type { SessionHash, SessionId } from './session-id.ts';

export const CACHE_TTL_MS = 30_000;
const CACHE_MAX_BYTES = 16 * 1024 * 1024;
const MAX_ENTRIES = 20_000;
/** What an entry costs besides its strings, measured roughly: objects, map slots, hash index. */
const ENTRY_OVERHEAD_BYTES = 1_200;

export interface SessionCacheOptions {
  /** False: every look-up misses and nothing is kept. */
  readonly isTrusted: () => boolean;
  readonly maxBytes?: number;
}

export interface SessionCache {
  get(id: SessionId): Session | undefined;
  /**
   * Reads through `load`, once for all who ask at the same time. What was invalidated while it was read is given to
   * those who asked before, and not kept; who asks afterwards reads anew.
   */
  load(hash: SessionHash, load: () => Promise<Session | undefined>): Promise<Session | undefined>;
  invalidate(hash: string): void;
  clear(): void;
  readonly size: number;
  /** Look-ups so far that needed the store no more, and those that did. */
  readonly lookups: { readonly hits: number; readonly misses: number };
  readonly bytes: number;
}

interface Reading {
  readonly result: Promise<Session | undefined>;
  outdated: boolean;
}

export function createSessionCache({ isTrusted, maxBytes = CACHE_MAX_BYTES }: SessionCacheOptions): SessionCache {
  const entries = new LRUCache<SessionId, Session>({
    max: MAX_ENTRIES,
    maxSize: maxBytes,
    ttl: CACHE_TTL_MS,
    sizeCalculation: sizeOf,
    dispose: ({ hash, id }, _key, reason) => {
      if (reason !== 'set' && ids.get(hash) === id) ids.delete(hash);
    },
  });
  const ids = new Map<string, SessionId>();
  const readings = new Map<string, Reading>();
  const lookups = { hits: 0, misses: 0 };

  const keep = (session: Session) => {
    ids.set(session.hash, session.id);
    entries.set(session.id, session);
  };

  return {
    get(id) {
      const found = isTrusted() ? entries.get(id) : undefined;
      if (found) lookups.hits += 1;
      else lookups.misses += 1;
      return found;
    },
    load(hash, load) {
      const running = readings.get(hash);
      if (running) return running.result;
      const reading: Reading = {
        outdated: false,
        result: load().then(
          (session) => {
            if (readings.get(hash) === reading) readings.delete(hash);
            if (session && !reading.outdated && isTrusted()) keep(session);
            return session;
          },
          (error: unknown) => {
            if (readings.get(hash) === reading) readings.delete(hash);
            throw error;
          },
        ),
      };
      readings.set(hash, reading);
      return reading.result;
    },
    invalidate(hash) {
      const reading = readings.get(hash);
      if (reading) {
        reading.outdated = true;
        readings.delete(hash);
      }
      const id = ids.get(hash);
      if (id !== undefined) entries.delete(id);
    },
    clear() {
      for (const reading of readings.values()) reading.outdated = true;
      readings.clear();
      entries.clear();
      ids.clear();
    },
    lookups,
    get size() {
      return entries.size;
    },
    get bytes() {
      return entries.calculatedSize;
    },
  };
}

/** Strings of tokens are Latin-1, one byte a character. */
function sizeOf({ tokens, user, userAgent }: Session): number {
  const strings = tokens.access.length + (tokens.refresh?.length ?? 0) + user.email.length + userAgent.length;
  return ENTRY_OVERHEAD_BYTES + strings;
}
