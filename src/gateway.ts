/** Composition root: builds every part in order and wires them. No rule of its own. */
import { createServer, type Server } from 'node:http';
import type { DestinationStream } from 'pino';
import { watchSessionKeys } from './config/session-keys-file.ts';
import type { RouteSettings, SessionKey, Settings } from './config/settings.ts';
import { createFinveraClient } from './finvera/finvera-client.ts';
import { type CircuitBreaker, createCircuitBreaker } from './forwarding/circuit-breaker.ts';
import { createHttpForwarder } from './forwarding/http-forwarder.ts';
import { createRouteTable } from './forwarding/route-table.ts';
import { createFrontendProxy, type Frontend } from './frontend/frontend-proxy.ts';
import { createStaticFolder } from './frontend/static-folder.ts';
import { createAuthenticate } from './guards/authenticate.ts';
import { createLoginThrottle } from './guards/login-throttle.ts';
import { createStuffingWatch } from './guards/stuffing-watch.ts';
import { type Clock, systemClock } from './kernel/clock.ts';
import { closeServer, listenOn, within } from './lifecycle/connections.ts';
import { createDrain } from './lifecycle/drain.ts';
import type { Audit } from './observability/audit.ts';
import { withRefreshAudit, withSessionAudit } from './observability/audit-reports.ts';
import { createAuditTrail } from './observability/audit-trail.ts';
import { createLogger, type Logger } from './observability/logger.ts';
import { createManagementHandler } from './observability/management.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';
import { createRefreshReport, createSessionReport } from './observability/reports.ts';
import { createRequestLog } from './observability/request-log.ts';
import {
  createInvalidationChannel,
  createLocalChannel,
  type InvalidationChannel,
} from './redis/invalidation-channel.ts';
import { createRedisConnection, createRedisSubscriber, type RedisConnection, whenReady } from './redis/redis-client.ts';
import { createMemoryLock, createRedisLock } from './redis/redis-lock.ts';
import { createRefreshCoordinator } from './refresh/refresh-coordinator.ts';
import { createBffRoutes } from './routes/bff.ts';
import { answerClientError } from './routes/client-error.ts';
import { noteExpectation } from './routes/expect-continue.ts';
import { createFinveraRoutes } from './routes/finvera-paths.ts';
import { createForward, type Forward } from './routes/forwarded.ts';
import { createHealth, HEALTH_PATHS } from './routes/health.ts';
import { createLogin } from './routes/login.ts';
import { createPipeline } from './routes/pipeline.ts';
import { createUpgradeHandler } from './routes/upgrade.ts';
import { createMemorySessionStore } from './session/memory-session-store.ts';
import { createRedisSessionStore } from './session/redis-session-store.ts';
import { createSessionCache, type SessionCache } from './session/session-cache.ts';
import { createSessionCookie } from './session/session-cookie.ts';
import { createSessions } from './session/sessions.ts';
import { createTokenSeal, type TokenSeal } from './session/token-seal.ts';

export interface GatewayOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Where log lines go. Default: standard output. */
  readonly logDestination?: DestinationStream;
  /** Where audit lines go that the settings send to standard output. Default: to the log lines. */
  readonly auditDestination?: DestinationStream;
  /** Human-readable lines instead of JSON. */
  readonly prettyLog?: boolean;
}

export interface Listening {
  readonly port: number;
  /** Undefined where the management listener is off. */
  readonly managementPort: number | undefined;
}

export interface Gateway {
  /** The public listener's server, for tests that speak to it without a port. */
  readonly server: Server;
  readonly log: Logger;
  /** Opens both listeners; waits shortly for the store, and starts without it where it does not come. */
  listen(): Promise<Listening>;
  /** Not ready from now on, while both listeners still serve. */
  beginDrain(): void;
  /** Ends in-flight work within the limit, then everything. Safe to call twice. @returns true where nothing was cut. */
  close(limitMs?: number): Promise<boolean>;
}

const STORE_WAIT_MS = 2_000;
const HEADERS_TIMEOUT_MS = 15_000;
const LOGIN_BODY_TIMEOUT_MS = 15_000;
/** How often slow ones are looked for: the most that the timeout is late. */
const CHECK_CONNECTIONS_MS = 3_000;
/** Longer than the idle time of common load balancers (60 s): the side that reuses a connection must not be the last to know. */
const KEEP_ALIVE_MS = 65_000;
const ALL_METHODS = ['GET', 'HEAD'];

