// A gateway whose traces go to a collector of the test's own, as the OTEL_* variables say.
import type { Simulator } from '../../simulator/simulator.ts';
import { createOtelTracing } from '../../src/observability/otel-tracing.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from './test-gateway.ts';

const QUICK = { OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_TIMEOUT: '1000' };

export function startTraced(
  simulator: Simulator,
  collectorUrl: string,
  { variables = {}, ...options }: TestGatewayOptions & { readonly variables?: Readonly<Record<string, string>> } = {},
): Promise<TestGateway> {
  const all = { ...QUICK, OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl, ...variables };
  return startGateway(simulator, { ...options, tracing: withVariables(all, () => createOtelTracing('1.2.3')) });
}

/** OpenTelemetry reads its variables from the process, once, when it is made. */
function withVariables<T>(variables: Readonly<Record<string, string>>, make: () => T): T {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    return make();
  } finally {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}
