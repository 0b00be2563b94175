/**
 * Sessions in this process's memory, for development and single instances. They end with the process. Expiry is lazy:
 * a timer cannot wait for 30 days (setTimeout overflows at 24.8).
 */
import type { Clock } from '../kernel/clock.ts';
import type { SessionHash } from './session-id.ts';
import type { SessionStore, StoredSession } from './session-store.ts';

interface Entry {
  session: StoredSession;
  expiresAt: number;
}

/** A sweep of all entries each so many creations keeps the dead ones from piling up. */
const SWEEP_EVERY = 1_000;

export function createMemorySessionStore(clock: Clock): SessionStore {
  const entries = new Map<SessionHash, Entry>();
  let created = 0;

  const alive = (hash: SessionHash): Entry | undefined => {
    const entry = entries.get(hash);
    if (!entry || entry.expiresAt > clock.now()) return entry;
    entries.delete(hash);
    return undefined;
  };
  const sweep = () => {
    for (const hash of entries.keys()) alive(hash);
  };
  const ofUser = (userId: string): StoredSession[] => {
    const sessions: StoredSession[] = [];
    for (const hash of entries.keys()) {
      const entry = alive(hash);
      if (entry?.session.userId === userId) sessions.push(entry.session);
    }
    return sessions.sort((a, b) => a.createdAt - b.createdAt);
  };

  return {
    async create(session, ttlMs, keep) {
      created += 1;
      if (created % SWEEP_EVERY === 0) sweep();
      entries.set(session.hash, { session, expiresAt: clock.now() + ttlMs });
      const sessions = ofUser(session.userId);
      const surplus = sessions.slice(0, Math.max(0, sessions.length - keep)).map(({ hash }) => hash);
      for (const hash of surplus) entries.delete(hash);
      return surplus;
    },
    async read(hash) {
      return alive(hash)?.session;
    },
    async writeSeal(hash, { version, seal, absoluteExpiresAt, ttlMs, forced }) {
      const entry = alive(hash);
      if (!entry) return { kind: 'gone' };
      if (entry.session.version !== version) return { kind: 'conflict' };
      entry.session = {
        ...entry.session,
        version: version + 1,
        seal,
        absoluteExpiresAt,
        ...(forced ? { forced } : {}),
      };
      entry.expiresAt = clock.now() + ttlMs;
      return { kind: 'written', version: version + 1 };
    },
    async reseal(hash, read, seal) {
      const entry = alive(hash);
      if (entry?.session.seal !== read) return false;
      entry.session = { ...entry.session, seal };
      return true;
    },
    async touch(hash, lastSeenAt, ttlMs) {
      const entry = alive(hash);
      if (!entry || lastSeenAt <= entry.session.lastSeenAt) return;
      entry.session = { ...entry.session, lastSeenAt };
      entry.expiresAt = clock.now() + ttlMs;
    },
    async noteForced(hash, forced) {
      const entry = alive(hash);
      if (entry) entry.session = { ...entry.session, forced };
    },
    async end({ hash }, _reason, onlyVersion) {
      const entry = alive(hash);
      if (!entry || (onlyVersion !== undefined && entry.session.version !== onlyVersion)) return false;
      return entries.delete(hash);
    },
    async *all() {
      const found = [...entries.keys()].flatMap((hash) => alive(hash)?.session ?? []);
      if (found.length > 0) yield found.map((session) => ({ hash: session.hash, session }));
    },
    async estimate() {
      return entries.size;
    },
    async listByUser(userId) {
      return ofUser(userId);
    },
    async ping() {},
    async close() {
      entries.clear();
    },
  };
}
