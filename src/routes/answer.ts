/** Writes the gateway's own answers: JSON, nothing, or an error as problem+json. The one place that turns an error into a response. */
import type { Response } from 'express';
import { contextOf } from '../guards/request-context.ts';
import { asGatewayError } from '../kernel/errors.ts';
import { PROBLEM_TYPE, problemBody } from '../kernel/problem.ts';
import { proxyStatusOf } from './proxy-status.ts';

/** @param headers further names and values in turn. */
export function sendBody(
  res: Response,
  status: number,
  type: string,
  body: string,
  headers: readonly string[] = [],
): void {
  const context = contextOf(res);
  const bytes = Buffer.from(body);
  const all = [...context.answerHeaders, ...headers];
  if (type !== '') all.push('Content-Type', type);
  if (status !== 204 && status !== 304) all.push('Content-Length', String(bytes.length));
  if (mustClose(res)) all.push('Connection', 'close');
  res.writeHead(status, all);
  res.end(res.req.method === 'HEAD' || status === 204 ? undefined : bytes);
}

/** Everything below `/bff/` and every error: kept by nobody. */
export function sendJson(res: Response, status: number, body: unknown): void {
  sendBody(res, status, 'application/json; charset=utf-8', JSON.stringify(body), ['Cache-Control', 'no-store']);
}

export function sendEmpty(res: Response, status: number): void {
  sendBody(res, status, '', '', ['Cache-Control', 'no-store']);
}

/** An answer before the end of the request's body: what is still to come must never be read as a request (RFC 9112 §9.3). */
function mustClose({ req }: Response): boolean {
  return (
    !req.complete && (req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0)
  );
}

export function sendProblem(res: Response, thrown: unknown): void {
  const error = asGatewayError(thrown);
  const context = contextOf(res);
  context.code = error.code;
  context.cause = error.cause;
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const headers = ['Cache-Control', 'no-store'];
  if (error.retryAfterMs !== undefined)
    headers.push('Retry-After', String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000))));
  if (error.allow) headers.push('Allow', error.allow.join(', '));
  const proxyStatus = context.area === 'route' ? proxyStatusOf(error) : undefined;
  if (proxyStatus) headers.push('Proxy-Status', proxyStatus);
  // A scheme of our own: browsers show their password dialog for the known ones (RFC 9110 §11.6.1).
  if (error.status === 401) headers.push('WWW-Authenticate', 'FinveraSession realm="finvera"');
  sendBody(res, error.status, PROBLEM_TYPE, problemBody(error, context.requestId), headers);
}
