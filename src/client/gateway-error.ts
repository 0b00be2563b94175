/** Every problem the client reports, as one error with a code: the gateway's own codes, and four that only a browser can know. */

/** What the gateway answers with, by the `code` of its problem details. */
export type ServerErrorCode =
  | 'invalid_request'
  | 'session_required'
  | 'session_expired'
  | 'login_rejected'
  | 'origin_forbidden'
  | 'tier_forbidden'
  | 'upgrade_required'
  | 'too_many_streams'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'body_too_large'
  | 'uri_too_long'
  | 'unsupported_media_type'
  | 'expectation_failed'
  | 'too_many_attempts'
  | 'rate_limited'
  | 'headers_too_large'
  | 'internal_error'
  | 'not_implemented'
  | 'upstream_invalid'
  | 'upstream_unavailable'
  | 'store_unavailable'
  | 'unavailable'
  | 'upstream_timeout'
  | 'loop_detected';

/**
 * What happened before or beside an answer:
 *
 * - `invalid_use`: a call that cannot be right; nothing was sent
 * - `network_error`: no answer came; whether the request arrived is not known
 * - `cookie_refused`: the login succeeded, but the browser did not keep the session cookie
 * - `unexpected_answer`: something between the page and the gateway answered instead of it
 */
export type ClientErrorCode = 'invalid_use' | 'network_error' | 'cookie_refused' | 'unexpected_answer';

export type GatewayErrorCode = ServerErrorCode | ClientErrorCode;

export interface GatewayErrorDetails {
  readonly requestId?: string | undefined;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** The one error of this client. Compare its `code`, show its `message`, and tell `requestId` to whoever runs the gateway. */
export class GatewayError extends Error {
  readonly code: GatewayErrorCode;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** The same as in the gateway's log; undefined where there was no answer. */
  readonly requestId: string | undefined;
  /** Seconds after which another try makes sense; undefined where the gateway did not say. */
  readonly retryAfter: number | undefined;

  constructor(code: GatewayErrorCode, status: number, message: string, details: GatewayErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'GatewayError';
    this.code = code;
    this.status = status;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
  }
}

export function invalidUse(sentence: string): GatewayError {
  return new GatewayError('invalid_use', 0, sentence);
}

/** True for the two answers that mean: nobody is logged in here. */
export function isSignedOut(error: unknown): error is GatewayError {
  return error instanceof GatewayError && (error.code === 'session_required' || error.code === 'session_expired');
}
