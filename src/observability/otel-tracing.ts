/**
 * Tracing by OpenTelemetry, exported over OTLP in batches. Which spans there are is said elsewhere. A span is carried along
 * by an AsyncLocalStorage of its own: of OpenTelemetry's globals only the listener for its problems is used, so that two
 * gateways in one process are apart.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Attributes,
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { GatewayError } from '../kernel/errors.ts';
import { within } from '../kernel/within.ts';
import { inert } from './inert-text.ts';
import type { RequestTrace, SpanFields, TraceBeginning, Tracing } from './tracing.ts';

/** What is worked for: the request, and the span that whatever begins now is a child of. */
interface Scope {
  readonly request: RequestTrace;
  readonly context: Context;
}

const PROBLEM_EVERY_MS = 60_000;
const MAX_VALUE_CHARS = 256;

export function createOtelTracing(version: string): Tracing {
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'finvera-gateway', 'service.version': version }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('finvera-gateway', version);
  const scopes = new AsyncLocalStorage<Scope>();
  const problems = listenForProblems();

  /** Undefined outside a request, and in one that is not recorded: no sampler records a part of what it left out. */
  const begin = (name: string, kind: SpanKind, fields: SpanFields, startTime?: number) => {
    const scope = scopes.getStore();
    if (scope?.request.traceId === undefined) return undefined;
    const span = tracer.startSpan(
      name,
      { kind, attributes: attributesOf(fields), ...(startTime === undefined ? {} : { startTime }) },
      scope.context,
    );
    return { span, context: trace.setSpan(scope.context, span) };
  };

  return {
    request(beginning, work) {
      const { span, context } = beginRequest(tracer.startSpan.bind(tracer), beginning);
      scopes.run({ request: requestTrace(span), context: trace.setSpan(context, span) }, work);
    },
    current: () => scopes.getStore()?.request,
    inside(name, work) {
      const scope = scopes.getStore();
      const begun = begin(name, SpanKind.INTERNAL, {});
      if (!scope || !begun) return work();
      return endWith(begun.span, () => scopes.run({ ...scope, context: begun.context }, work));
    },
    async outbound(name, fields, work, describe) {
      const scope = scopes.getStore();
      const begun = begin(name, SpanKind.CLIENT, fields);
      if (!scope || !begun) return await work(scope?.request.traceparent);
      const { span, context } = begun;
      try {
        const result = await scopes.run({ ...scope, context }, () => work(traceparentOf(span.spanContext())));
        const found = describe(result);
        span.setAttributes(attributesOf(found));
        if (found['error.type'] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
        return result;
      } catch (error) {
        fail(span, error);
        throw error;
      } finally {
        span.end();
      }
    },
    past(name, durationMs, fields) {
      const end = performance.now();
      const begun = begin(name, SpanKind.INTERNAL, fields, performance.timeOrigin + end - durationMs);
      if (!begun) return;
      if (fields['error.type'] !== undefined) begun.span.setStatus({ code: SpanStatusCode.ERROR });
      begun.span.end(performance.timeOrigin + end);
    },
    onProblem: problems.onProblem,
    async close(limitMs) {
      await within(
        provider.shutdown().catch(() => undefined),
        limitMs,
        undefined,
      );
    },
  };
}

type StartSpan = (name: string, options: object, context: Context) => Span;

/** What a client that nobody vouches for claims is linked, not continued: it could fill the traces of others, or ask for all of its own to be recorded. */
function beginRequest(startSpan: StartSpan, { method, sent, isTrusted }: TraceBeginning) {
  const remote = sent === undefined ? undefined : spanContextOf(sent);
  const options = {
    kind: SpanKind.SERVER,
    attributes: { 'http.request.method': method },
    ...(remote && !isTrusted ? { links: [{ context: remote }] } : {}),
  };
  const context = remote && isTrusted ? trace.setSpanContext(ROOT_CONTEXT, remote) : ROOT_CONTEXT;
  return { span: startSpan(method, options, context), context };
}

function requestTrace(span: Span): RequestTrace {
  const told = span.spanContext();
  return {
    traceparent: traceparentOf(told),
    traceId: span.isRecording() ? told.traceId : undefined,
    end(name, fields, error) {
      if (!span.isRecording()) return;
      span.updateName(name);
      span.setAttributes(attributesOf({ ...fields, 'error.type': error }));
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

/** Ends the span with what `work` gives, or with the promise that it gives. */
function endWith<T>(span: Span, work: () => T): T {
  try {
    const result = work();
    if (!(result instanceof Promise)) {
      span.end();
      return result;
    }
    return result.then(
      (value) => {
        span.end();
        return value;
      },
      (error: unknown) => {
        fail(span, error);
        span.end();
        throw error;
      },
    ) as T;
  } catch (error) {
    fail(span, error);
    span.end();
    throw error;
  }
}

/** The kind of an error, never its message: that may quote what was sent. */
function fail(span: Span, error: unknown): void {
  const kind = error instanceof GatewayError ? error.code : error instanceof Error ? error.name : 'unknown';
  span.setAttribute('error.type', kind);
  if (!(error instanceof GatewayError) || error.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
}

function attributesOf(fields: SpanFields): Attributes {
  const attributes: Attributes = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    attributes[name] = typeof value === 'string' ? inert(value.slice(0, MAX_VALUE_CHARS)) : value;
  }
  return attributes;
}

/** https://www.w3.org/TR/trace-context/#traceparent-header */
function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags & TraceFlags.SAMPLED ? '01' : '00'}`;
}

/** @param traceparent valid. */
function spanContextOf(traceparent: string): SpanContext {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-');
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
}

/** OpenTelemetry tells of what it could not export through one listener of the process; an address in it may hold a password. */
function listenForProblems() {
  let tell: (reason: string) => void = () => undefined;
  let toldAt = Number.NEGATIVE_INFINITY;
  const listen = (message: string): void => {
    if (performance.now() - toldAt < PROBLEM_EVERY_MS) return;
    toldAt = performance.now();
    tell(/\b(?:E[A-Z]{4,20}|timeout|[45]\d\d)\b/i.exec(message)?.[0] ?? 'unknown');
  };
  const quiet = () => undefined;
  diag.setLogger(
    { error: listen, warn: listen, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  return {
    onProblem(listener: (reason: string) => void): void {
      tell = listener;
    },
  };
}
