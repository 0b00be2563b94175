/**
 * The gateway's sessions: begins, finds, renews, lists and ends them. Between the cookie's id and the store it hashes and
 * seals; it never talks to Finvera.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
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
import { hashSessionId, newSessionId, type SessionHash, type SessionId } from './session-id.ts';
import type { SessionStore, StoredSession } from './session-store.ts';
import type { TokenSeal } from './token-seal.ts';

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
  started(session: Session): void;
  ended(hash: SessionHash, userId: string, reason: EndReason): void;
  /** A write of activity failed: nothing is lost but precision of the idle time. */
  activityLost(error: unknown): void;
}

export interface SessionsOptions {
  readonly store: SessionStore;
  readonly seal: TokenSeal;
  readonly clock: Clock;
  readonly times: SessionTimes;
  readonly maxPerUser: number;
  readonly observer: SessionObserver;
}

/** All but `noteActivity` reject with GatewayError `store_unavailable` where the store does not answer. */
export interface Sessions {
  begin(session: NewSession): Promise<Session>;
  find(id: SessionId): Promise<Finding>;
  /** Marks the user as active; writes in the background and at intervals. Returns the session as it now is. */
  noteActivity(session: Session): Session;
  /** Stores new tokens, only if nobody stored others since `session` was read. */
  renew(session: Session, tokens: Tokens, forced?: ForcedRefresh): Promise<Renewal>;
  noteForced(session: Session, forced: ForcedRefresh): Promise<void>;
  /** @param onlyVersion ends it only while its tokens are still these. */
  end(session: Pick<Session, 'hash' | 'userId'>, reason: EndReason, onlyVersion?: number): Promise<boolean>;
  /** Ends the session of a cookie's value, also one whose seal does not open. True where there was one. */
  endById(id: SessionId, reason: EndReason): Promise<boolean>;
  list(userId: string): Promise<readonly StoredSession[]>;
  /** Resolves where the store answers. */
  ping(): Promise<void>;
}

const PUBLIC_ID_BYTES = 12;
const MAX_USER_AGENT_CHARS = 256;

export function createSessions(options: SessionsOptions): Sessions {
  const { store, seal, clock, times, maxPerUser, observer } = options;
  const writingActivity = new Set<SessionHash>();

  const end: Sessions['end'] = async ({ hash, userId }, reason, onlyVersion) => {
    const ended = await store.end(hash, userId, onlyVersion);
    if (ended) observer.ended(hash, userId, reason);
    return ended;
  };

  const find = async (id: SessionId): Promise<Finding> => {
    const stored = await store.read(hashSessionId(id));
    if (!stored) return { kind: 'unknown' };
    const over = endOf(stored, clock.now(), times);
    if (over) {
      await end(stored, over, stored.version);
      return { kind: 'unknown' };
    }
    const opened = await seal.open(id, stored.seal);
    if (opened.kind === 'unopenable') return { kind: 'unknown' };
    return { kind: 'found', session: { ...withoutSeal(stored), id, ...opened.contents } };
  };

  const noteActivity = (session: Session): Session => {
    const now = clock.now();
    if (now <= session.lastSeenAt) return session;
    if (needsActivityWrite(session.lastSeenAt, now, times) && !writingActivity.has(session.hash)) {
      writingActivity.add(session.hash);
      store
        .touch(session.hash, now, storeTtlMs(now, now, session.absoluteExpiresAt, times))
        .catch((error) => observer.activityLost(error))
        .finally(() => writingActivity.delete(session.hash));
    }
    return { ...session, lastSeenAt: now };
  };

  return {
    async begin({ user, tokens, ip, userAgent }) {
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
        absoluteExpiresAt: absoluteEnd(now, tokens, times),
        ip,
        userAgent: userAgent.slice(0, MAX_USER_AGENT_CHARS),
      };
      const sealed = await seal.seal(id, { user, tokens });
      const ttlMs = storeTtlMs(now, now, session.absoluteExpiresAt, times);
      const surplus = await store.create(toStored(session, sealed), ttlMs, maxPerUser);
      observer.started(session);
      for (const hash of surplus) observer.ended(hash, session.userId, 'limit');
      return session;
    },
    find,
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
      if (written.kind !== 'written') return written;
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
    async endById(id, reason) {
      const stored = await store.read(hashSessionId(id));
      return stored !== undefined && (await end(stored, reason));
    },
    list: (userId) => store.listByUser(userId),
    ping: () => store.ping(),
  };
}

function withoutSeal({ seal: _, ...rest }: StoredSession): Omit<StoredSession, 'seal'> {
  return rest;
}

function toStored({ id: _, user: __, tokens: ___, ...rest }: Session, seal: string): StoredSession {
  return { ...rest, seal };
}
