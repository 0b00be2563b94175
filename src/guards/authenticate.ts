/** Turns a request's cookie into its session, or says why there is none. It never guesses: a store that does not answer is no verdict. */
import type { Request, Response } from 'express';
import { GatewayError } from '../kernel/errors.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { Session } from '../session/session.ts';
import type { SessionCookie } from '../session/session-cookie.ts';
import type { Finding, Sessions } from '../session/sessions.ts';
import { contextOf } from './request-context.ts';

export interface Authenticate {
  /**
   * At once where the session is in the cache: most requests then wait for nothing.
   * @param slide false: the request is no activity of the user's. `X-Session-Activity: none` says the same.
   * @throws GatewayError `session_required` without a look-up where the cookie is absent, malformed or twice with
   *   different values; `session_expired` where the store does not know it; `store_unavailable`.
   */
  (req: Request, res: Response, options?: { readonly slide?: boolean }): Session | Promise<Session>;
}

export function createAuthenticate(sessions: Sessions, cookie: SessionCookie): Authenticate {
  const settle = (finding: Finding, req: Request, res: Response, slide: boolean): Session => {
    if (finding.kind === 'unknown') {
      clearSessionCookie(res, cookie);
      throw new GatewayError('session_expired');
    }
    const { session } = finding;
    const context = contextOf(res);
    context.session = session.hash;
    context.userId = session.userId;
    if (slide && req.headers['x-session-activity'] !== 'none') sessions.noteActivity(session);
    return session;
  };
  return (req, res, { slide = true } = {}) => {
    const reading = contextOf(res).cookie ?? cookie.read(req.rawHeaders);
    if (reading.kind === 'absent') throw new GatewayError('session_required');
    // Two parsers must agree: where they differ, the cookie is not what it seems.
    if (reading.kind === 'malformed' || req.cookies[cookie.name] !== reading.id) {
      clearSessionCookie(res, cookie);
      throw new GatewayError('session_required');
    }
    const finding = sessions.find(reading.id);
    if (!(finding instanceof Promise)) return settle(finding, req, res, slide);
    return finding.then((found) => settle(found, req, res, slide));
  };
}

/** The same, with a span around it. */
export function withAuthenticateTrace(authenticate: Authenticate, tracing: Tracing | undefined): Authenticate {
  if (!tracing) return authenticate;
  return (req, res, options) => tracing.inside('authenticate', () => authenticate(req, res, options));
}

/** Sent with whatever answer follows. */
export function clearSessionCookie(res: Response, cookie: SessionCookie): void {
  contextOf(res).answerHeaders.push('Set-Cookie', cookie.clear());
}
