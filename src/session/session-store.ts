/**
 * The interface of what keeps sessions: sealed values under hashes, with a version for compare-and-set. It cannot read
 * tokens. Every method throws GatewayError `store_unavailable` where the store does not answer: never a guess.
 */
import type { EndReason, ForcedRefresh, SessionMeta } from './session.ts';
import type { SessionHash } from './session-id.ts';

export interface StoredSession extends SessionMeta {
  readonly hash: SessionHash;
  readonly version: number;
  readonly lastSeenAt: number;
  readonly absoluteExpiresAt: number;
  readonly seal: string;
  readonly forced?: ForcedRefresh;
}

/** A session that a walk over the store came by. */
export interface FoundSession {
  readonly hash: SessionHash;
  /** Absent where it ended meanwhile, or cannot be read. */
  readonly session?: StoredSession;
}

export interface SealWrite {
  /** The version the writer read. */
  readonly version: number;
  readonly seal: string;
  readonly absoluteExpiresAt: number;
  readonly ttlMs: number;
  readonly forced?: ForcedRefresh;
}

export type SealWriteOutcome =
  | { readonly kind: 'written'; readonly version: number }
  /** Another writer was first: read again. */
  | { readonly kind: 'conflict' }
  /** The session ended meanwhile and stays ended. */
  | { readonly kind: 'gone' };

export interface SessionStore {
  /**
   * Keeps a new session and puts it into its user's index.
   * @param keep how many sessions the user may have; the oldest beyond are removed and returned.
   */
  create(session: StoredSession, ttlMs: number, keep: number): Promise<readonly SessionHash[]>;
  read(hash: SessionHash): Promise<StoredSession | undefined>;
  writeSeal(hash: SessionHash, write: SealWrite): Promise<SealWriteOutcome>;
  /**
   * Another seal of the same contents, only in the place of the very seal that was read. The version stays: a refresh
   * under way at that version must still be written. True where it was replaced.
   */
  reseal(hash: SessionHash, read: string, seal: string): Promise<boolean>;
  /** Moves the last activity forward; a session that ended stays ended. */
  touch(hash: SessionHash, lastSeenAt: number, ttlMs: number): Promise<void>;
  noteForced(hash: SessionHash, forced: ForcedRefresh): Promise<void>;
  /**
   * Removes the session and tells every instance why. True where it was there.
   * @param onlyVersion removes it only while its version is still this one: a verdict on old tokens must not end new ones.
   */
  end(session: Pick<StoredSession, 'hash' | 'userId'>, reason: EndReason, onlyVersion?: number): Promise<boolean>;
  /**
   * Every session there is, in no order, some at a time. One that begins or ends meanwhile may come or not; none comes
   * with what it holds where that cannot be read. For operators: it looks at everything.
   */
  all(): AsyncIterable<readonly FoundSession[]>;
  /** About how many there are, without looking at all of them. */
  estimate(): Promise<number>;
  /** The user's living sessions, oldest first. */
  listByUser(userId: string): Promise<readonly StoredSession[]>;
  /** Resolves where the store answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
