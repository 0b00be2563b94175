/** The ordered list that every request passes: read it from top to bottom. */
import { randomUUID } from 'node:crypto';
import cookieParser from 'cookie-parser';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Router } from 'express';
import type { Settings } from '../config/settings.ts';
import { decidePath } from '../forwarding/path-decision.ts';
import type { RouteTable } from '../forwarding/route-table.ts';
import type { Frontend } from '../frontend/frontend-proxy.ts';
import { corsHeaders, isPreflight, preflightHeaders } from '../guards/cors.ts';
import { mayPass } from '../guards/cross-site.ts';
import { formFault } from '../guards/message-form.ts';
import { type Area, contextOf, type RequestContext, setContext } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { FinishedRequest } from '../observability/request-log.ts';
import type { SessionCookie } from '../session/session-cookie.ts';
import { asGatewayError, sendBody, sendJson, sendProblem } from './answer.ts';
import { isFinveraPath } from './finvera-paths.ts';
import type { Forward } from './forwarded.ts';
import { HEALTH_PATHS, type Health } from './health.ts';
import { createSecurityHeaders } from './security-headers.ts';

export interface PipelineParts {
  readonly settings: Settings;
  readonly cookie: SessionCookie;
  readonly routeTable: RouteTable;
  readonly bff: Router;
  readonly finveraPaths: Router;
  /** By the route's path. */
  readonly forwards: ReadonlyMap<string, Forward>;
  readonly frontend: Frontend | undefined;
  readonly health: Health;
  readonly isDraining: () => boolean;
  readonly metrics: Metrics;
  readonly logRequest: (request: FinishedRequest) => void;
}

/** Order matters: nothing is read of a request before its form is checked, and no route is reached before its origin is. */
export function createPipeline(parts: PipelineParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', parts.settings.trustProxy.length > 0 ? parts.settings.trustProxy : false);
  app.use(beginRequest(parts));
  app.use(refuseBadForm);
  app.use(decideTarget(parts));
  app.use(answerHealth(parts.health));
  app.use(guardOrigin(parts));
  app.use(onlyApi(cookieParser()));
  app.use(inArea('bff', parts.bff));
  app.use(inArea('finvera', parts.finveraPaths));
  app.use(forwardRoute(parts));
  if (parts.frontend) app.use(serveFrontend(parts.frontend));
  app.use(notFound);
  app.use(answerError);
  return app;
}

const REQUEST_ID_FORM = /^[A-Za-z0-9._~+/=:@-]{1,128}$/;
const TRACEPARENT_FORM = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

function beginRequest({ settings, isDraining, metrics, logRequest }: PipelineParts): RequestHandler {
  const isHttps = settings.publicUrl?.startsWith('https:') ?? false;
  const securityHeaders = createSecurityHeaders(isHttps);
  return (req, res, next) => {
    const requestId = chooseRequestId(req);
    const sentTrace = req.headers.traceparent;
    const context: RequestContext = {
      requestId,
      startedAt: performance.now(),
      clientIp: (req.ip ?? req.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, ''),
      proto: req.protocol === 'https' ? 'https' : 'http',
      host: req.host ?? '',
      traceparent: typeof sentTrace === 'string' && TRACEPARENT_FORM.test(sentTrace) ? sentTrace : newTraceparent(),
      path: { raw: '/', query: '', decoded: '/' },
      area: 'other',
      routeName: 'none',
      answerHeaders: [...securityHeaders, 'X-Request-Id', requestId],
    };
    // A connection that is kept would carry its next request into a process that is gone.
    if (isDraining()) context.answerHeaders.push('Connection', 'close');
    setContext(res, context);
    metrics.inFlight.inc();
    const { method } = req;
    res.once('close', () => {
      metrics.inFlight.dec();
      logRequest({
        requestId,
        method,
        path: context.path.decoded,
        route: context.routeName,
        status: res.headersSent ? res.statusCode : 499,
        code: context.code,
        cause: context.cause,
        durationMs: performance.now() - context.startedAt,
        upstreamMs: context.upstreamMs,
        session: context.session,
        userId: context.userId,
        ip: context.clientIp,
        aborted: !res.writableFinished,
      });
    });
    next();
  };
}

/** A trusted proxy's id is kept, so that one request has one id on its whole way; from others it is only a claim. */
function chooseRequestId(req: express.Request): string {
  const sent = req.headers['x-request-id'];
  const trust = req.app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  const isTrusted = sent !== undefined && trust(req.socket.remoteAddress ?? '', 0);
  return isTrusted && typeof sent === 'string' && REQUEST_ID_FORM.test(sent) ? sent : randomUUID();
}

function newTraceparent(): string {
  const id = randomUUID().replaceAll('-', '');
  return `00-${id}-${id.slice(16)}-00`;
}