/** @throws Error where the audit file cannot be opened */
export function createGateway(settings: Settings, options: GatewayOptions = {}): Gateway {
  const clock = options.clock ?? systemClock;
  const log = createLogger({
    level: settings.logLevel,
    ...(options.logDestination ? { destination: options.logDestination } : {}),
    pretty: options.prettyLog ?? false,
  });
  const metrics = createMetrics();
  const drain = createDrain();
  const audit = createAuditTrail({ settings, clock, log, metrics, destination: options.auditDestination });
  const { redis, channel } = connectStore(settings, log);
  const frontend = createFrontend(settings.frontend);
  const { app, health, finvera, forwarder, coordinator, keysFile } = assemble({
    settings,
    clock,
    log,
    metrics,
    audit,
    redis,
    channel,
    frontend,
    isDraining: drain.isDraining,
  });

  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      // Any other Upgrade, such as h2c, is ignored and the request answered (RFC 9110 §7.8).
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
      // Left to the pipeline: Node would answer 400 by itself without a body.
      requireHostHeader: false,
    },
    app,
  );
  server.on('checkContinue', (req, res) => {
    noteExpectation(req);
    app(req, res);
  });
  // Left to the pipeline, which refuses what it does not know; Node would answer 417 by itself without a body.
  server.on('checkExpectation', (req, res) => app(req, res));
  server.on('clientError', (error, socket) => {
    const status = answerClientError(error, socket);
    if (status !== undefined)
      log.info({ event: 'bad_request', status, error: error.message }, 'request could not be read');
  });
  server.on('upgrade', createUpgradeHandler(createRouteTable(settings.routes), frontend));
  const management = createServer(createManagementHandler({ metrics, health, healthPaths: HEALTH_PATHS }));

  let closing: Promise<boolean> | undefined;
  return {
    server,
    log,
    async listen() {
      if (redis && !(await whenReady(redis, STORE_WAIT_MS)))
        log.warn({ event: 'store_not_ready' }, 'starting without the store');
      const port = await listenOn(server, settings.port, settings.host);
      const hasManagement = settings.managementPort !== 0;
      const managementPort = hasManagement
        ? await listenOn(management, settings.managementPort, settings.managementHost)
        : undefined;
      return { port, managementPort };
    },
    beginDrain: drain.begin,
    close(limitMs = settings.shutdownTimeout) {
      drain.begin();
      closing ??= (async () => {
        const deadline = performance.now() + limitMs;
        keysFile.stop();
        const isWhole = await closeServer(server, limitMs);
        await within(coordinator.settled(), Math.max(0, deadline - performance.now()));
        await Promise.allSettled([finvera.close(), forwarder.close()]);
        channel.close();
        redis?.disconnect();
        await closeServer(management, 0);
        audit.close();
        return isWhole;
      })();
      return closing;
    },
  };
}

interface AssemblyParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly redis: RedisConnection | undefined;
  readonly channel: InvalidationChannel;
  readonly frontend: Frontend | undefined;
  readonly isDraining: () => boolean;
}

function assemble(parts: AssemblyParts) {
  const { settings, clock, log, metrics, audit, redis, channel, frontend, isDraining } = parts;
  const times = { idleTimeoutMs: settings.sessionIdleTimeout, absoluteTimeoutMs: settings.sessionAbsoluteTimeout };
  const cookie = createSessionCookie({ secure: settings.cookieSecure, sameSite: settings.cookieSamesite });
  const cache = createSessionCache({ isTrusted: channel.isHealthy });
  keepCacheTrue(cache, channel);
  showGauges(metrics, cache, channel);
  const seal = createTokenSeal(settings.sessionKeys, clock);
  const keysFile = followKeysFile(parts, seal, cache);
  const sessions = createSessions({
    store: redis ? createRedisSessionStore(redis) : createMemorySessionStore(clock),
    seal,
    cache,
    clock,
    times,
    maxPerUser: settings.sessionMaxPerUser,
    observer: withSessionAudit(createSessionReport(log, metrics), audit),
  });
  const finvera = createFinveraClient({
    url: settings.finveraUrl,
    connectTimeoutMs: settings.finveraConnectTimeout,
    authTimeoutMs: settings.finveraAuthTimeout,
    clock,
    breaker: createBreaker('auth', log, metrics),
  });
  const forwarder = createHttpForwarder({
    url: settings.finveraUrl,
    connectTimeoutMs: settings.finveraConnectTimeout,
    breaker: createBreaker('data', log, metrics),
  });
  const coordinator = createRefreshCoordinator({
    sessions,
    finvera,
    lock: redis ? createRedisLock(redis) : createMemoryLock(),
    clock,
    aheadMs: settings.refreshAhead,
    observer: withRefreshAudit(createRefreshReport(log, metrics), audit),
  });
  const authenticate = createAuthenticate(sessions, cookie);
  const throttle = createLoginThrottle({
    account: settings.loginLimitAccount,
    address: settings.loginLimitAddress,
    redis,
  });
  const login = createLogin({
    bodyTimeoutMs: Math.min(settings.finveraBodyTimeout, LOGIN_BODY_TIMEOUT_MS),
    finvera,
    sessions,
    cookie,
    throttle,
    stuffing: createStuffingWatch(clock, settings.loginLimitAddress?.windowMs),
    clock,
    metrics,
    audit,
  });
  const health = createHealth({ sessions, finveraUrl: settings.finveraUrl, isDraining });
  const sessionParts = { authenticate, coordinator, cookie };
  const forwardParts = { ...sessionParts, forwarder, settings, metrics };
  const forwards = new Map<string, Forward>(
    settings.routes.map((route) => [route.path, createForward(forwardParts, route)]),
  );
  const forwardValidate = createForward(forwardParts, VALIDATE_ROUTE, VALIDATE_ROUTE.path);
  const app = createPipeline({
    settings,
    cookie,
    routeTable: createRouteTable(settings.routes),
    bff: createBffRoutes({ ...sessionParts, login, sessions, clock, times }),
    finveraPaths: createFinveraRoutes({ ...sessionParts, login, forwardValidate, clock }),
    forwards,
    frontend,
    health,
    isDraining,
    metrics,
    audit,
    logRequest: createRequestLog(log, metrics),
  });
  return { app, health, finvera, forwarder, coordinator, keysFile };
}

