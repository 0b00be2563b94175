/** What the forwarder is asked for and what it answers. Types only. */
import type { GatewayError } from '../kernel/errors.ts';
import type { HeaderList, RequestContext } from './header-policy.ts';

export interface ForwardTarget {
  /** Path and query as they shall be sent, below the base path. */
  readonly path: string;
  readonly method: string;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly maxBodyBytes: number;
}

/** What to do with an upstream's 401. */
export type UnauthorizedVerdict = { readonly kind: 'replay'; readonly bearer: string } | { readonly kind: 'pass' };

/**
 * Ends an exchange before its time: with this error where nothing was sent to the browser, else by cutting the answer.
 * @returns false where it may not be now: a change is under way, and only its answer says what became of it.
 */
export type Cut = (error: GatewayError) => boolean;

export interface ForwardRequest {
  readonly target: ForwardTarget;
  readonly context: RequestContext;
  /** The gateway's own headers for whatever answer comes: names and values in turn. Read when the head is written. */
  readonly answerHeaders: HeaderList;
  /** The server's key, where it goes along: hidden in the answer's headers. */
  readonly apiKey?: string;
  /** Who is behind the request: failures that one party provokes must not end the service of others. */
  readonly party?: string;
  /** Asked once, only where the request can be sent again. A rejection becomes the answer. */
  readonly onUnauthorized?: () => Promise<UnauthorizedVerdict>;
  /** Called when the body is wanted, for `Expect: 100-continue`. */
  readonly onBodyWanted?: () => void;
  /** Called as the request goes out. @returns what is called once the exchange is over. */
  readonly bind?: (cut: Cut) => () => void;
  /** Called when the head of the answer passes: what is known of it must be told before the answer can end. */
  readonly onHead?: (upstreamMs: number, status: number, headers: HeaderList) => void;
}

export type ForwardResult =
  | { readonly kind: 'answered'; readonly status: number; readonly bytesOut: number; readonly upstreamMs: number }
  /** The browser left; the upstream request was cancelled. */
  | { readonly kind: 'client_gone' }
  /** The answer broke off, or was cut, after its head was sent: the browser's connection was cut, so that it shows. */
  | { readonly kind: 'cut'; readonly status: number; readonly error: GatewayError };
