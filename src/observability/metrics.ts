/** Every metric's name and labels in one place. Labels hold only values of closed lists, so that nobody can grow them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import {
  createFastCounter,
  createFastHistogram,
  createReadCounter,
  type FastCounter,
  type FastHistogram,
  SECONDS,
} from './request-meter.ts';

export interface Metrics {
  /** The text of all metrics, for Prometheus. */
  text(): Promise<string>;
  readonly contentType: string;
  /** The same in the OpenMetrics format, which has room for exemplars. */
  openMetrics(): Promise<string>;
  readonly openMetricsType: string;
  /** Called before each `text`, to bring gauges up to date. */
  onScrape(update: () => void): void;
  /** Labels: route, method, status, code. */
  readonly requests: FastCounter;
  /** Label: route. */
  readonly requestSeconds: FastHistogram;
  readonly upstreamSeconds: FastHistogram;
  /** Label: operation of the session store. */
  readonly storeSeconds: FastHistogram;
  /** Kept by whoever counts requests; read when somebody scrapes. */
  readonly inFlight: { value: number };
  readonly logins: Counter<'outcome'>;
  readonly loginStuffing: Counter;
  readonly refreshes: Counter<'outcome' | 'why'>;
  readonly refreshSeconds: Histogram<string>;
  readonly refreshJoined: Counter<'how'>;
  readonly refreshWaitSeconds: Histogram<string>;
  readonly refreshLockLost: Counter;
  readonly refreshWritesPending: Counter<'event'>;
  readonly sessionsStarted: Counter;
  readonly sessionsEnded: Counter<'reason'>;
  readonly sessionsResealed: Counter<'outcome'>;
  readonly storeErrors: Counter<'operation'>;
  readonly storeConnected: Gauge;
  readonly storeReconnects: Counter;
  /** About how many sessions there are, of all instances. */
  readonly sessionsActive: Gauge;
  /** Answers of the session cache, kept by the cache itself. */
  readSessionLookups(read: () => { readonly hits: number; readonly misses: number }): void;
  readonly upstreamConnections: Gauge<'state'>;
  /** After an upstream 401: sent again with new tokens, or passed on. */
  readonly upstreamReplays: Counter<'outcome'>;
  readonly rateLimits: Counter<'event'>;
  readonly cacheRequests: Counter<'route' | 'outcome'>;
  readonly cacheEntries: Gauge;
  readonly cacheBytes: Gauge;
  readonly cacheRedisUsable: Gauge;
  readonly cacheRedisOperations: Counter<'operation' | 'outcome'>;
  readonly guardRefusals: Counter<'guard'>;
  /** 0 closed, 1 half-open, 2 open. */
  readonly breakerState: Gauge<'upstream'>;
  /** 1 for the key that seals, by its name; 0 for those that only open. */
  readonly sessionKeys: Gauge<'kid'>;
  readonly auditLinesLost: Counter;
  readonly hubReaders: Gauge;
  readonly hubTopics: Gauge;
  readonly hubUpstreamOpen: Gauge;
  readonly hubConnections: Counter<'outcome'>;
  readonly hubReceived: Counter;
  readonly hubDelivered: Counter;
  readonly hubDropped: Counter<'reason'>;
  readonly cachedSessions: Gauge;
  /** What is open: streams, event streams, long answers. */
  readonly openStreams: Gauge<'kind'>;
  readonly watchedSessions: Gauge;
  readonly streamMessages: Counter<'direction'>;
  readonly streamBytes: Counter<'direction'>;
  readonly streamsClosed: Counter<'code' | 'by'>;
  readonly invalidationHealthy: Gauge;
}

