/** Turns a request's cookie into its session, or says why there is none. It never guesses: a store that does not answer is no verdict. */
import type { Request, Response } from 'express';
import { GatewayError } from '../kernel/errors.ts';
import type { Session } from '../session/session.ts';
import type { SessionCookie } from '../session/session-cookie.ts';
import type { Sessions } from '../session/sessions.ts';
import { contextOf } from './request-context.ts';

export interface Authenticate {
  /**
   * @param slide false: the request is no activity of the user's. `X-Session-Activity: none` says the same.
   * @throws GatewayError `session_required` without a look-up where the cookie is absent, malformed or twice with
   *   different values; `session_expired` where the store does not know it; `store_unavailable`.
   */
  (req: Request, res: Response, options?: { readonly slide?: boolean }): Promise<Session>;
}

export function createAuthenticate(sessions: Sessions, cookie: SessionCookie): Authenticate {
  return async (req, res, { slide = true } = {}) => {
    const context = contextOf(res);
    const reading = context.cookie ?? cookie.read(req.rawHeaders);
    if (reading.kind === 'absent') throw new GatewayError('session_required');
    // Two parsers must agree: where they differ, the cookie is not what it seems.
    if (reading.kind === 'malformed' || req.cookies[cookie.name] !== reading.id) {
      clearSessionCookie(res, cookie);
      throw new GatewayError('session_required');
    }
    const finding = await sessions.find(reading.id);
    if (finding.kind === 'unknown') {
      clearSessionCookie(res, cookie);
      throw new GatewayError('session_expired');
    }
    context.session = finding.session.hash;
    context.userId = finding.session.userId;
    if (slide && req.headers['x-session-activity'] !== 'none') sessions.noteActivity(finding.session);
    return finding.session;
  };
}

/** Sent with whatever answer follows. */
export function clearSessionCookie(res: Response, cookie: SessionCookie): void {
  contextOf(res).answerHeaders.push('Set-Cookie', cookie.clear());
}