const refuseBadForm: RequestHandler = (req, _res, next) => {
  const fault = formFault(req);
  if (fault) throw new GatewayError(fault.kind, { detail: fault.detail });
  next();
};

/** From here on only the decided path counts. */
function decideTarget({ settings, routeTable }: PipelineParts): RequestHandler {
  const ownHost = settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl).host;
  return (req, res, next) => {
    const context = contextOf(res);
    if (req.method === 'TRACE' || req.method === 'CONNECT') {
      throw new GatewayError('method_not_allowed', {
        allow: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      });
    }
    const decision = decidePath(req.url);
    if (decision.kind === 'refused') throw new GatewayError('invalid_request', { detail: `Refused: ${decision.why}.` });
    if (decision.kind === 'asterisk') {
      if (req.method !== 'OPTIONS') throw new GatewayError('invalid_request', { detail: 'Only OPTIONS takes *.' });
      return sendBody(res, 204, '', '', ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']);
    }
    if (decision.kind === 'absolute') {
      if (decision.host.toLowerCase() !== (ownHost ?? req.headers.host?.toLowerCase())) {
        throw new GatewayError('invalid_request', { detail: 'Refused: the request target names another host.' });
      }
      req.url = decision.path.raw + decision.path.query;
    }
    context.path = decision.path;
    context.area = areaOf(decision.path.decoded, routeTable);
    context.routeName = context.area;
    next();
  };
}

export function areaOf(decoded: string, routeTable: RouteTable): Area {
  if (HEALTH_PATHS.includes(decoded)) return 'health';
  if (decoded === '/bff' || decoded.startsWith('/bff/')) return 'bff';
  if (isFinveraPath(decoded)) return 'finvera';
  return routeTable.match(decoded).kind === 'route' ? 'route' : 'other';
}

function answerHealth(health: Health): RequestHandler {
  return async (req, res, next) => {
    const { area, path } = contextOf(res);
    if (area !== 'health') return next();
    if (req.method !== 'GET' && req.method !== 'HEAD')
      throw new GatewayError('method_not_allowed', { allow: ['GET', 'HEAD'] });
    const { status, body } = path.decoded === '/health/live' ? health.live() : await health.ready();
    sendJson(res, status, body);
  };
}

function guardOrigin({ settings, cookie, metrics }: PipelineParts): RequestHandler {
  const allowedOrigins = new Set(settings.allowedOrigins);
  const rules = { publicUrl: settings.publicUrl, allowedOrigins };
  return (req, res, next) => {
    const context = contextOf(res);
    if (context.area === 'other') return next();
    const { origin } = req.headers;
    context.answerHeaders.push(...corsHeaders(origin, allowedOrigins));
    const passes = mayPass(
      {
        method: req.method,
        secFetchSite: headerOf(req.headers['sec-fetch-site']),
        origin,
        host: context.host,
        hasSessionCookie: cookie.read(req.rawHeaders).kind !== 'absent',
        csrfHeader: headerOf(req.headers['x-csrf']),
      },
      rules,
    );
    if (!passes) {
      metrics.guardRefusals.inc({ guard: 'cross_site' });
      throw new GatewayError('origin_forbidden');
    }
    if (isPreflight(req) && origin !== undefined && allowedOrigins.has(origin)) {
      return sendBody(res, 204, '', '', preflightHeaders(req));
    }
    next();
  };
}

const headerOf = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value;

const onlyApi =
  (handler: RequestHandler): RequestHandler =>
  (req, res, next) =>
    contextOf(res).area === 'other' ? next() : handler(req, res, next);

const inArea =
  (area: Area, router: Router): RequestHandler =>
  (req, res, next) => {
    if (contextOf(res).area !== area) return next();
    router(req, res, (error?: unknown) => next(error ?? new GatewayError('not_found')));
  };

function forwardRoute({ routeTable, forwards }: PipelineParts): RequestHandler {
  return async (req, res, next) => {
    const context = contextOf(res);
    const match = routeTable.match(context.path.decoded);
    if (context.area !== 'route' || match.kind === 'none') return next();
    context.routeName = match.route.path;
    await forwards.get(match.route.path)?.(req, res);
  };
}

function serveFrontend(frontend: Frontend): RequestHandler {
  return (req, res, next) => {
    const context = contextOf(res);
    context.routeName = 'frontend';
    res.setHeader('X-Request-Id', context.requestId);
    frontend.handle(req, res, next);
  };
}

const notFound: RequestHandler = () => {
  throw new GatewayError('not_found');
};

/** Four parameters tell Express that this one is for errors. */
const answerError: ErrorRequestHandler = (thrown, req, res, _next) => {
  const error = asGatewayError(thrown);
  // A client that stopped sending gets its answer and no more chances on this connection.
  if (error.kind === 'request_timeout') contextOf(res).answerHeaders.push('Connection', 'close');
  if (req.socket.destroyed) return;
  sendProblem(res, error);
};
