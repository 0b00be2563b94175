/** An answer that is cut when its session is over: in which words, and what becomes of the cookie. */
import type { Response } from 'express';
import type { Cut } from '../forwarding/forward-request.ts';
import { clearSessionCookie } from '../guards/authenticate.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Session } from '../session/session.ts';
import type { SessionCookie } from '../session/session-cookie.ts';
import type { BoundAnswers } from '../streams/bound-answers.ts';

export interface BoundParts {
  readonly bound: BoundAnswers;
  readonly cookie: SessionCookie;
}

const RETRY_MS = 1_000;

/** @returns what binds it, once it can be cut. */
export function boundToSession(
  { bound, cookie }: BoundParts,
  session: Session,
  res: Response,
): (cut: Cut) => () => void {
  return (cut) =>
    bound.bind(session, (why) => {
      if (why === 'unverified') return cut(new GatewayError('store_unavailable', { retryAfterMs: RETRY_MS }));
      if (!cut(new GatewayError('session_expired'))) return false;
      if (!res.headersSent) clearSessionCookie(res, cookie);
      return true;
    });
}
