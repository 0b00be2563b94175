/** Tells the audit trail how a login ended, and whether an address looks like credential stuffing. It refuses nothing. */
import type { Request, Response } from 'express';
import { accountName, TooManyAttempts } from '../guards/login-throttle.ts';
import { contextOf, requesterOf } from '../guards/request-context.ts';
import type { StuffingWatch } from '../guards/stuffing-watch.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Audit } from '../observability/audit.ts';
import { asFields } from '../observability/audit-reports.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Session } from '../session/session.ts';

export interface LoginAuditParts {
  readonly audit: Audit;
  readonly stuffing: StuffingWatch;
  readonly metrics: Metrics;
}

export interface LoginAudit {
  accepted(session: Session): void;
  /** @param error what the login is answered with. */
  refused(error: unknown): void;
}

export function createLoginAudit({ audit, stuffing, metrics }: LoginAuditParts) {
  return (req: Request, res: Response, email: string): LoginAudit => {
    // Who types a password into the field of the name must not find it here: of the name only a keyed hash is kept.
    const account = audit.pseudonym(accountName(email));
    const fields = { account, ...asFields(requesterOf(req, res)) };
    return {
      accepted({ hash, userId }) {
        audit.record('login_accepted', { session: hash, user_id: userId, ...fields });
      },
      refused(error) {
        if (error instanceof TooManyAttempts)
          return audit.record('login_throttled', { ...fields, reason: error.limit });
        const reason = error instanceof GatewayError ? error.kind : 'internal_error';
        if (reason !== 'login_rejected') return audit.record('login_failed', { ...fields, reason });
        audit.record('login_rejected', { ...fields, reason: 'credentials', by: 'finvera' });
        const { clientIp } = contextOf(res);
        const count = stuffing.noteFailure(accountName(email), clientIp);
        if (count === undefined) return;
        metrics.loginStuffing.inc();
        audit.record('login_stuffing_suspected', {
          ip: clientIp,
          count,
          reason: 'many accounts failed from one address',
        });
      },
    };
  };
}
