/** The parts that answer requests, built in order and wired: sessions, refresh, forwarding, guards, routes. No rule of its own, and no listener. */
import { createSharedAnswers } from './cache/shared-answers.ts';
import { createUpstreamLimits } from './cache/upstream-limits.ts';
import { watchSessionKeys } from './config/session-keys-file.ts';
import type { RouteSettings, SessionKey, Settings } from './config/settings.ts';
import { createFinveraClient } from './finvera/finvera-client.ts';
import { withExchangeTrace } from './finvera/traced-finvera-client.ts';
import { withApiKey } from './forwarding/api-key-query.ts';
import { type CircuitBreakerOptions, createCircuitBreaker } from './forwarding/circuit-breaker.ts';
import { createFairBreaker } from './forwarding/fair-breaker.ts';
import { createHttpForwarder } from './forwarding/http-forwarder.ts';
import { createRouteTable } from './forwarding/route-table.ts';
import { withUpstreamTrace } from './forwarding/traced-forwarder.ts';
import type { Frontend } from './frontend/frontend-proxy.ts';
import { createAuthenticate, withAuthenticateTrace } from './guards/authenticate.ts';
import { createLoginThrottle } from './guards/login-throttle.ts';
import { createStuffingWatch } from './guards/stuffing-watch.ts';
import { createUserShare } from './guards/user-share.ts';
import type { Clock } from './kernel/clock.ts';
import type { Audit } from './observability/audit.ts';
import { withRefreshAudit, withSessionAudit } from './observability/audit-reports.ts';
import { createHubReport, showHub } from './observability/hub-report.ts';
import { showLiveGauges } from './observability/live-gauges.ts';
import type { Logger } from './observability/logger.ts';
import type { Metrics } from './observability/metrics.ts';
import { createRefreshReport, createSessionReport, createStoreMeter } from './observability/reports.ts';
import { createRequestLog } from './observability/request-log.ts';
import { createStreamReport } from './observability/stream-report.ts';
import { withRefreshTrace, withStoreTrace } from './observability/trace-reports.ts';
import type { Tracing } from './observability/tracing.ts';
import type { InvalidationChannel } from './redis/invalidation-channel.ts';
import type { RedisConnection } from './redis/redis-client.ts';
import { createMemoryLock, createRedisLock } from './redis/redis-lock.ts';
import { withIdentityCheck } from './refresh/identity-check.ts';
import { createRefreshCoordinator } from './refresh/refresh-coordinator.ts';
import { createBffRoutes } from './routes/bff.ts';
import { createCachedForward } from './routes/cached-forward.ts';
import { createEventsRoute } from './routes/events.ts';
import { createFinveraRoutes } from './routes/finvera-paths.ts';
import { createForward, type Forward } from './routes/forwarded.ts';
import { createHealth } from './routes/health.ts';
import { createLogin } from './routes/login.ts';
import { createPipeline } from './routes/pipeline.ts';
import { createStreamRoute } from './routes/stream.ts';
import { createMeasuredSessionStore } from './session/measured-session-store.ts';
import { createMemorySessionStore } from './session/memory-session-store.ts';
import { createRedisSessionStore } from './session/redis-session-store.ts';
import { createSessionCache, type SessionCache } from './session/session-cache.ts';
import { createSessionCookie } from './session/session-cookie.ts';
import { createSessions, type SessionObserver } from './session/sessions.ts';
import { createTokenSeal, type TokenSeal } from './session/token-seal.ts';
import { createBoundAnswers } from './streams/bound-answers.ts';
import { createBrowserSide } from './streams/browser-side.ts';
import { codeLabel } from './streams/close-codes.ts';
import { createSessionEvents } from './streams/session-events.ts';
import { createSessionWatch } from './streams/session-watch.ts';
import { createStreamHub } from './streams/stream-hub.ts';
import { createStreams } from './streams/streams.ts';
import { dialUpstream, streamUrl } from './streams/upstream-dial.ts';

const LOGIN_BODY_TIMEOUT_MS = 15_000;

