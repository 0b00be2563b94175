/** What browsers are told of a session: who, and how long. Never a token, never the cookie's value. */
import * as z from 'zod';
import type { Session, SessionTimes } from '../session/session.ts';
import type { StoredSession } from '../session/session-store.ts';

const seconds = z.number().int().min(0);
const moment = z.iso.datetime();

const userSchema = z.object({
  user_id: z.string(),
  email: z.string(),
  username: z.string(),
  licensing_tier_id: z.string(),
});

/** Times are whole seconds from now, rounded down. */
export const sessionSchema = z.object({
  created_at: moment,
  expires_in: seconds,
  idle_expires_in: seconds,
  access_token_expires_in: seconds,
});

export const sessionAnswerSchema = z.object({ user: userSchema, session: sessionSchema });
/** Which session `DELETE /bff/sessions` leaves. */
export const exceptSchema = z.enum(['current']);

export const refreshAnswerSchema = z.object({ session: sessionSchema });
export const sessionsAnswerSchema = z.object({
  sessions: z.array(
    z.object({
      id: z.string(),
      current: z.boolean(),
      created_at: moment,
      last_seen_at: moment,
      ip: z.string(),
      user_agent: z.string(),
    }),
  ),
});

const secondsUntil = (momentMs: number, now: number): number => Math.max(0, Math.floor((momentMs - now) / 1_000));
const rfc3339 = (ms: number): string => new Date(ms).toISOString();

export function sessionTimesBody(session: Session, now: number, times: SessionTimes): z.infer<typeof sessionSchema> {
  const idleEnd = Math.min(session.lastSeenAt + times.idleTimeoutMs, session.absoluteExpiresAt);
  return {
    created_at: rfc3339(session.createdAt),
    expires_in: secondsUntil(session.absoluteExpiresAt, now),
    idle_expires_in: secondsUntil(idleEnd, now),
    access_token_expires_in: secondsUntil(session.tokens.accessExpiresAt, now),
  };
}

export function sessionBody(session: Session, now: number, times: SessionTimes): z.infer<typeof sessionAnswerSchema> {
  const { user_id, email, username, licensing_tier_id } = session.user;
  return { user: { user_id, email, username, licensing_tier_id }, session: sessionTimesBody(session, now, times) };
}

export function sessionsBody(
  sessions: readonly StoredSession[],
  current: Session,
): z.infer<typeof sessionsAnswerSchema> {
  return {
    sessions: sessions.map((session) => ({
      id: session.publicId,
      current: session.hash === current.hash,
      created_at: rfc3339(session.createdAt),
      last_seen_at: rfc3339(session.hash === current.hash ? current.lastSeenAt : session.lastSeenAt),
      ip: session.ip,
      user_agent: session.userAgent,
    })),
  };
}
