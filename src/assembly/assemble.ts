/** The parts that answer requests, built in order and wired: sessions, refresh, forwarding, guards, routes. No rule of its own, and no listener. */
import { createSharedAnswers } from '../cache/shared-answers.ts';
import { createUpstreamLimits } from '../cache/upstream-limits.ts';
import type { RouteSettings, Settings } from '../config/settings.ts';
import { createRouteTable } from '../forwarding/route-table.ts';
import type { Frontend } from '../frontend/frontend-proxy.ts';
import { createAuthenticate, withAuthenticateTrace } from '../guards/authenticate.ts';
import { createLoginThrottle } from '../guards/login-throttle.ts';
import { createStuffingWatch } from '../guards/stuffing-watch.ts';
import { createUserShare } from '../guards/user-share.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Audit } from '../observability/audit.ts';
import { withRefreshAudit } from '../observability/audit-reports.ts';
import { showLiveGauges } from '../observability/live-gauges.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createRefreshReport } from '../observability/reports.ts';
import { createRequestLog } from '../observability/request-log.ts';
import { withRefreshTrace } from '../observability/trace-reports.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { InvalidationChannel } from '../redis/invalidation-channel.ts';
import type { RedisConnection } from '../redis/redis-client.ts';
import { createMemoryLock, createRedisLock } from '../redis/redis-lock.ts';
import { withIdentityCheck } from '../refresh/identity-check.ts';
import { createRefreshCoordinator } from '../refresh/refresh-coordinator.ts';
import { createBffRoutes } from '../routes/bff.ts';
import { createCachedForward } from '../routes/cached-forward.ts';
import { createEventsRoute } from '../routes/events.ts';
import { createFinveraRoutes } from '../routes/finvera-paths.ts';
import { createForward, type Forward } from '../routes/forwarded.ts';
import { createHealth } from '../routes/health.ts';
import { createLogin } from '../routes/login.ts';
import { createPipeline } from '../routes/pipeline.ts';
import { createStreamRoute } from '../routes/stream.ts';
import { createSessionCookie } from '../session/session-cookie.ts';
import { createBrowserSide } from '../streams/browser-side.ts';
import { followKeysFile } from './follow-keys-file.ts';
import { createSessionParts } from './session-parts.ts';
import { createStreamParts } from './stream-parts.ts';
import { createUpstreamParts } from './upstream-parts.ts';

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
  const sessionSide = createSessionParts(parts);
  const { sessions, times, cache, store, seal } = sessionSide;
  const { finvera, forwarder } = createUpstreamParts(parts);
  const { watch, streams, events, bound, hub } = createStreamParts(parts, sessionSide);
  const cookie = createSessionCookie({ secure: settings.cookieSecure, sameSite: settings.cookieSamesite });
  const answers = createSharedAnswers(settings, clock, log, metrics);
  const keysFile = followKeysFile(parts, [seal, ...(answers ? [answers] : [])]);
  const sharesByTier = settings.routes.some((route) => route.cache?.scope === 'tier');
  const coordinator = createRefreshCoordinator({
    sessions: sharesByTier ? withIdentityCheck(sessions, finvera, log) : sessions,
    finvera,
    lock: redis ? createRedisLock(redis) : createMemoryLock(),
    clock,
    aheadMs: settings.refreshAhead,
    observer: withRefreshTrace(withRefreshAudit(createRefreshReport(log, metrics), audit), tracing),
  });
  showLiveGauges(metrics, {
    cachedSessions: () => cache.size,
    isInvalidationHealthy: channel.isHealthy,
    isStoreConnected: () => redis === undefined || redis.status === 'ready',
    upstreamConnections: forwarder.connections,
    estimateSessions: store.estimate,
  });
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

/** `GET …/auth/validate` is Finvera's own answer, asked with the session's bearer. */
const VALIDATE_ROUTE: RouteSettings = {
  path: '/kms/api/v1/auth/validate',
  methods: ['GET', 'HEAD'],
  credential: 'session',
  apiKeyIn: 'bearer',
};