/** @param withProcess adds the process's own metrics (memory, event loop, garbage collection). */
export function createMetrics({ withProcess = true } = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (withProcess) collectDefaultMetrics({ register: registry });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name: `finvera_gateway_${name}`, help, labelNames: [...labelNames], registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Histogram({
      name: `finvera_gateway_${name}`,
      help,
      labelNames: [...labelNames],
      registers,
      buckets: [...SECONDS],
    });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name: `finvera_gateway_${name}`, help, labelNames: [...labelNames], registers });
  const inFlight = { value: 0 };
  const inFlightGauge = new Gauge({ name: 'finvera_gateway_in_flight', help: 'Requests under way.', registers });
  const updates: (() => void)[] = [() => inFlightGauge.set(inFlight.value)];
  return {
    contentType: registry.contentType,
    onScrape: (update) => void updates.push(update),
    text() {
      for (const update of updates) update();
      return registry.metrics();
    },
    openMetricsType: Registry.OPENMETRICS_CONTENT_TYPE,
    openMetrics() {
      for (const update of updates) update();
      return openMetricsOf(registry);
    },
    requests: createFastCounter(registry, 'finvera_gateway_requests_total', 'Requests answered.', [
      'route',
      'method',
      'status',
      'code',
    ]),
    requestSeconds: createFastHistogram(
      registry,
      'finvera_gateway_request_seconds',
      'From the request to the end of its answer.',
      'route',
    ),
    upstreamSeconds: createFastHistogram(
      registry,
      'finvera_gateway_upstream_seconds',
      'From the request to the head of the upstream answer.',
      'route',
    ),
    storeSeconds: createFastHistogram(
      registry,
      'finvera_gateway_store_seconds',
      'Operations of the session store.',
      'operation',
    ),
    readSessionLookups: (read) =>
      createReadCounter(
        registry,
        'finvera_gateway_session_lookups_total',
        'Look-ups of sessions in the process cache.',
        'result',
        () => ({ hit: read().hits, miss: read().misses }),
      ),
    inFlight,
    logins: counter('logins_total', 'Login attempts.', ['outcome']),
    loginStuffing: counter('login_stuffing_suspected_total', 'Addresses that failed on many accounts.', []),
    refreshes: counter('refreshes_total', 'Refresh exchanges with Finvera.', ['outcome', 'why']),
    refreshSeconds: histogram('refresh_seconds', 'Time of one refresh exchange.', []),
    refreshJoined: counter('refresh_joined_total', "Requests that took another one's refresh.", ['how']),
    refreshWaitSeconds: histogram('refresh_wait_seconds', 'Time a request waited for new tokens.', []),
    refreshLockLost: counter('refresh_lock_lost_total', 'Refresh locks lost while the exchange ran.', []),
    refreshWritesPending: counter('refresh_pending_writes_total', 'New tokens the store would not take.', ['event']),
    sessionsStarted: counter('sessions_started_total', 'Sessions begun.', []),
    sessionsEnded: counter('sessions_ended_total', 'Sessions ended.', ['reason']),
    sessionsResealed: counter('sessions_resealed_total', 'Sessions sealed anew under the newest key.', ['outcome']),
    storeErrors: counter('store_errors_total', 'Operations the session store did not answer.', ['operation']),
    storeConnected: gauge('store_connected', '1 while the connection to Redis takes commands.', []),
    storeReconnects: counter('store_reconnects_total', 'Connections to Redis that came back.', []),
    sessionsActive: gauge('sessions_active', 'About how many sessions there are, of all instances.', []),
    upstreamConnections: gauge('upstream_connections', 'Connections to Finvera and requests that wait for one.', [
      'state',
    ]),
    upstreamReplays: counter('upstream_replays_total', 'Requests that Finvera answered 401.', ['outcome']),
    rateLimits: counter(
      'rate_limits_total',
      "Finvera's 429: learned from an answer, or answered here until its Retry-After.",
      ['event'],
    ),
    cacheRequests: counter('cache_requests_total', 'Requests to routes whose answers are shared.', [
      'route',
      'outcome',
    ]),
    cacheEntries: gauge('cache_entries', 'Answers kept in the process.', []),
    cacheBytes: gauge('cache_bytes', 'Bytes they take.', []),
    cacheRedisUsable: gauge('cache_redis_usable', '1 while answers are shared through Redis.', []),
    cacheRedisOperations: counter('cache_redis_operations_total', 'Answers looked for and kept in Redis.', [
      'operation',
      'outcome',
    ]),
    breakerState: gauge('breaker_state', 'Circuit breaker: 0 closed, 1 half-open, 2 open.', ['upstream']),
    cachedSessions: gauge('cached_sessions', 'Sessions in the process cache.', []),
    invalidationHealthy: gauge('invalidation_healthy', '1 while session events of other instances are heard.', []),
    sessionKeys: gauge('session_keys', 'Keys in force, by name: 1 seals, 0 only opens.', ['kid']),
    openStreams: gauge(
      'open_streams',
      'What is open and lasts: streams (WebSocket), events (/bff/events), answers (long ones of routes).',
      ['kind'],
    ),
    watchedSessions: gauge('watched_sessions', 'Sessions that something open hangs on.', []),
    streamMessages: counter('stream_messages_total', 'Messages of streams: in from browsers, out to them.', [
      'direction',
    ]),
    streamBytes: counter('stream_bytes_total', 'Bytes of those messages.', ['direction']),
    streamsClosed: counter('streams_closed_total', 'Streams closed, by code and who began it.', ['code', 'by']),
    auditLinesLost: counter('audit_lines_lost_total', 'Lines of the audit trail that could not be written.', []),
    hubReaders: gauge('hub_readers', 'Browsers that the stream hub serves.', []),
    hubTopics: gauge('hub_topics', 'Different subscriptions of those.', []),
    hubUpstreamOpen: gauge('hub_upstream_open', '1 while the stream hub has its upstream connection.', []),
    hubConnections: counter('hub_connections_total', "What became of the stream hub's upstream connection.", [
      'outcome',
    ]),
    hubReceived: counter('hub_received_total', 'Messages that the stream hub got from the upstream.', []),
    hubDelivered: counter('hub_delivered_total', 'Messages that it handed to browsers.', []),
    hubDropped: counter('hub_dropped_total', 'Messages of the upstream that reached nobody.', ['reason']),
    guardRefusals: counter('guard_refusals_total', 'Requests a guard refused.', ['guard']),
  };
}

/**
 * prom-client turns a counter's name into OpenMetrics' for good, and the classic text would lose its `_total`: it is given
 * copies.
 */
async function openMetricsOf(registry: Registry): Promise<string> {
  const copies = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
  copies.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const metric of await registry.getMetricsAsJSON()) {
    const name = String(metric.type) === 'counter' ? metric.name.replace(/_total$/, '') : metric.name;
    const copy = { ...metric, name, get: async () => ({ ...metric, name }) };
    copies.registerMetric(copy as unknown as Metric);
  }
  return await copies.metrics();
}
