/**
 * Every error a client can get from the gateway: code, status and the public sentence. The list is closed;
 * nothing else of an error ever leaves the process (ASVS 16.5.1).
 */
const CATALOG = {
  invalid_request: [400, 'The request is not valid.'],
  session_required: [401, 'No session: log in first.'],
  session_expired: [401, 'The session has ended: log in again.'],
  login_rejected: [401, 'Email or password is not right.'],
  origin_forbidden: [403, 'This origin may not call the gateway.'],
  tier_forbidden: [403, 'The licence of this user does not cover streams.'],
  not_found: [404, 'There is nothing at this path.'],
  method_not_allowed: [405, 'This path does not take this method.'],
  request_timeout: [408, 'The request did not arrive in time.'],
  body_too_large: [413, 'The request body is too large.'],
  uri_too_long: [414, 'The request target is too long.'],
  unsupported_media_type: [415, 'The request body must be application/json.'],
  expectation_failed: [417, 'The expectation cannot be met.'],
  upgrade_required: [426, 'This path takes only WebSocket connections, of version 13.'],
  too_many_streams: [429, 'This session has too many open streams: close one and try again.'],
  too_many_attempts: [429, 'Too many login attempts: wait and try again.'],
  rate_limited: [429, 'Finvera limits the rate of requests: wait and try again.'],
  headers_too_large: [431, 'The request header fields are too large.'],
  internal_error: [500, 'The gateway failed on this request.'],
  not_implemented: [501, 'The gateway does not do this.'],
  upstream_invalid: [502, 'Finvera gave an answer that is not valid.'],
  upstream_refused: [502, 'Finvera cannot be reached.'],
  upstream_unavailable: [503, 'Finvera is not available: try again soon.'],
  store_unavailable: [503, 'The session store is not available: try again soon.'],
  draining: [503, 'The gateway is shutting down: try again.'],
  upstream_timeout: [504, 'Finvera did not answer in time.'],
  not_kept: [504, 'Nothing fresh is kept, and the request asks for nothing else.'],
  loop_detected: [508, 'The request has been through this gateway before.'],
} as const satisfies Record<string, readonly [number, string]>;

/** What went wrong, as the gateway's own parts name it. */
export type ErrorKind = keyof typeof CATALOG;

/** Kinds that share a public code: `upstream_unavailable` is 502 where Finvera refused or reset, else 503 (contract §4). */
const PUBLIC_CODES: Partial<Record<ErrorKind, string>> = {
  upstream_refused: 'upstream_unavailable',
  draining: 'unavailable',
  not_kept: 'upstream_timeout',
};

export interface ErrorDetails {
  /** What exactly, for this request; must hold nothing internal and nothing secret. Default: the kind's sentence. */
  readonly detail?: string;
  /** Sent as `Retry-After`, rounded up to whole seconds. */
  readonly retryAfterMs?: number;
  /** Sent as `Allow`, with 405. */
  readonly allow?: readonly string[];
  /** For the log only. */
  readonly cause?: unknown;
}

/** An error with a public face. One place (`routes/problem.ts`) turns it into a response. */
export class GatewayError extends Error {
  readonly kind: ErrorKind;
  readonly status: number;
  /** The machine-readable `code` of the answer. */
  readonly code: string;
  readonly detail: string;
  readonly retryAfterMs: number | undefined;
  readonly allow: readonly string[] | undefined;

  constructor(kind: ErrorKind, details: ErrorDetails = {}) {
    const [status, sentence] = CATALOG[kind];
    super(details.detail ?? sentence, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'GatewayError';
    this.kind = kind;
    this.status = status;
    this.code = PUBLIC_CODES[kind] ?? kind;
    this.detail = details.detail ?? sentence;
    this.retryAfterMs = details.retryAfterMs;
    this.allow = details.allow;
  }
}

/** Turns whatever was thrown into a GatewayError; what nobody expected becomes `internal_error` and tells nothing. */
export function asGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('internal_error', { cause: error });
}

const OVERLOAD_RETRY_MS = 1_000;

/** More is under way than may be: refused, since a queue would only turn an overload into time-outs. */
export const overload = (): GatewayError =>
  new GatewayError('upstream_unavailable', { retryAfterMs: OVERLOAD_RETRY_MS });
