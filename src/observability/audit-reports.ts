/** Adds the audit trail to the reports of sessions and refreshes. It decides nothing. */
import type { Audit, AuditFields } from './audit.ts';

/** As much of a session as may be told: never its id, never a token. */
interface ToldSession {
  readonly hash: string;
  readonly userId: string;
}

interface StartedSession extends ToldSession {
  readonly ip: string;
  readonly userAgent: string;
}

/** The request behind an event, where there is one. */
export interface Requester {
  readonly requestId?: string;
  readonly clientIp?: string;
  readonly userAgent?: string;
}

interface SessionReport {
  started(session: StartedSession, requester?: Requester): void;
  ended(hash: string, userId: string, reason: string, requester?: Requester): void;
}

interface RefreshReport {
  exchanged(session: ToldSession, outcome: string, why: string, durationMs: number, requester?: Requester): void;
}

/** Who brings about what ends a session: each reason of `session.ts`. */
const ENDED_BY: Readonly<Record<string, string>> = {
  logout: 'user',
  replaced: 'user',
  ended_by_user: 'user',
  limit: 'gateway',
  idle: 'gateway',
  absolute: 'gateway',
  refresh_rejected: 'finvera',
  refresh_reply_lost: 'finvera',
  operator: 'operator',
};

/** The same report, told to the audit trail as well. */
export function withSessionAudit<T extends SessionReport>(report: T, audit: Audit): T {
  return {
    ...report,
    started(session: StartedSession, requester?: Requester): void {
      report.started(session, requester);
      const { hash, userId, ip, userAgent } = session;
      audit.record('session_started', {
        session: hash,
        user_id: userId,
        ...asFields({ clientIp: ip, userAgent, ...requester }),
      });
    },
    ended(hash: string, userId: string, reason: string, requester?: Requester): void {
      report.ended(hash, userId, reason, requester);
      const by = ENDED_BY[reason] ?? 'gateway';
      audit.record('session_ended', { session: hash, user_id: userId, reason, by, ...asFields(requester) });
    },
  };
}

/** The same report, told to the audit trail as well; what was neither refreshed nor refused is a matter of the log. */
export function withRefreshAudit<T extends RefreshReport>(report: T, audit: Audit): T {
  return {
    ...report,
    exchanged(session: ToldSession, outcome: string, why: string, durationMs: number, requester?: Requester): void {
      report.exchanged(session, outcome, why, durationMs, requester);
      const fields = { session: session.hash, user_id: session.userId, ...asFields(requester) };
      if (outcome === 'refreshed') audit.record('session_refreshed', fields);
      if (outcome === 'rejected') audit.record('session_refresh_refused', { ...fields, reason: why, by: 'finvera' });
    },
  };
}

/** The request of an event, as the fields of its line. */
export function asFields({ requestId, clientIp, userAgent }: Requester = {}): AuditFields {
  return { ip: clientIp, request_id: requestId, user_agent: userAgent };
}
