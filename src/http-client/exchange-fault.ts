/** Why an exchange with a server came to nothing: the one error of this client. */

/**
 * - `not_connected`: refused, unknown host, no trust in its certificate: the server saw nothing of the request.
 * - `connect_timeout`: no connection in time; nothing was sent either.
 * - `broken`: the connection ended before the answer did.
 * - `malformed`: what came is no HTTP/1.1 answer.
 * - `head_too_large`: it may be one, but is longer than any is read.
 */
export type FaultKind = 'not_connected' | 'connect_timeout' | 'broken' | 'malformed' | 'head_too_large';

export class ExchangeFault extends Error {
  override readonly name = 'ExchangeFault';
  readonly kind: FaultKind;
  /** The system's, where it gave one (`ECONNREFUSED`), else the kind. */
  readonly code: string;

  constructor(kind: FaultKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.kind = kind;
    const code = (cause as { code?: unknown } | undefined)?.code;
    this.code = typeof code === 'string' ? code : kind;
  }
}

export const malformed = (what: string): ExchangeFault => new ExchangeFault('malformed', what);
export const headTooLarge = (): ExchangeFault =>
  new ExchangeFault('head_too_large', 'The header fields are too large.');
