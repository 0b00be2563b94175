/** The calls to Finvera wired: each way with a breaker of its own, both traced. */
import { createFinveraClient } from '../finvera/finvera-client.ts';
import { withExchangeTrace } from '../finvera/traced-finvera-client.ts';
import { type CircuitBreakerOptions, createCircuitBreaker } from '../forwarding/circuit-breaker.ts';
import { createFairBreaker } from '../forwarding/fair-breaker.ts';
import { createHttpForwarder } from '../forwarding/http-forwarder.ts';
import { withUpstreamTrace } from '../forwarding/traced-forwarder.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { AssemblyParts } from './assemble.ts';

/** The two ways to Finvera: the gateway's own auth calls, and what is forwarded. */
export function createUpstreamParts({
  settings,
  clock,
  log,
  metrics,
  tracing,
}: Pick<AssemblyParts, 'settings' | 'clock' | 'log' | 'metrics' | 'tracing'>) {
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
  return { finvera, forwarder };
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
