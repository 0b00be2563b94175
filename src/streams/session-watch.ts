/**
 * Tells whatever lasts longer than a request (streams, events, long answers) what becomes of its session: refreshed, about
 * to expire, ended, or not to be verified any more. It hears what this and other instances do, knows the times at which a
 * session is over by itself, and reads sessions again where it may have missed something. It closes nothing.
 */
import type { Clock } from '../kernel/clock.ts';
import type { InvalidationChannel, SessionEvent } from '../redis/invalidation-channel.ts';
import { endOf, type Session, type SessionTimes } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';

/** As much of a session as is kept for as long as something of it lasts: no tokens. */
export type WatchedSession = Pick<
  Session,
  'id' | 'hash' | 'version' | 'lastSeenAt' | 'seenWrittenAt' | 'absoluteExpiresAt'
>;

export type ExpiryReason = 'idle' | 'absolute';

/** After `ended` or `unverified` nothing more is told. Must not throw. */
export interface SessionListener {
  ended(reason: string): void;
  /** For too long nobody could say whether the session still lives. */
  unverified(): void;
  refreshed?(version: number): void;
  /** Once, as the end comes near; again only where activity moved it away in between. */
  expiring?(reason: ExpiryReason): void;
}

export interface Watching {
  /** The user did something. Cheap; writes at intervals. */
  noteActivity(): void;
  /** Why the session ends soon, if it does. */
  expiring(): ExpiryReason | undefined;
  stop(): void;
}

export interface SessionWatch {
  /**
   * A session that ended a moment ago is told of in a microtask.
   * @param knownSince `gaps` as it was when the session was known to live. Default: now.
   */
  watch(session: WatchedSession, listener: SessionListener, knownSince?: number): Watching;
  /** Grows with each gap in hearing: what was known before one is in doubt. */
  readonly gaps: number;
  /** How many sessions have something that lasts. */
  readonly size: number;
  close(): void;
}

export interface SessionWatchOptions {
  readonly sessions: Pick<Sessions, 'find' | 'reread' | 'noteActivity'>;
  readonly channel: InvalidationChannel;
  readonly clock: Clock;
  readonly times: SessionTimes;
  /** Default 30 s (contract §6). */
  readonly maxUnverifiedMs?: number;
  /** How often times and hearing are looked at. Default 500 ms: while nothing is heard, an end is found by reading within a second. */
  readonly sweepMs?: number;
}

/** How long before its end a session counts as about to expire (contract §4). */
const EXPIRING_AHEAD_MS = 120_000;
const MAX_UNVERIFIED_MS = 30_000;
const SWEEP_MS = 500;
/** Reads under way at once, so that a gap does not become a storm on the store. */
const MAX_READS = 16;
/** While nothing is heard each session is read this often at most: a thousand reads a second for all of them. */
const READ_SPACING_MS = 1;
/** What ended while somebody was still on the way to watch it. */
const MAX_REMEMBERED_ENDS = 10_000;
const REMEMBERED_ENDS_MS = 60_000;

interface Entry {
  session: WatchedSession;
  readonly listeners: Set<SessionListener>;
  /** Since when it is not certain that the session still lives. */
  unverifiedSince: number | undefined;
  lastReadAt: number;
  /** Asked for and not begun: by whom. `reread` goes past the cache. */
  wanted: 'find' | 'reread' | undefined;
  isReading: boolean;
  toldExpiring: boolean;
}

/** As the store has known it: what the user did since the last writing counts here alone. */
const asWritten = ({ seenWrittenAt, absoluteExpiresAt }: WatchedSession) => ({
  lastSeenAt: seenWrittenAt,
  absoluteExpiresAt,
});

