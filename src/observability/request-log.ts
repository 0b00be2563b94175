/** One log line and one sample of each metric a request, when it is over. */
import { quoted } from './inert-text.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

export interface FinishedRequest {
  readonly requestId: string;
  readonly method: string;
  /** Decoded or raw path without the query: queries may hold what no log should. */
  readonly path: string;
  readonly route: string;
  readonly status: number;
  readonly code: string | undefined;
  readonly cause: unknown;
  readonly durationMs: number;
  readonly upstreamMs: number | undefined;
  readonly session: string | undefined;
  readonly userId: string | undefined;
  readonly ip: string;
  /** The client left before the answer was whole. */
  readonly aborted: boolean;
  /** Of the trace that is recorded of it, where one is. */
  readonly traceId: string | undefined;
}

const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

export interface RequestLogParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Share of the lines of successful requests that is written, as it is at this moment. */
  readonly sampling: () => number;
}

export function createRequestLog({ log, metrics, sampling }: RequestLogParts): (request: FinishedRequest) => void {
  return (request) => {
    const { method, route, status, code, durationMs } = request;
    const knownMethod = METHODS.includes(method) ? method : 'other';
    metrics.requests.increment(route, knownMethod, status, code ?? '');
    metrics.requestSeconds.observe(route, durationMs / 1_000, request.traceId);
    // Most lines are never written at a level above info: nothing is built for them.
    if (status < 500 && !log.isEnabled('info')) return;
    if (code === 'internal_error') log.error({ ...fieldsOf(request), stack: stackOf(request.cause) }, 'request');
    else if (status >= 500) log.warn(fieldsOf(request), 'request');
    else if (!isSuccess(request)) log.requestLine(membersOf(request));
    else {
      const share = sampling();
      if (share === 1) log.requestLine(membersOf(request));
      // The share is in the line, so that who counts lines can count back.
      else if (Math.random() < share) log.requestLine(`${membersOf(request)},"sampling":${share}`);
    }
  };
}

/** Of the others every line is written. */
function isSuccess({ status, cause, aborted }: FinishedRequest): boolean {
  return status < 400 && cause === undefined && !aborted;
}

/** The same fields as text, put together by hand: a general serialiser is a tenth of what a request costs. */
function membersOf(request: FinishedRequest): string {
  const { code, durationMs, upstreamMs, session, userId, cause } = request;
  let text = `"event":"request","request_id":${quoted(request.requestId)},"method":${quoted(request.method.slice(0, 16))}`;
  text += `,"path":${quoted(request.path)},"route":${quoted(request.route)},"status":${request.status}`;
  if (code !== undefined) text += `,"code":${quoted(code)}`;
  text += `,"duration_ms":${hundredths(durationMs)}`;
  if (upstreamMs !== undefined) text += `,"upstream_ms":${hundredths(upstreamMs)}`;
  if (session !== undefined) text += `,"session":${quoted(session)}`;
  if (userId !== undefined) text += `,"user_id":${quoted(userId)}`;
  text += `,"ip":${quoted(request.ip)}`;
  if (request.traceId !== undefined) text += `,"trace_id":${quoted(request.traceId)}`;
  if (request.aborted) text += ',"aborted":true';
  if (cause !== undefined) text += `,"cause":${quoted(describe(cause))}`;
  return text;
}

function fieldsOf(request: FinishedRequest) {
  return {
    event: 'request',
    request_id: request.requestId,
    method: request.method.slice(0, 16),
    path: request.path,
    route: request.route,
    status: request.status,
    code: request.code,
    duration_ms: round(request.durationMs),
    upstream_ms: request.upstreamMs === undefined ? undefined : round(request.upstreamMs),
    session: request.session,
    user_id: request.userId,
    ip: request.ip,
    trace_id: request.traceId,
    aborted: request.aborted ? true : undefined,
    cause: request.cause === undefined ? undefined : describe(request.cause),
  };
}

const round = (ms: number): number => Math.round(ms * 100) / 100;

const TWO_DIGITS = Array.from({ length: 100 }, (_, i) => String(i).padStart(2, '0'));

/** A JSON number with two digits behind the point. Of whole numbers: the text of a fraction that is new each time costs more than the rest of the line. */
function hundredths(ms: number): string {
  const all = Math.round(ms * 100);
  const rest = all % 100;
  return `${(all - rest) / 100}.${TWO_DIGITS[rest]}`;
}

/** Name, code and message of an error: never its properties, which may hold a request with its headers. */
export function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return typeof cause;
  const code = (cause as { code?: unknown }).code;
  return `${cause.name}${typeof code === 'string' ? ` ${code}` : ''}: ${cause.message}`;
}

function stackOf(cause: unknown): string | undefined {
  return cause instanceof Error ? cause.stack : undefined;
}
