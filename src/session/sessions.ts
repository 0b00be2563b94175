/**
 * The gateway's sessions: begins, finds, renews, lists and ends them. Between the cookie's id and the store it hashes and
 * seals; it never talks to Finvera.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import type { Requester } from '../observability/audit-reports.ts';
import {
  absoluteEnd,
  type EndReason,
  endOf,
  type ForcedRefresh,
  type Identity,
  needsActivityWrite,
  type Session,
  type SessionTimes,
  storeTtlMs,
  type Tokens,
} from './session.ts';
import type { SessionCache } from './session-cache.ts';
import { hashSessionId, newSessionId, type SessionHash, type SessionId } from './session-id.ts';
import type { SessionStore, StoredSession } from './session-store.ts';
import type { SealedContents, TokenSeal } from './token-seal.ts';

export interface NewSession {
  readonly user: Identity;
  readonly tokens: Tokens;
  readonly ip: string;
  readonly userAgent: string;
}

export type Finding =
  | { readonly kind: 'found'; readonly session: Session }
  /** Never was, ended, expired, or sealed by a key that is gone. */
  | { readonly kind: 'unknown' };

export type Renewal =
  | { readonly kind: 'renewed'; readonly session: Session }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'gone' };

/** Told of what happens to sessions; must not throw. */
export interface SessionObserver {
  started(session: Session, requester?: Requester): void;
  ended(hash: SessionHash, userId: string, reason: EndReason, requester?: Requester): void;
  /** New tokens are stored. */
  renewed?(hash: SessionHash): void;
  /** A write of activity failed: nothing is lost but precision of the idle time. */
  activityLost(error: unknown): void;
  /** Sealed anew under the newest key; with an error: not yet, the older key still opens it. */
  resealed(hash: SessionHash, error?: unknown): void;
}

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly seal: TokenSeal;
  readonly cache: SessionCache;
  readonly clock: Clock;
  readonly times: SessionTimes;
  readonly maxPerUser: number;
  readonly observer: SessionObserver;
}

/** All but `noteActivity` reject with GatewayError `store_unavailable` where the store does not answer. */
export interface Sessions {
  /** @param requester the request behind it, for whoever is told; so everywhere. */
  begin(session: NewSession, requester?: Requester): Promise<Session>;
  /** From the cache where it may be trusted, and then at once; else from the store. */
  find(id: SessionId): Finding | Promise<Finding>;
  /** From the store, whatever the cache says: for decisions on what others may have written. */
  reread(id: SessionId): Promise<Finding>;
  /** Marks the user as active; writes in the background and at intervals. */
  noteActivity(session: Pick<Session, 'hash' | 'lastSeenAt' | 'seenWrittenAt' | 'absoluteExpiresAt'>): void;
  /** Stores new tokens, only if nobody stored others since `session` was read. */
  renew(session: Session, tokens: Tokens, forced?: ForcedRefresh): Promise<Renewal>;
  noteForced(session: Session, forced: ForcedRefresh): Promise<void>;
  /** @param onlyVersion ends it only while its tokens are still these. */
  end(
    session: Pick<Session, 'hash' | 'userId'>,
    reason: EndReason,
    onlyVersion?: number,
    requester?: Requester,
  ): Promise<boolean>;
  /** Ends the session of a cookie's value, also one whose seal does not open. True where there was one. */
  endById(id: SessionId, reason: EndReason, requester?: Requester): Promise<boolean>;
  list(userId: string): Promise<readonly StoredSession[]>;
  /** Resolves where the store answers. */
  ping(): Promise<void>;
}

const PUBLIC_ID_BYTES = 12;
const MAX_USER_AGENT_CHARS = 256;
/** After a change of keys every session wants it at once; who finds no place comes back with its next reading. */
const MAX_RESEALING = 32;