export function createSessionWatch(options: SessionWatchOptions): SessionWatch {
  const { sessions, channel, clock, times, maxUnverifiedMs = MAX_UNVERIFIED_MS, sweepMs = SWEEP_MS } = options;
  const entries = new Map<string, Entry>();
  const queue = new Set<Entry>();
  const ends = new Map<string, { readonly reason: string; readonly at: number }>();
  let reads = 0;
  /** A reading that began before a gap says nothing of what happened in it. */
  let gaps = 0;

  const drop = (entry: Entry, tell: (listener: SessionListener) => void) => {
    if (!entries.delete(entry.session.hash)) return;
    queue.delete(entry);
    const listeners = [...entry.listeners];
    entry.listeners.clear();
    for (const listener of listeners) tell(listener);
  };
  const end = (entry: Entry, reason: string) => drop(entry, (listener) => listener.ended(reason));

  const want = (entry: Entry, how: 'find' | 'reread') => {
    if (entry.wanted !== 'reread') entry.wanted = how;
    if (!entry.isReading) queue.add(entry);
    startReads();
  };
  const startReads = () => {
    for (const entry of queue) {
      if (reads >= MAX_READS) return;
      queue.delete(entry);
      void read(entry);
    }
  };
  const read = async (entry: Entry) => {
    const how = entry.wanted ?? 'find';
    const gap = gaps;
    entry.wanted = undefined;
    entry.isReading = true;
    reads += 1;
    try {
      const finding = await sessions[how](entry.session.id);
      if (entries.get(entry.session.hash) !== entry) return;
      if (finding.kind === 'unknown')
        return end(entry, endOf(asWritten(entry.session), clock.now(), times) ?? 'unknown');
      if (gap === gaps && how === 'reread') entry.unverifiedSince = undefined;
      adopt(entry, finding.session);
    } catch {
      entry.unverifiedSince ??= clock.now();
    } finally {
      reads -= 1;
      entry.isReading = false;
      entry.lastReadAt = clock.now();
      if (entry.wanted) queue.add(entry);
      startReads();
    }
  };
  const adopt = (entry: Entry, found: WatchedSession) => {
    const { session } = entry;
    const isNewer = found.version > session.version;
    entry.session = {
      id: session.id,
      hash: session.hash,
      version: Math.max(found.version, session.version),
      lastSeenAt: Math.max(found.lastSeenAt, session.lastSeenAt),
      seenWrittenAt: Math.max(found.seenWrittenAt, session.seenWrittenAt),
      absoluteExpiresAt: isNewer ? found.absoluteExpiresAt : session.absoluteExpiresAt,
    };
    if (isNewer) for (const listener of entry.listeners) listener.refreshed?.(found.version);
    const reason = expiryOf(entry.session);
    if (!reason || entry.toldExpiring) return;
    entry.toldExpiring = true;
    for (const listener of entry.listeners) listener.expiring?.(reason);
  };

  /** Why the session is about to expire, by what is known here. */
  const expiryOf = ({ lastSeenAt, absoluteExpiresAt }: WatchedSession): ExpiryReason | undefined => {
    const near = clock.now() + EXPIRING_AHEAD_MS;
    if (near < absoluteExpiresAt && near < lastSeenAt + times.idleTimeoutMs) return undefined;
    return absoluteExpiresAt <= lastSeenAt + times.idleTimeoutMs ? 'absolute' : 'idle';
  };

  const checkTimes = (entry: Entry, now: number) => {
    const over = endOf(entry.session, now, times);
    if (over === 'absolute') {
      // Certain without the store, which is only told, for its books.
      sessions.reread(entry.session.id).catch(() => undefined);
      return end(entry, over);
    }
    // The user may have been active elsewhere: the store's word ends an idle session.
    if (over === 'idle') return want(entry, 'reread');
    if (expiryOf(entry.session) === undefined) entry.toldExpiring = false;
    else if (!entry.toldExpiring) want(entry, 'find');
  };

  const sweep = () => {
    const now = clock.now();
    const isDeaf = !channel.isHealthy();
    const spacingMs = entries.size * READ_SPACING_MS;
    for (const entry of entries.values()) {
      if (isDeaf) entry.unverifiedSince ??= now;
      if (entry.unverifiedSince !== undefined) {
        if (now - entry.unverifiedSince >= maxUnverifiedMs) {
          drop(entry, (listener) => listener.unverified());
          continue;
        }
        if (now - entry.lastReadAt >= spacingMs) want(entry, 'reread');
      }
      checkTimes(entry, now);
    }
    for (const [hash, { at }] of ends) {
      if (now - at < REMEMBERED_ENDS_MS) break;
      ends.delete(hash);
    }
  };

  const onEvent = (event: SessionEvent) => {
    if (event.kind === 'flushed') return doubtAll();
    const entry = entries.get(event.hash);
    if (event.kind === 'ended') {
      ends.set(event.hash, { reason: event.reason, at: clock.now() });
      if (ends.size > MAX_REMEMBERED_ENDS) ends.delete(ends.keys().next().value as string);
      if (entry) end(entry, event.reason);
    } else if (entry) {
      want(entry, 'reread');
    }
  };
  const doubt = (entry: Entry) => {
    entry.unverifiedSince ??= clock.now();
    want(entry, 'reread');
  };
  const doubtAll = () => {
    gaps += 1;
    for (const entry of entries.values()) doubt(entry);
  };
  channel.onEvent(onEvent);
  channel.onHealthy(doubtAll);
  const timer = setInterval(sweep, sweepMs).unref();

  const enter = (session: WatchedSession): Entry => {
    const { id, hash, version, lastSeenAt, seenWrittenAt, absoluteExpiresAt } = session;
    const entry: Entry = {
      session: { id, hash, version, lastSeenAt, seenWrittenAt, absoluteExpiresAt },
      listeners: new Set(),
      unverifiedSince: undefined,
      lastReadAt: clock.now(),
      wanted: undefined,
      isReading: false,
      toldExpiring: expiryOf(session) !== undefined,
    };
    entries.set(hash, entry);
    return entry;
  };

  return {
    watch(session, listener, knownSince = gaps) {
      const ended = ends.get(session.hash);
      if (ended) {
        queueMicrotask(() => listener.ended(ended.reason));
        return { noteActivity() {}, expiring: () => undefined, stop() {} };
      }
      const known = entries.get(session.hash);
      if (known) adopt(known, session);
      const entry = known ?? enter(session);
      entry.listeners.add(listener);
      if (knownSince !== gaps) doubt(entry);
      return {
        noteActivity: () => sessions.noteActivity(entry.session),
        expiring: () => expiryOf(entry.session),
        stop() {
          entry.listeners.delete(listener);
          if (entry.listeners.size > 0 || entries.get(session.hash) !== entry) return;
          entries.delete(session.hash);
          queue.delete(entry);
        },
      };
    },
    get gaps() {
      return gaps;
    },
    get size() {
      return entries.size;
    },
    close() {
      clearInterval(timer);
      entries.clear();
      queue.clear();
    },
  };
}
