/**
 * One request to the upstream and its answer, with its time limits: none runs while an upload is held back, or while the
 * answer is paused. It decides nothing: its owner says what becomes of the answer.
 */
import type { Readable } from 'node:stream';
import type { ExchangeHandle, ExchangeListener, HttpClient } from '../http-client/http-client.ts';
import { GatewayError } from '../kernel/errors.ts';
import { NOWHERE } from '../kernel/place-list.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { HeaderList } from './header-policy.ts';

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, below the base path. */
  readonly path: string;
  readonly headers: HeaderList;
  readonly body: Readable | Buffer | undefined;
  /** From the last byte of the request to the head of the answer; also the longest wait for a free connection. */
  readonly headersTimeoutMs: number;
  /** Between two chunks of the answer, while it is not paused. */
  readonly bodyTimeoutMs: number;
}

/** Each is called at most once but `onChunk`; after `onEnd` or `onFailure` none is called. */
export interface AttemptListener {
  /** The final status and the headers as they came. */
  onHead(status: number, headers: HeaderList): void;
  /** @param chunk belongs to the listener during the call only: what follows is written over it. */
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
  readonly client: HttpClient;
  /** Without a slash at its end; empty where there is none. */
  readonly basePath: string;
  readonly deadlines: Deadlines;
}

export function sendUpstream(
  { client, basePath, deadlines }: UpstreamWays,
  request: UpstreamRequest,
  listener: AttemptListener,
): UpstreamAttempt {
  const attempt = new Attempt(deadlines, request, listener);
  const { method, path, headers, body } = request;
  try {
    attempt.handle = client.send({ method, path: basePath + path, fields: headers, body }, attempt);
  } catch (cause) {
    // What cannot be sent, such as a header value that is not valid, is told as everything else is: later.
    queueMicrotask(() => attempt.fail(cause));
  }
  return attempt;
}

/** The client's listener, the owner's handle and the deadline in one object: there is one for every request. */
class Attempt implements UpstreamAttempt, Deadline, ExchangeListener {
  dueAt = 0;
  place = NOWHERE;
  handle: ExchangeHandle | undefined;
  readonly #deadlines: Deadlines;
  readonly #request: UpstreamRequest;
  readonly #listener: AttemptListener;
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
    this.handle?.abort();
    this.#listener.onFailure(cause);
  }

  pause(): void {
    this.handle?.pause();
    this.#deadlines.clear(this);
  }

  resume(): void {
    if (this.#isOver) return;
    this.#deadlines.set(this, this.#request.bodyTimeoutMs);
    this.handle?.resume();
  }

  cancel(): void {
    if (this.#close()) this.handle?.abort();
  }

  onStart(): void {
    // Until the body is sent, its own idle timer watches.
    const { body } = this.#request;
    if (body && !Buffer.isBuffer(body)) this.#deadlines.clear(this);
  }

  onSent(): void {
    if (!this.#isOver) this.#deadlines.set(this, this.#request.headersTimeoutMs);
  }

  onHead(status: number, headers: HeaderList): void {
    if (this.#isOver) return;
    this.#deadlines.set(this, this.#request.bodyTimeoutMs);
    this.#listener.onHead(status, headers);
  }

  onBody(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#deadlines.set(this, this.#request.bodyTimeoutMs);
    this.#listener.onChunk(bytes);
  }

  onEnd(): void {
    if (this.#close()) this.#listener.onEnd();
  }

  onFailure(cause: unknown): void {
    if (this.#close()) this.#listener.onFailure(cause);
  }

  #close(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#deadlines.clear(this);
    return true;
  }
}