export interface AssemblyParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly redis: RedisConnection | undefined;
  readonly channel: InvalidationChannel;
  readonly frontend: Frontend | undefined;
  readonly isDraining: () => boolean;
  /** Undefined: off. */
  readonly tracing: Tracing | undefined;
  /** Share of the lines of successful requests that is written. */
  readonly sampling: () => number;
}

export function assemble(parts: AssemblyParts) {
  const { settings, clock, log, metrics, audit, redis, channel, frontend, isDraining, tracing } = parts;
  const times = { idleTimeoutMs: settings.sessionIdleTimeout, absoluteTimeoutMs: settings.sessionAbsoluteTimeout };
  const cookie = createSessionCookie({ secure: settings.cookieSecure, sameSite: settings.cookieSamesite });
  const cache = createSessionCache({ isTrusted: channel.isHealthy });
  keepCacheTrue(cache, channel);
  const seal = createTokenSeal(settings.sessionKeys, clock);
  const answers = createSharedAnswers(settings, clock, log, metrics);
  const keysFile = followKeysFile(parts, [seal, ...(answers ? [answers] : [])]);
  const store = createMeasuredSessionStore(
    redis ? createRedisSessionStore(redis) : createMemorySessionStore(clock),
    withStoreTrace(createStoreMeter(metrics), tracing),
  );
  const sessions = createSessions({
    store,
    seal,
    cache,
    clock,
    times,
    maxPerUser: settings.sessionMaxPerUser,
    observer: withNews(withSessionAudit(createSessionReport(log, metrics), audit), channel),
  });
  const finvera = withExchangeTrace(
    createFinveraClient({
      url: settings.finveraUrl,
      connectTimeoutMs: settings.finveraConnectTimeout,
      authTimeoutMs: settings.finveraAuthTimeout,
      clock,
      breaker: createCircuitBreaker(breakerOptions('auth', log, metrics)),
    }),
    tracing,
  );
  const forwarder = withUpstreamTrace(
    createHttpForwarder({
      url: settings.finveraUrl,
      connectTimeoutMs: settings.finveraConnectTimeout,
      breaker: createFairBreaker(breakerOptions('data', log, metrics)),
    }),
    tracing,
  );
  const sharesByTier = settings.routes.some((route) => route.cache?.scope === 'tier');
  const coordinator = createRefreshCoordinator({
    sessions: sharesByTier ? withIdentityCheck(sessions, finvera, log) : sessions,
    finvera,
    lock: redis ? createRedisLock(redis) : createMemoryLock(),
    clock,
    aheadMs: settings.refreshAhead,
    observer: withRefreshTrace(withRefreshAudit(createRefreshReport(log, metrics), audit), tracing),
  });
  metrics.readSessionLookups(() => cache.lookups);
  showLiveGauges(metrics, {
    cachedSessions: () => cache.size,
    isInvalidationHealthy: channel.isHealthy,
    isStoreConnected: () => redis === undefined || redis.status === 'ready',
    upstreamConnections: forwarder.connections,
    estimateSessions: store.estimate,
  });
  const watch = createSessionWatch({ sessions, channel, clock, times });
  const streams = createStreams({
    watch,
    report: createStreamReport(log, metrics, codeLabel),
    limits: {
      maxBufferedBytes: settings.streams.maxBufferedBytes,
      stallMs: settings.streams.stallTimeout,
      heartbeatMs: settings.streams.heartbeat,
    },
    maxPerSession: settings.streams.maxPerSession,
  });
  const events = createSessionEvents({ watch, maxPerSession: settings.streams.maxPerSession });
  const bound = createBoundAnswers({ watch });
  metrics.onScrape(() => {
    metrics.openStreams.set({ kind: 'streams' }, streams.size);
    metrics.openStreams.set({ kind: 'events' }, events.size);
    metrics.openStreams.set({ kind: 'answers' }, bound.size);
    metrics.watchedSessions.set(watch.size);
  });
  const hub = createHub(settings, log, metrics);
  const authenticate = withAuthenticateTrace(createAuthenticate(sessions, cookie), tracing);
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
  const limits = createUpstreamLimits(clock, channel);
  const validateParts = { ...sessionParts, bound, forwarder, settings, metrics, clock, share: createUserShare() };
  const forwardParts = { ...validateParts, limits };
  const forwards = new Map<string, Forward>(
    settings.routes.map((route) => [
      route.path,
      answers && route.cache
        ? createCachedForward({ ...forwardParts, answers }, route, route.cache)
        : createForward(forwardParts, route),
    ]),
  );
  const forwardValidate = createForward(validateParts, VALIDATE_ROUTE, VALIDATE_ROUTE.path);
  const app = createPipeline({
    settings,
    cookie,
    routeTable: createRouteTable(settings.routes),
    bff: createBffRoutes({
      ...sessionParts,
      login,
      events: createEventsRoute({ authenticate, events }),
      sessions,
      clock,
      times,
      isProduction: settings.production,
    }),
    finveraPaths: createFinveraRoutes({ ...sessionParts, login, forwardValidate, clock }),
    stream: createStreamRoute({
      ...sessionParts,
      settings,
      streams,
      hub,
      watch,
      browserSide: createBrowserSide(settings.streams),
      audit,
      isDraining,
    }),
    forwards,
    frontend,
    health,
    isDraining,
    metrics,
    audit,
    tracing,
    logRequest: createRequestLog({ log, metrics, sampling: parts.sampling }),
  });
  return { app, health, finvera, forwarder, coordinator, keysFile, streams, hub, events, bound, watch, answers };
}

