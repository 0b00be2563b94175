/** Every metric's name and labels in one place. Labels hold only values of closed lists, so that nobody can grow them. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  createFastCounter,
  createFastHistogram,
  type FastCounter,
  type FastHistogram,
  SECONDS,
} from './request-meter.ts';

export interface Metrics {
  /** The text of all metrics, for Prometheus. */
  text(): Promise<string>;
  readonly contentType: string;
  /** Called before each `text`, to bring gauges up to date. */
  onScrape(update: () => void): void;
  /** Labels: route, method, status, code. */
  readonly requests: FastCounter;
  /** Label: route. */
  readonly requestSeconds: FastHistogram;
  readonly upstreamSeconds: FastHistogram;
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
  readonly storeErrors: Counter;
  readonly rateLimits: Counter<'event'>;
  readonly guardRefusals: Counter<'guard'>;
  /** 0 closed, 1 half-open, 2 open. */
  readonly breakerState: Gauge<'upstream'>;
  /** 1 for the key that seals, by its name; 0 for those that only open. */
  readonly sessionKeys: Gauge<'kid'>;
  readonly auditLinesLost: Counter;
  readonly cachedSessions: Gauge;
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
    storeErrors: counter('store_errors_total', 'Operations the session store did not answer.', []),
    rateLimits: counter(
      'rate_limits_total',
      "Finvera's 429: learned from an answer, or answered here until its Retry-After.",
      ['event'],
    ),
    breakerState: new Gauge({
      name: 'finvera_gateway_breaker_state',
      help: 'Circuit breaker: 0 closed, 1 half-open, 2 open.',
      labelNames: ['upstream'],
      registers,
    }),
    cachedSessions: new Gauge({
      name: 'finvera_gateway_cached_sessions',
      help: 'Sessions in the process cache.',
      registers,
    }),
    invalidationHealthy: new Gauge({
      name: 'finvera_gateway_invalidation_healthy',
      help: '1 while session events of other instances are heard.',
      registers,
    }),
    sessionKeys: new Gauge({
      name: 'finvera_gateway_session_keys',
      help: 'Keys in force, by name: 1 seals, 0 only opens.',
      labelNames: ['kid'],
      registers,
    }),
    auditLinesLost: counter('audit_lines_lost_total', 'Lines of the audit trail that could not be written.', []),
    guardRefusals: counter('guard_refusals_total', 'Requests a guard refused.', ['guard']),
  };
}
