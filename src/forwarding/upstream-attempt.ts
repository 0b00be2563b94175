/**
 * One request to the upstream and its answer, with the gateway's own timers: undici's headers timer runs during a
 * back-pressured upload and none of its timers runs while paused. It decides nothing: its owner says what becomes of
 * the answer.
 */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../kernel/errors.ts';
import { NOWHERE } from '../kernel/place-list.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { HeaderList } from './header-policy.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, below the base path. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly body: Readable | Buffer | null;
  /** From the last byte of the request to the head of the answer; also the longest wait for a free connection. */
  readonly headersTimeoutMs: number;
  /** Between two chunks of the answer, while it is not paused. */
  readonly bodyTimeoutMs: number;
}

/** Each is called at most once but `onChunk`; after `onEnd` or `onFailure` none is called. */
export interface AttemptListener {
  /** The final status and the headers as they came. */
  onHead(status: number, headers: HeaderList): void;
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFailure(cause: unknown): void;
}

export interface UpstreamAttempt {
  pause(): void;
  resume(): void;
  /** Ends it without a further call. */
  cancel(): void;
}

export interface UpstreamWays {
  readonly dispatcher: Dispatcher;
  /** Without a slash at its end; empty where there is none. */
  readonly basePath: string;
  readonly deadlines: Deadlines;
}

export function sendUpstream(
  { dispatcher, basePath, deadlines }: UpstreamWays,
  request: UpstreamRequest,
  listener: AttemptListener,
): UpstreamAttempt {
  const attempt = new Attempt(deadlines, request, listener);
  try {
    dispatcher.dispatch(
      {
        method: request.method as Dispatcher.HttpMethod,
        path: basePath + request.path,
        headers: request.headers as string[],
        body: request.body,
      },
      attempt,
    );
  } catch (cause) {
    // undici throws at once for what it will not send, such as a header value that is not valid.
    queueMicrotask(() => attempt.fail(cause));
  }
  return attempt;
}

/** undici's handler, the owner's handle and the deadline in one object: there is one for every request. */
class Attempt implements UpstreamAttempt, Deadline, Dispatcher.DispatchHandler {
  dueAt = 0;
  place = NOWHERE;
  readonly #deadlines: Deadlines;
  readonly #request: UpstreamRequest;
  readonly #listener: AttemptListener;
  #controller: Dispatcher.DispatchController | undefined;
  #isOver = false;

  constructor(deadlines: Deadlines, request: UpstreamRequest, listener: AttemptListener) {
    this.#deadlines = deadlines;
    this.#request = request;
    this.#listener = listener;
    deadlines.set(this, request.headersTimeoutMs);
  }

  onDue(): void {
    this.fail(new GatewayError('upstream_timeout'));
  }

  fail(cause: unknown): void {
    if (!this.#close()) return;
    this.#abort();
    this.#listener.onFailure(cause);
  }

  pause(): void {
    this.#controller?.pause();
    this.#deadlines.clear(this);
  }

  resume(): void {
    if (this.#isOver) return;
    this.#deadlines.set(this, this.#request.bodyTimeoutMs);
    this.#controller?.resume();
  }

  cancel(): void {
    if (this.#close()) this.#abort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) {
      this.#abort();
      return;
    }
    // Until the body is sent, its own idle timer watches.
    const { body } = this.#request;
    if (body && !Buffer.isBuffer(body)) this.#deadlines.clear(this);
  }

  onRequestSent(): void {
    if (!this.#isOver) this.#deadlines.set(this, this.#request.headersTimeoutMs);
  }

  onResponseStart({ rawHeaders }: Dispatcher.DispatchController, status: number): void {
    if (this.#isOver || status < 200) return; // 1xx concern this hop only
    const headers = decodeHeaders(rawHeaders);
    if (status > 599 || isCodedOtherwise(headers)) {
      this.fail(new GatewayError('upstream_invalid'));
      return;
    }
    this.#deadlines.set(this, this.#request.bodyTimeoutMs);
    this.#listener.onHead(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    this.#deadlines.set(this, this.#request.bodyTimeoutMs);
    this.#listener.onChunk(chunk);
  }

  onResponseEnd(): void {
    if (this.#close()) this.#listener.onEnd();
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    if (this.#close()) this.#listener.onFailure(cause);
  }

  #close(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#deadlines.clear(this);
    return true;
  }

  #abort(): void {
    const controller = this.#controller;
    if (controller && !controller.aborted) controller.abort(new Error('the exchange is over'));
  }
}

/**
 * True for any transfer coding but one `chunked`: it is dropped with its field, and what is left of the body would be
 * passed as something it is not (RFC 9112 §6.1).
 */
function isCodedOtherwise(headers: HeaderList): boolean {
  let codings = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length !== 17 || name.toLowerCase() !== 'transfer-encoding') continue;
    codings += 1;
    if (codings > 1 || (headers[i + 1] as string).trim().toLowerCase() !== 'chunked') return true;
  }
  return false;
}

/** Header bytes are Latin-1 (RFC 9110 §5.5): every byte survives the way through. */
function decodeHeaders(raw: Dispatcher.DispatchController['rawHeaders']): HeaderList {
  if (!Array.isArray(raw)) return [];
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
}
