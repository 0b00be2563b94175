/** The ordered list that every request passes: read it from top to bottom. */
import cookieParser from 'cookie-parser';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Router } from 'express';
import type { Settings } from '../config/settings.ts';
import { decidePath } from '../forwarding/path-decision.ts';
import type { RouteMatch, RouteTable } from '../forwarding/route-table.ts';
import type { Frontend } from '../frontend/frontend-proxy.ts';
import { corsHeaders, isPreflight, preflightHeaders } from '../guards/cors.ts';
import { mayPass, mayStream } from '../guards/cross-site.ts';
import { formFault } from '../guards/message-form.ts';
import { type Area, contextOf, requesterOf } from '../guards/request-context.ts';
import { asGatewayError, type ErrorKind, GatewayError } from '../kernel/errors.ts';
import type { Audit } from '../observability/audit.ts';
import { asFields } from '../observability/audit-reports.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { FinishedRequest } from '../observability/request-log.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { SessionCookie } from '../session/session-cookie.ts';
import { sendBody, sendJson, sendProblem } from './answer.ts';
import { beginRequest, type Step } from './begin-request.ts';
import { isFinveraPath } from './finvera-paths.ts';
import type { Forward } from './forwarded.ts';
import { HEALTH_PATHS, type Health } from './health.ts';
import { inOneSpan, traceRequests } from './trace-requests.ts';

export interface PipelineParts {
  readonly settings: Settings;
  readonly cookie: SessionCookie;
  readonly routeTable: RouteTable;
  readonly bff: Router;
  readonly finveraPaths: Router;
  readonly stream: RequestHandler;
  /** By the route's path. */
  readonly forwards: ReadonlyMap<string, Forward>;
  readonly frontend: Frontend | undefined;
  readonly health: Health;
  readonly isDraining: () => boolean;
  readonly metrics: Metrics;
  readonly audit: Audit;
  /** Undefined: off. */
  readonly tracing: Tracing | undefined;
  readonly logRequest: (request: FinishedRequest) => void;
}

/** Order matters: nothing is read of a request before its form is checked, and no route is reached before its origin is. */
export function createPipeline(parts: PipelineParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', parts.settings.trustProxy.length > 0 ? parts.settings.trustProxy : false);
  const { tracing } = parts;
  const guards = [refuseBadForm, decideTarget(parts), answerHealth(parts.health), guardOrigin(parts)];
  if (tracing) app.use(traceRequests(tracing));
  app.use(
    inOrder(
      beginRequest(parts),
      ...(tracing ? [inOneSpan(tracing, 'guards', guards)] : guards),
      readCookies,
      forwardRoute(parts),
    ),
  );
  app.use(inArea('bff', parts.bff));
  app.use(inArea('finvera', parts.finveraPaths));
  app.use(onlyStream(parts.stream));
  if (parts.frontend) app.use(serveFrontend(parts.frontend));
  app.use(notFound);
  app.use(answerError);
  return app;
}

/** As one middleware: Express's own walk from one to the next costs more than most of the steps. What is thrown becomes the answer. */
const inOrder =
  (...steps: readonly Step[]): RequestHandler =>
  (req, res, next) => {
    for (const step of steps) if (step(req, res, next)) return;
    next();
  };

const refuseBadForm: Step = (req) => {
  const fault = formFault(req);
  if (fault) throw new GatewayError(fault.kind, { detail: fault.detail });
  return false;
};

/** From here on only the decided path counts. */
function decideTarget({ settings, routeTable }: PipelineParts): Step {
  const ownHost = settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl).host;
  return (req, res) => {
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
      sendBody(res, 204, '', '', ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']);
      return true;
    }
    if (decision.kind === 'absolute') {
      if (decision.host.toLowerCase() !== (ownHost ?? req.headers.host?.toLowerCase())) {
        throw new GatewayError('invalid_request', { detail: 'Refused: the request target names another host.' });
      }
      req.url = decision.path.raw + decision.path.query;
    }
    context.path = decision.path;
    const match = routeTable.match(decision.path.decoded);
    context.area = areaOf(decision.path.decoded, match);
    if (match.kind === 'route') context.route = match.route;
    context.routeName = context.area === 'route' ? (context.route?.path ?? '') : context.area;
    return false;
  };
}