export function createSessions(options: SessionsOptions): Sessions {
  const { store, seal, cache, clock, times, maxPerUser, observer } = options;
  const writingActivity = new Set<SessionHash>();
  const resealing = new Set<SessionHash>();

  const end: Sessions['end'] = async (session, reason, onlyVersion, requester) => {
    const ended = await store.end(session, reason, onlyVersion);
    cache.invalidate(session.hash);
    if (ended) observer.ended(session.hash, session.userId, reason, requester);
    return ended;
  };

  /** Nobody waits for it, and whoever wrote tokens meanwhile has sealed them under a newer key anyway. */
  const resealInBackground = (id: SessionId, { hash, seal: old }: StoredSession, contents: SealedContents): void => {
    if (resealing.has(hash) || resealing.size >= MAX_RESEALING) return;
    resealing.add(hash);
    seal
      .seal(id, contents)
      .then((sealed) => store.reseal(hash, old, sealed))
      .then(
        (isWritten) => isWritten && observer.resealed(hash),
        (error: unknown) => observer.resealed(hash, error),
      )
      .finally(() => resealing.delete(hash));
  };

  const read = async (id: SessionId, hash: SessionHash): Promise<Session | undefined> => {
    const stored = await store.read(hash);
    if (!stored) return undefined;
    const over = endOf(stored, clock.now(), times);
    if (over) {
      await end(stored, over, stored.version);
      return undefined;
    }
    const opened = await seal.open(id, stored.seal);
    // Whose it is lies beside the seal too, for listing: who can write the store must not make it another's.
    if (opened.kind === 'unopenable' || opened.contents.user.user_id !== stored.userId) return undefined;
    if (!opened.current) resealInBackground(id, stored, opened.contents);
    return { ...withoutSeal(stored), id, seenWrittenAt: stored.lastSeenAt, ...opened.contents };
  };

  const reread = async (id: SessionId): Promise<Finding> => {
    const hash = hashSessionId(id);
    cache.invalidate(hash);
    return toFinding(await cache.load(hash, () => read(id, hash)));
  };

  const find = (id: SessionId): Finding | Promise<Finding> => {
    const cached = cache.get(id);
    // What looks over here may have been active on another instance: only the store's word ends a session.
    if (cached && endOf(cached, clock.now(), times) === undefined) return { kind: 'found', session: cached };
    if (cached) return reread(id);
    const hash = hashSessionId(id);
    return cache.load(hash, () => read(id, hash)).then(toFinding);
  };

  const noteActivity: Sessions['noteActivity'] = (session) => {
    const now = clock.now();
    if (now <= session.lastSeenAt) return;
    session.lastSeenAt = now;
    if (!needsActivityWrite(session.seenWrittenAt, now, times) || writingActivity.has(session.hash)) return;
    session.seenWrittenAt = now;
    writingActivity.add(session.hash);
    store
      .touch(session.hash, now, storeTtlMs(now, now, session.absoluteExpiresAt, times))
      .catch((error) => observer.activityLost(error))
      .finally(() => writingActivity.delete(session.hash));
  };

  return {
    async begin({ user, tokens, ip, userAgent }, requester) {
      const id = newSessionId();
      const now = clock.now();
      const session: Session = {
        id,
        hash: hashSessionId(id),
        version: 1,
        publicId: randomBytes(PUBLIC_ID_BYTES).toString('base64url'),
        userId: user.user_id,
        user,
        tokens,
        createdAt: now,
        lastSeenAt: now,
        seenWrittenAt: now,
        absoluteExpiresAt: absoluteEnd(now, tokens, times),
        ip,
        userAgent: userAgent.slice(0, MAX_USER_AGENT_CHARS),
      };
      const sealed = await seal.seal(id, { user, tokens });
      const ttlMs = storeTtlMs(now, now, session.absoluteExpiresAt, times);
      const surplus = await store.create(toStored(session, sealed), ttlMs, maxPerUser);
      observer.started(session, requester);
      for (const hash of surplus) observer.ended(hash, session.userId, 'limit', requester);
      return session;
    },
    find,
    reread,
    noteActivity,
    async renew(session, tokens, forced) {
      const { refreshExpiresAt } = tokens;
      const absoluteExpiresAt = Math.min(session.absoluteExpiresAt, refreshExpiresAt ?? Number.POSITIVE_INFINITY);
      const sealed = await seal.seal(session.id, { user: session.user, tokens });
      const written = await store.writeSeal(session.hash, {
        version: session.version,
        seal: sealed,
        absoluteExpiresAt,
        ttlMs: storeTtlMs(clock.now(), session.lastSeenAt, absoluteExpiresAt, times),
        ...(forced ? { forced } : {}),
      });
      cache.invalidate(session.hash);
      if (written.kind !== 'written') return written;
      observer.renewed?.(session.hash);
      const renewed = {
        ...session,
        tokens,
        absoluteExpiresAt,
        version: written.version,
        ...(forced ? { forced } : {}),
      };
      return { kind: 'renewed', session: renewed };
    },
    noteForced: (session, forced) => store.noteForced(session.hash, forced),
    end,
    async endById(id, reason, requester) {
      const stored = await store.read(hashSessionId(id));
      return stored !== undefined && (await end(stored, reason, undefined, requester));
    },
    list: (userId) => store.listByUser(userId),
    ping: () => store.ping(),
  };
}

function withoutSeal({ seal: _, ...rest }: StoredSession): Omit<StoredSession, 'seal'> {
  return rest;
}

function toFinding(session: Session | undefined): Finding {
  return session ? { kind: 'found', session } : { kind: 'unknown' };
}

function toStored(
  { id: _, user: __, tokens: ___, seenWrittenAt: ____, ...rest }: Session,
  seal: string,
): StoredSession {
  return { ...rest, seal };
}
