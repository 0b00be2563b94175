/** Session and token for a request: found, renewed where needed, or the error that says why not. */
import type { Request, Response } from 'express';
import { type Authenticate, clearSessionCookie } from '../guards/authenticate.ts';
import { contextOf } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Freshness, RefreshCoordinator, RefreshResult } from '../refresh/refresh-coordinator.ts';
import type { Session } from '../session/session.ts';
import type { SessionCookie } from '../session/session-cookie.ts';

export interface RefreshedSessionParts {
  readonly authenticate: Authenticate;
  readonly coordinator: RefreshCoordinator;
  readonly cookie: SessionCookie;
}

/** At once where the session is cached and its token good. @throws GatewayError `session_required`, `session_expired`, `store_unavailable`, `upstream_unavailable` */
export function freshSession(parts: RefreshedSessionParts, req: Request, res: Response): Session | Promise<Session> {
  const session = parts.authenticate(req, res);
  return session instanceof Promise
    ? session.then((found) => refreshed(parts, found, res))
    : refreshed(parts, session, res);
}

function refreshed(
  { coordinator, cookie }: RefreshedSessionParts,
  session: Session,
  res: Response,
): Session | Promise<Session> {
  const freshness = coordinator.ensureFresh(session, contextOf(res));
  return freshness instanceof Promise
    ? freshness.then((outcome) => sessionOf(outcome, res, cookie))
    : sessionOf(freshness, res, cookie);
}

/** @throws as `freshSession` does */
export async function forcedRefresh(
  { authenticate, coordinator, cookie }: RefreshedSessionParts,
  req: Request,
  res: Response,
) {
  const session = await authenticate(req, res);
  const renewed = sessionOf(await coordinator.force(session, contextOf(res)), res, cookie);
  return { ...renewed, lastSeenAt: Math.max(renewed.lastSeenAt, session.lastSeenAt) };
}

/** Ended: 401 and the cookie is cleared. Unavailable: 503, and the session stays. */
export function sessionOf(outcome: Freshness | RefreshResult, res: Response, cookie: SessionCookie): Session {
  switch (outcome.kind) {
    case 'ended':
      clearSessionCookie(res, cookie);
      throw new GatewayError('session_expired');
    case 'unavailable':
      throw new GatewayError('upstream_unavailable', { retryAfterMs: outcome.retryAfterMs });
    default:
      return outcome.session;
  }
}
