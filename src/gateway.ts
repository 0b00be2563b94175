/** Composition root: the store's connection, the parts (assembly/), both listeners, and their end. No rule of its own. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DestinationStream } from 'pino';
import { assemble } from './assembly/assemble.ts';
import type { Settings } from './config/settings.ts';
import { createRouteTable } from './forwarding/route-table.ts';
import { createFrontendProxy, type Frontend } from './frontend/frontend-proxy.ts';
import { createStaticFolder } from './frontend/static-folder.ts';
import { type Clock, systemClock } from './kernel/clock.ts';
import { within } from './kernel/within.ts';
import { closeServer, listenOn } from './lifecycle/connections.ts';
import { createDrain } from './lifecycle/drain.ts';
import { createAuditTrail } from './observability/audit-trail.ts';
import { createLogControl } from './observability/log-control.ts';
import { createLogger, type Logger } from './observability/logger.ts';
import { createManagementHandler } from './observability/management.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';
import type { Tracing } from './observability/tracing.ts';
import { createInvalidationChannel, createLocalChannel } from './redis/invalidation-channel.ts';
import { createRedisConnection, createRedisSubscriber, whenReady } from './redis/redis-client.ts';
import { hardenServer, SERVER_OPTIONS } from './routes/harden-server.ts';
import { HEALTH_PATHS } from './routes/health.ts';
import { createMessageClasses } from './routes/message-classes.ts';
import { createUpgradeHandler } from './routes/upgrade.ts';

export interface GatewayOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Where log lines go. Default: standard output. */
  readonly logDestination?: DestinationStream;
  /** Where audit lines go that the settings send to standard output. Default: to the log lines. */
  readonly auditDestination?: DestinationStream;
  /** Human-readable lines instead of JSON. */
  readonly prettyLog?: boolean;
  /** As `startTracing` gives it (`observability/start-tracing.ts`). Default: off. Closed with the gateway. */
  readonly tracing?: Tracing | undefined;
}

export interface Listening {
  readonly port: number;
  /** Undefined where the management listener is off. */
  readonly managementPort: number | undefined;
}

export interface Gateway {
  /** The public listener's server, for tests that speak to it without a port. */
  readonly server: Server;
  /** What the public listener does with a request, an upgrade, and the management listener with a request: for another server. */
  readonly app: (req: IncomingMessage, res: ServerResponse) => void;
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly management: (req: IncomingMessage, res: ServerResponse) => void;
  readonly log: Logger;
  /** Opens both listeners; waits shortly for the store, and starts without it where it does not come. */
  listen(): Promise<Listening>;
  /** Every log line from debug on; asked again, what the settings say. */
  toggleDebug(): void;
  /** Not ready from now on, while both listeners still serve. */
  beginDrain(): void;
  /** Ends in-flight work within the limit, then everything. Safe to call twice. @returns true where nothing was cut. */
  close(limitMs?: number): Promise<boolean>;
}

const STORE_WAIT_MS = 2_000;
/** For the last spans: a collector that does not answer holds up no end. */
const TRACES_WAIT_MS = 2_000;

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
  const { tracing } = options;
  tracing?.onProblem((reason) => log.warn({ event: 'traces_not_exported', reason }, 'spans were lost'));
  const audit = createAuditTrail({ settings, clock, log, metrics, destination: options.auditDestination });
  const logControl = createLogControl({
    log,
    audit,
    configured: { level: settings.logLevel, sampling: settings.logSampling },
  });
  const { redis, channel } = connectStore(settings, log, metrics);
  const frontend = createFrontend(settings);
  const { app, health, finvera, forwarder, coordinator, keysFile, ...lasting } = assemble({
    settings,
    clock,
    log,
    metrics,
    audit,
    redis,
    channel,
    frontend,
    isDraining: drain.isDraining,
    tracing,
    sampling: () => logControl.current().sampling,
  });

  const server = createServer({ ...createMessageClasses(app), ...SERVER_OPTIONS }, app);
  hardenServer(server, { app, log });
  const upgrade = createUpgradeHandler({ routeTable: createRouteTable(settings.routes), frontend, app });
  server.on('upgrade', upgrade);
  const manage = createManagementHandler({ metrics, health, healthPaths: HEALTH_PATHS, logControl });
  const management = createServer(manage);

  let closing: Promise<boolean> | undefined;
  return {
    server,
    app,
    upgrade,
    management: manage,
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
    toggleDebug: logControl.toggleDebug,
    beginDrain: drain.begin,
    close(limitMs = settings.shutdownTimeout) {
      drain.begin();
      closing ??= (async () => {
        const deadline = performance.now() + limitMs;
        keysFile.stop();
        const { streams, hub, events, bound, watch, answers } = lasting;
        events.close();
        const [isServed, areStreamsClosed] = await Promise.all([closeServer(server, limitMs), streams.close(limitMs)]);
        hub?.close();
        bound.close();
        watch.close();
        await within(coordinator.settled(), Math.max(0, deadline - performance.now()), undefined);
        await Promise.allSettled([finvera.close(), forwarder.close()]);
        answers?.close();
        channel.close();
        redis?.disconnect();
        await tracing?.close(TRACES_WAIT_MS);
        await closeServer(management, 0);
        audit.close();
        return isServed && areStreamsClosed;
      })();
      return closing;
    },
  };
}

function connectStore(settings: Settings, log: Logger, metrics: Metrics) {
  const { sessionStore, redisUrl } = settings;
  if (sessionStore === 'memory' || redisUrl === undefined) return { redis: undefined, channel: createLocalChannel() };
  const redis = createRedisConnection(redisUrl, log);
  redis.once('ready', () => redis.on('ready', () => metrics.storeReconnects.inc()));
  return { redis, channel: createInvalidationChannel(createRedisSubscriber(redisUrl, log), redis, log) };
}

function createFrontend({ frontend, finveraBodyTimeout }: Settings): Frontend | undefined {
  if (!frontend) return undefined;
  return frontend.kind === 'folder'
    ? createStaticFolder(frontend.path)
    : createFrontendProxy(frontend.url, finveraBodyTimeout);
}