export function areaOf(decoded: string, match: RouteMatch): Area {
  if (HEALTH_PATHS.includes(decoded)) return 'health';
  if (decoded === '/bff' || decoded.startsWith('/bff/')) return 'bff';
  if (isFinveraPath(decoded)) return 'finvera';
  if (decoded === '/stream') return 'stream';
  return match.kind === 'route' ? 'route' : 'other';
}

function answerHealth(health: Health): Step {
  return (req, res, next) => {
    const { area, path } = contextOf(res);
    if (area !== 'health') return false;
    if (req.method !== 'GET' && req.method !== 'HEAD')
      throw new GatewayError('method_not_allowed', { allow: ['GET', 'HEAD'] });
    if (path.decoded === '/health/live') sendJson(res, health.live().status, health.live().body);
    else
      health
        .ready()
        .then(({ status, body }) => sendJson(res, status, body))
        .catch(next);
    return true;
  };
}

function guardOrigin({ settings, cookie, metrics, audit }: PipelineParts): Step {
  const allowedOrigins = new Set(settings.allowedOrigins);
  const rules = { publicUrl: settings.publicUrl, allowedOrigins };
  return (req, res) => {
    const context = contextOf(res);
    if (context.area === 'other') return false;
    const { origin } = req.headers;
    context.cookie = cookie.read(req.rawHeaders);
    if (context.cookie.kind === 'malformed') {
      audit.record('session_cookie_refused', { ...asFields(requesterOf(req, res)), reason: 'malformed_or_twice' });
    }
    context.answerHeaders.push(...corsHeaders(origin, allowedOrigins));
    const provenance = {
      method: req.method,
      secFetchSite: headerOf(req.headers['sec-fetch-site']),
      origin,
      host: context.host,
      hasSessionCookie: context.cookie.kind !== 'absent',
      csrfHeader: headerOf(req.headers['x-csrf']),
    };
    const passes = context.area === 'stream' ? mayStream(provenance, rules) : mayPass(provenance, rules);
    if (!passes) {
      metrics.guardRefusals.inc({ guard: 'cross_site' });
      audit.record('origin_refused', { ...asFields(requesterOf(req, res)), origin, reason: 'cross_site' });
      throw new GatewayError('origin_forbidden');
    }
    if (isPreflight(req) && origin !== undefined && allowedOrigins.has(origin)) {
      sendBody(res, 204, '', '', preflightHeaders(req));
      return true;
    }
    return false;
  };
}

const headerOf = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value;

const parseCookies = cookieParser();
const go = () => undefined;

/** The frontend's pages get none: no credential is read for them. */
const readCookies: Step = (req, res) => {
  if (contextOf(res).area !== 'other') parseCookies(req, res, go);
  return false;
};

const onlyStream =
  (handler: RequestHandler): RequestHandler =>
  (req, res, next) =>
    contextOf(res).area === 'stream' ? handler(req, res, next) : next();

const inArea =
  (area: Area, router: Router): RequestHandler =>
  (req, res, next) => {
    if (contextOf(res).area !== area) return next();
    router(req, res, (error?: unknown) => next(error ?? new GatewayError('not_found')));
  };

function forwardRoute({ forwards }: PipelineParts): Step {
  return (req, res, next) => {
    const { area, route } = contextOf(res);
    const forward = area === 'route' && route ? forwards.get(route.path) : undefined;
    if (!forward) return false;
    forward(req, res)?.catch(next);
    return true;
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

/** A client that stopped sending, or sends more than anybody reads, gets its answer and no more chances on this connection. */
const CLOSES: readonly ErrorKind[] = ['request_timeout', 'uri_too_long', 'headers_too_large'];

/** Four parameters tell Express that this one is for errors. */
const answerError: ErrorRequestHandler = (thrown, req, res, _next) => {
  const error = asGatewayError(thrown);
  if (CLOSES.includes(error.kind)) contextOf(res).answerHeaders.push('Connection', 'close');
  if (req.socket.destroyed) return;
  sendProblem(res, error);
};
