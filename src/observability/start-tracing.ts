/** Loads OpenTelemetry where there is to be tracing, and only there. */
import type { TracingPlan } from '../config/tracing-plan.ts';
import type { Tracing } from './tracing.ts';

/**
 * @param version of the gateway, for the traces.
 * @returns undefined where tracing is off.
 * @throws Error with a sentence where the variables ask for what there is not
 */
export async function startTracing(plan: TracingPlan, version: string): Promise<Tracing | undefined> {
  if (plan.kind === 'refused') throw new Error(plan.problem);
  if (plan.kind === 'off') return undefined;
  const { createOtelTracing } = await import('./otel-tracing.ts');
  return createOtelTracing(version);
}
