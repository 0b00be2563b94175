/** The outermost step where there is tracing: everything that is done for a request is of its trace. */
import type { RequestHandler } from 'express';
import type { FinishedRequest } from '../observability/request-log.ts';
import type { RequestTrace, Tracing } from '../observability/tracing.ts';
import type { Step } from './begin-request.ts';
import { readTraceparent } from './traceparent.ts';
import { isFromTrustedProxy } from './trusted-proxy.ts';

export function traceRequests(tracing: Tracing): RequestHandler {
  return (req, _res, next) => {
    tracing.request({ method: req.method, sent: readTraceparent(req), isTrusted: isFromTrustedProxy(req) }, next);
  };
}

/** Several steps in one span. */
export function inOneSpan(tracing: Tracing, name: string, steps: readonly Step[]): Step {
  return (req, res, next) => tracing.inside(name, () => steps.some((step) => step(req, res, next)));
}

/** The path without its query: queries may hold what no trace should. */
export function endTrace(trace: RequestTrace, request: FinishedRequest): void {
  const { method, route, path, status, code, requestId, session, aborted } = request;
  trace.end(
    `${method} ${route}`,
    {
      'http.route': route,
      'url.path': path,
      'http.response.status_code': status,
      'finvera_gateway.request_id': requestId,
      'finvera_gateway.session': session,
      'finvera_gateway.aborted': aborted ? true : undefined,
    },
    status >= 500 ? (code ?? String(status)) : undefined,
  );
}