/** Keys of a file change without a restart; those of a variable cannot. */
function followKeysFile(
  { settings, log, metrics, audit }: AssemblyParts,
  seal: TokenSeal,
  cache: SessionCache,
): { stop(): void } {
  const { sessionKeysFile: path, sessionKeys: keys } = settings;
  const show = (inForce: readonly SessionKey[]) => {
    metrics.sessionKeys.reset();
    for (const [i, { kid }] of inForce.entries()) metrics.sessionKeys.set({ kid }, i === 0 ? 1 : 0);
  };
  show(keys);
  if (path === undefined) return { stop() {} };
  return watchSessionKeys({
    path,
    keys,
    onKeys(changed) {
      seal.replaceKeys(changed);
      // A key that was taken out ends its sessions now, not when they leave the cache.
      cache.clear();
      show(changed);
      const kids = changed.map(({ kid }) => kid).join(',');
      audit.record('session_keys_changed', { kids, by: 'operator' });
      log.info({ event: 'session_keys_changed', kids }, 'session keys changed');
    },
    onProblem(problem) {
      log.error({ event: 'session_keys_refused', error: problem }, 'the session keys in force stay');
    },
  });
}

const BREAKER_LEVELS = { closed: 0, 'half-open': 1, open: 2 } as const;

/** One for each way to Finvera: auth and data calls fail apart. */
function createBreaker(upstream: 'auth' | 'data', log: Logger, metrics: Metrics): CircuitBreaker {
  metrics.breakerState.set({ upstream }, 0);
  return createCircuitBreaker({
    now: () => performance.now(),
    onChange: (state) => {
      metrics.breakerState.set({ upstream }, BREAKER_LEVELS[state]);
      log.warn({ event: 'breaker', reason: upstream, outcome: state }, 'circuit breaker changed');
    },
  });
}

function connectStore(settings: Settings, log: Logger) {
  const { sessionStore, redisUrl } = settings;
  if (sessionStore === 'memory' || redisUrl === undefined) return { redis: undefined, channel: createLocalChannel() };
  const redis = createRedisConnection(redisUrl, log);
  return { redis, channel: createInvalidationChannel(createRedisSubscriber(redisUrl, log), redis, log) };
}

/** What happened elsewhere is forgotten here; after a gap in hearing everything is. */
function keepCacheTrue(cache: SessionCache, channel: InvalidationChannel): void {
  channel.onEvent((event) => {
    if (event.kind === 'flushed') cache.clear();
    else cache.invalidate(event.hash);
  });
  channel.onHealthy(() => cache.clear());
}

/** Gauges that are read when somebody looks, not kept up to date. */
function showGauges(metrics: Metrics, cache: SessionCache, channel: InvalidationChannel): void {
  metrics.onScrape(() => {
    metrics.cachedSessions.set(cache.size);
    metrics.invalidationHealthy.set(channel.isHealthy() ? 1 : 0);
  });
}

/** `GET …/auth/validate` is Finvera's own answer, asked with the session's bearer. */
const VALIDATE_ROUTE: RouteSettings = {
  path: '/kms/api/v1/auth/validate',
  methods: ALL_METHODS,
  credential: 'session',
  apiKeyIn: 'bearer',
};

function createFrontend(frontend: Settings['frontend']): Frontend | undefined {
  if (!frontend) return undefined;
  return frontend.kind === 'folder' ? createStaticFolder(frontend.path) : createFrontendProxy(frontend.url);
}
