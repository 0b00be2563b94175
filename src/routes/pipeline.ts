/** The ordered list that every request passes: read it from top to bottom. */
import { randomUUID } from 'node:crypto';
import cookieParser from 'cookie-parser';
import express, {
  type ErrorRequestHandler,
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
  type Router,
} from 'express';
import type { Settings } from '../config/settings.ts';
import { decidePath } from '../forwarding/path-decision.ts';
import type { RouteMatch, RouteTable } from '../forwarding/route-table.ts';
import type { Frontend } from '../frontend/frontend-proxy.ts';
import { clientAddress } from '../guards/client-address.ts';
import { corsHeaders, isPreflight, preflightHeaders } from '../guards/cors.ts';
import { mayPass, mayStream } from '../guards/cross-site.ts';
import { formFault, isHost } from '../guards/message-form.ts';
import { type Area, contextOf, type RequestContext, requesterOf, setContext } from '../guards/request-context.ts';
import { type ErrorKind, GatewayError } from '../kernel/errors.ts';
import type { Audit } from '../observability/audit.ts';
import { asFields } from '../observability/audit-reports.ts';
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
  readonly stream: RequestHandler;
  /** By the route's path. */
  readonly forwards: ReadonlyMap<string, Forward>;
  readonly frontend: Frontend | undefined;
  readonly health: Health;
  readonly isDraining: () => boolean;
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly logRequest: (request: FinishedRequest) => void;
}

/** Order matters: nothing is read of a request before its form is checked, and no route is reached before its origin is. */
export function createPipeline(parts: PipelineParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', parts.settings.trustProxy.length > 0 ? parts.settings.trustProxy : false);
  app.use(
    inOrder(
      beginRequest(parts),
      refuseBadForm,
      decideTarget(parts),
      answerHealth(parts.health),
      guardOrigin(parts),
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

/** One piece of the way, without a way on of its own. @returns true where it answers, now or later: nothing follows then. */
type Step = (req: Request, res: Response, next: NextFunction) => boolean;

/** As one middleware: Express's own walk from one to the next costs more than most of the steps. What is thrown becomes the answer. */
const inOrder =
  (...steps: readonly Step[]): RequestHandler =>
  (req, res, next) => {
    for (const step of steps) if (step(req, res, next)) return;
    next();
  };

const REQUEST_ID_FORM = /^[A-Za-z0-9._~+/=:@-]{1,128}$/;
const TRACEPARENT_FORM = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

function beginRequest({ settings, isDraining, metrics, logRequest }: PipelineParts): Step {
  const isHttps = settings.publicUrl?.startsWith('https:') ?? false;
  const securityHeaders = createSecurityHeaders(isHttps);
  const peerOf = settings.trustProxy.length > 0 ? forwardedPeer : directPeer;
  const publicHost = settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl).host;
  /** One for all requests: it finds its own in the response that closed. */
  function finishRequest(this: Response): void {
    const context = contextOf(this);
    metrics.inFlight.value -= 1;
    logRequest({
      requestId: context.requestId,
      method: context.method,
      path: context.path.decoded,
      route: context.routeName,
      status: context.status ?? (this.headersSent ? this.statusCode : 499),
      code: context.code,
      cause: context.cause,
      durationMs: performance.now() - context.startedAt,
      upstreamMs: context.upstreamMs,
      session: context.session,
      userId: context.userId,
      ip: context.clientIp,
      aborted: context.status === undefined && !this.writableFinished,
    });
  }
  return (req, res) => {
    const requestId = chooseRequestId(req);
    const sentTrace = req.headers.traceparent;
    const { clientIp, proto, host } = peerOf(req, publicHost);
    const context: RequestContext = {
      requestId,
      method: req.method,
      startedAt: performance.now(),
      clientIp,
      proto,
      host,
      traceparent: typeof sentTrace === 'string' && TRACEPARENT_FORM.test(sentTrace) ? sentTrace : newTraceparent(),
      path: UNDECIDED,
      area: 'other',
      route: undefined,
      cookie: undefined,
      routeName: 'none',
      answerHeaders: [...securityHeaders, 'X-Request-Id', requestId],
      session: undefined,
      userId: undefined,
      code: undefined,
      cause: undefined,
      upstreamMs: undefined,
      status: undefined,
    };
    // A connection that is kept would carry its next request into a process that is gone.
    // After an upgrade that it ignores, Node loses what came with it: a pipelining client must know to ask again.
    if (isDraining() || req.headers.upgrade !== undefined) context.answerHeaders.push('Connection', 'close');
    setContext(res, context);
    metrics.inFlight.value += 1;
    res.on('close', finishRequest);
    return false;
  };
}

/** Until the target is read. */
const UNDECIDED = { raw: '/', query: '', decoded: '/' } as const;

interface Peer {
  readonly clientIp: string;
  readonly proto: 'http' | 'https';
  readonly host: string;
}

/**
 * As a trusted proxy says, where one asks; what it merely passes on may be no address or no host at all. The host is the
 * public one where there is one: Finvera may build links from it, so that no client may choose it (ATK-H7).
 */
function forwardedPeer(req: Request, publicHost: string | undefined): Peer {
  const proto = req.protocol === 'https' ? 'https' : 'http';
  const host = publicHost ?? (isHost(req.host ?? '') ? req.host : (req.headers.host ?? ''));
  return { clientIp: clientAddress(req.ip ?? '', plainAddress(req.socket.remoteAddress ?? '')), proto, host };
}

/** Nobody is trusted: what the connection itself says. */
function directPeer(req: Request, publicHost: string | undefined): Peer {
  const host = publicHost ?? req.headers.host ?? '';
  return { clientIp: plainAddress(req.socket.remoteAddress ?? ''), proto: 'http', host };
}

/** An IPv4 address that came over a socket for both kinds. */
function plainAddress(ip: string): string {
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip;
}

/** A trusted proxy's id is kept, so that one request has one id on its whole way; from others it is only a claim. */
function chooseRequestId(req: Request): string {
  const sent = req.headers['x-request-id'];
  const trust = req.app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  const isTrusted = sent !== undefined && trust(req.socket.remoteAddress ?? '', 0);
  return isTrusted && typeof sent === 'string' && REQUEST_ID_FORM.test(sent) ? sent : randomUUID();
}

function newTraceparent(): string {
  const id = randomUUID().replaceAll('-', '');
  return `00-${id}-${id.slice(16)}-00`;
}

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
