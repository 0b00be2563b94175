/** Adds spans to what is told of the store and of refreshes. It decides nothing. */
import type { Tracing } from './tracing.ts';

interface StoreMeter {
  took(operation: string, ms: number, hasFailed: boolean): void;
}

interface RefreshReport {
  waited(ms: number): void;
}

export function withStoreTrace<T extends StoreMeter>(meter: T, tracing: Tracing | undefined): T {
  if (!tracing) return meter;
  return {
    ...meter,
    took(operation: string, ms: number, hasFailed: boolean): void {
      meter.took(operation, ms, hasFailed);
      const error = hasFailed ? { 'error.type': 'store_unavailable' } : {};
      tracing.past(`store ${operation}`, ms, { 'finvera_gateway.operation': operation, ...error });
    },
  };
}

export function withRefreshTrace<T extends RefreshReport>(report: T, tracing: Tracing | undefined): T {
  if (!tracing) return report;
  return {
    ...report,
    waited(ms: number): void {
      report.waited(ms);
      tracing.past('wait for new tokens', ms, {});
    },
  };
}
