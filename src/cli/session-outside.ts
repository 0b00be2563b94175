/** What an operator can see of a session: the outside of its seal. */
import { isSessionHash } from '../session/session-id.ts';
import type { FoundSession, SessionStore, StoredSession } from '../session/session-store.ts';

/** As the JSON answers name it. */
export interface SessionOutside {
  readonly id: string;
  /** The hash that log and audit lines name as session. */
  readonly session: string;
  readonly user_id: string;
  readonly created_at: string;
  readonly last_seen_at: string;
  /** At the latest: without activity it ends before. */
  readonly ends_at: string;
  readonly ip: string;
  readonly user_agent: string;
}

export function outsideOf(session: StoredSession): SessionOutside {
  return {
    id: session.publicId,
    session: session.hash,
    user_id: session.userId,
    created_at: moment(session.createdAt),
    last_seen_at: moment(session.lastSeenAt),
    ends_at: moment(session.absoluteExpiresAt),
    ip: session.ip,
    user_agent: session.userAgent,
  };
}

/** RFC 3339, in whole seconds. */
export function moment(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** By the hash at once; by the id of the list in a walk over all. */
export async function findSession(store: SessionStore, id: string): Promise<FoundSession | undefined> {
  if (isSessionHash(id)) {
    const session = await store.read(id);
    return session && { hash: id, session };
  }
  for await (const batch of store.all()) {
    const found = batch.find(({ session }) => session?.publicId === id);
    if (found) return found;
  }
  return undefined;
}
