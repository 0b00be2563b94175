/** Whether there is tracing, by the standard OTEL_* variables, which OpenTelemetry itself reads; they are no settings. Pure. */
type Environment = Readonly<Record<string, string | undefined>>;

export type TracingPlan =
  | { readonly kind: 'off' }
  | { readonly kind: 'on' }
  /** Asked for in a way that the gateway does not have. */
  | { readonly kind: 'refused'; readonly problem: string };

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
export function planTracing(env: Environment): TracingPlan {
  const exporter = env.OTEL_TRACES_EXPORTER?.trim() ?? '';
  const isAsked =
    exporter !== '' || Boolean(env.OTEL_EXPORTER_OTLP_ENDPOINT) || Boolean(env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT);
  if (!isAsked || exporter === 'none' || env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return { kind: 'off' };
  if (exporter !== '' && exporter !== 'otlp')
    return { kind: 'refused', problem: 'OTEL_TRACES_EXPORTER must be otlp or none' };
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL || 'http/json';
  if (protocol !== 'http/json')
    return { kind: 'refused', problem: 'OTEL_EXPORTER_OTLP_PROTOCOL must be http/json, or not set' };
  return { kind: 'on' };
}
