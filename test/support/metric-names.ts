// Which metrics an expression names, and which the gateway has.
import { createMetrics } from '../../src/observability/metrics.ts';

/** Without the endings of a histogram's series. */
export function metricsNamedIn(expression: string): string[] {
  const named = expression.matchAll(/\b(?:finvera_gateway|nodejs|process)_\w+/g);
  return [...named].map(([name]) => name.replace(/_bucket$/, ''));
}

/** By name. */
export async function knownMetrics(): Promise<ReadonlySet<string>> {
  const metrics = createMetrics();
  metrics.readSessionLookups(() => ({ hits: 0, misses: 0 }));
  return new Set([...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name));
}
