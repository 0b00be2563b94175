/** CORS answers: only allowed origins, exactly, with credentials, also on errors (contract §5). Everyone else gets none. */
import type { IncomingMessage } from 'node:http';

const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';
const EXPOSED_HEADERS =
  'X-Request-Id, Retry-After, Cache-Status, Age, ETag, Link, Location, Content-Disposition, RateLimit, RateLimit-Policy';
const PREFLIGHT_SECONDS = '600';

/** @returns names and values in turn; `Vary` always, since the answer differs by origin. */
export function corsHeaders(origin: string | undefined, allowedOrigins: ReadonlySet<string>): string[] {
  const headers = ['Vary', 'Origin, Sec-Fetch-Site'];
  if (origin === undefined || !allowedOrigins.has(origin)) return headers;
  headers.push('Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true');
  headers.push('Access-Control-Expose-Headers', EXPOSED_HEADERS);
  return headers;
}

/** A preflight asks on behalf of a request that is not sent yet: it is answered here and never forwarded. */
export function isPreflight(req: IncomingMessage): boolean {
  return (
    req.method === 'OPTIONS' &&
    req.headers.origin !== undefined &&
    req.headers['access-control-request-method'] !== undefined
  );
}

/** What a preflight from an allowed origin is told besides `corsHeaders`. The header names asked for are given back if sane. */
export function preflightHeaders(req: IncomingMessage): string[] {
  const asked = req.headers['access-control-request-headers'];
  const headers = ['Access-Control-Allow-Methods', ALLOWED_METHODS, 'Access-Control-Max-Age', PREFLIGHT_SECONDS];
  if (asked !== undefined && /^[a-z0-9\-_, ]{1,1024}$/i.test(asked))
    headers.push('Access-Control-Allow-Headers', asked);
  return headers;
}