/** One upstream connection for all browsers, and only ever with the server's own key. */
function createHub({ streams, finveraStreamUrl, finveraApiKey }: Settings, log: Logger, metrics: Metrics) {
  if (streams.mode !== 'hub' || !finveraApiKey) return undefined;
  const hub = createStreamHub({
    dial: (signal) =>
      dialUpstream({
        url: streamUrl(finveraStreamUrl, withApiKey('', finveraApiKey.reveal())),
        headers: [],
        protocols: [],
        handshakeTimeoutMs: streams.handshakeTimeout,
        maxMessageBytes: streams.maxMessageBytes,
        signal,
      }),
    heartbeatMs: streams.heartbeat,
    symbolFields: streams.symbolFields,
    report: createHubReport(log, metrics, finveraApiKey),
  });
  showHub(metrics, hub.stats);
  return hub;
}

/** Keys of a file change without a restart; those of a variable cannot. */
function followKeysFile(
  { settings, log, metrics, audit, channel }: AssemblyParts,
  holders: readonly Pick<TokenSeal, 'replaceKeys'>[],
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
      for (const holder of holders) holder.replaceKeys(changed);
      // A key that was taken out ends its sessions now, not when they leave the cache.
      channel.tell({ kind: 'flushed' });
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
function breakerOptions(upstream: 'auth' | 'data', log: Logger, metrics: Metrics): CircuitBreakerOptions {
  metrics.breakerState.set({ upstream }, 0);
  return {
    now: () => performance.now(),
    onChange: (state) => {
      metrics.breakerState.set({ upstream }, BREAKER_LEVELS[state]);
      log.warn({ event: 'breaker', reason: upstream, outcome: state }, 'circuit breaker changed');
    },
  };
}

/** What this instance does to sessions itself is news here at once, whether it hears the others or not. */
function withNews(observer: SessionObserver, channel: InvalidationChannel): SessionObserver {
  return {
    ...observer,
    ended(hash, userId, reason, requester) {
      observer.ended(hash, userId, reason, requester);
      channel.tell({ kind: 'ended', hash, reason });
    },
    renewed: (hash) => channel.tell({ kind: 'refreshed', hash }),
  };
}

/** What happened elsewhere is forgotten here; after a gap in hearing everything is. */
function keepCacheTrue(cache: SessionCache, channel: InvalidationChannel): void {
  channel.onEvent((event) => {
    if (event.kind === 'flushed') cache.clear();
    else cache.invalidate(event.hash);
  });
  channel.onHealthy(() => cache.clear());
}

/** `GET …/auth/validate` is Finvera's own answer, asked with the session's bearer. */
const VALIDATE_ROUTE: RouteSettings = {
  path: '/kms/api/v1/auth/validate',
  methods: ['GET', 'HEAD'],
  credential: 'session',
  apiKeyIn: 'bearer',
};
