/** The gateway's own endpoints below `/bff/` (contract §4). */
import { type Request, type RequestHandler, type Response, Router } from 'express';
import { type Authenticate, clearSessionCookie } from '../guards/authenticate.ts';
import { contextOf, requesterOf } from '../guards/request-context.ts';
import type { Clock } from '../kernel/clock.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { RefreshCoordinator } from '../refresh/refresh-coordinator.ts';
import type { Session, SessionTimes } from '../session/session.ts';
import type { SessionCookie } from '../session/session-cookie.ts';
import type { StoredSession } from '../session/session-store.ts';
import type { Sessions } from '../session/sessions.ts';
import { sendEmpty, sendJson } from './answer.ts';
import { serveClientModule } from './client-module.ts';
import { serveDocsPage } from './docs-page.ts';
import type { Login } from './login.ts';
import { methodNotAllowed } from './method-not-allowed.ts';
import { type OpenApiDocument, openApiDocument } from './openapi.ts';
import { forcedRefresh } from './refreshed-session.ts';
import { exceptSchema, sessionBody, sessionsBody, sessionTimesBody } from './session-body.ts';

export interface BffParts {
  readonly login: Login;
  readonly events: RequestHandler;
  readonly authenticate: Authenticate;
  readonly sessions: Sessions;
  readonly coordinator: RefreshCoordinator;
  readonly cookie: SessionCookie;
  readonly clock: Clock;
  readonly times: SessionTimes;
  /** Where it is, there is no page about the endpoints. */
  readonly isProduction: boolean;
}

export function createBffRoutes(parts: BffParts): Router {
  const { login, events, authenticate, sessions, coordinator, cookie, clock, times } = parts;
  const router = Router({ caseSensitive: true, strict: true });

  router.route('/bff/login').post(async (req, res) => {
    sendJson(res, 200, sessionBody(await login(req, res), clock.now(), times));
  });

  router.route('/bff/session').get(async (req, res) => {
    const found = await authenticate(req, res, { slide: req.query.slide !== 'false' });
    // An expired token whose refresh is rejected ends the session: this answer and the API's must agree.
    const freshness = await coordinator.ensureFresh(found, contextOf(res));
    if (freshness.kind === 'ended') throw sessionExpired(res, cookie);
    const session = freshness.kind === 'fresh' ? { ...freshness.session, lastSeenAt: found.lastSeenAt } : found;
    sendJson(res, 200, sessionBody(session, clock.now(), times));
  });

  router.route('/bff/refresh').post(async (req, res) => {
    const session = await forcedRefresh(parts, req, res);
    sendJson(res, 200, { session: sessionTimesBody(session, clock.now(), times) });
  });

  router.route('/bff/logout').post(async (req, res) => {
    const reading = cookie.read(req.rawHeaders);
    if (reading.kind === 'present') await sessions.endById(reading.id, 'logout', requesterOf(req, res));
    if (reading.kind !== 'absent') clearSessionCookie(res, cookie);
    sendEmpty(res, 204);
  });

  const endOne = async (req: Request, res: Response, target: StoredSession, current: Session) => {
    await sessions.end(target, 'ended_by_user', undefined, requesterOf(req, res));
    if (target.hash === current.hash) clearSessionCookie(res, cookie);
  };

  router
    .route('/bff/sessions')
    .get(async (req, res) => {
      const current = await authenticate(req, res);
      sendJson(res, 200, sessionsBody(await sessions.list(current.userId), current));
    })
    .delete(async (req, res) => {
      const keepCurrent = readExcept(req);
      const current = await authenticate(req, res);
      const targets = await sessions.list(current.userId);
      // The current one last: where the store fails on the way, a retry is still possible.
      const others = targets.filter(({ hash }) => hash !== current.hash);
      for (const target of others) await endOne(req, res, target, current);
      if (!keepCurrent) await endOne(req, res, { ...current, seal: '' }, current);
      sendEmpty(res, 204);
    });

  router.route('/bff/sessions/:id').delete(async (req, res) => {
    const current = await authenticate(req, res);
    const target = (await sessions.list(current.userId)).find(({ publicId }) => publicId === req.params.id);
    if (!target) throw new GatewayError('not_found', { detail: 'There is no such session.' });
    await endOne(req, res, target, current);
    sendEmpty(res, 204);
  });

  router.route('/bff/events').get(events);
  router.route('/bff/client.js').get(serveClientModule());
  // Made when first asked for: a start has no use for it.
  let kept: OpenApiDocument | undefined;
  const describe = () => {
    kept ??= openApiDocument(cookie.name);
    return kept;
  };
  router.route('/bff/openapi.json').get((_req, res) => sendJson(res, 200, describe()));
  if (!parts.isProduction) {
    router
      .route('/bff/docs')
      .get(serveDocsPage(describe))
      .all(methodNotAllowed(['GET', 'HEAD']));
  }

  for (const [path, allow] of Object.entries(METHODS)) router.all(path, methodNotAllowed(allow));
  return router;
}

/** The methods of each path, for `Allow`. HEAD goes where GET goes. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  '/bff/login': ['POST'],
  '/bff/session': ['GET', 'HEAD'],
  '/bff/refresh': ['POST'],
  '/bff/logout': ['POST'],
  '/bff/sessions': ['GET', 'HEAD', 'DELETE'],
  '/bff/sessions/:id': ['DELETE'],
  '/bff/events': ['GET', 'HEAD'],
  '/bff/client.js': ['GET', 'HEAD'],
  '/bff/openapi.json': ['GET', 'HEAD'],
};

function readExcept(req: Request): boolean {
  const { except, ...others } = req.query;
  // A misspelled exception would end what it was meant to keep.
  if (Object.keys(others).length > 0) throw new GatewayError('invalid_request', { detail: 'There is only except.' });
  if (except === undefined) return false;
  if (exceptSchema.safeParse(except).success) return true;
  throw new GatewayError('invalid_request', { detail: 'except can only be current.' });
}

function sessionExpired(res: Response, cookie: SessionCookie): GatewayError {
  clearSessionCookie(res, cookie);
  return new GatewayError('session_expired');
}
