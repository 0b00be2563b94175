/**
 * One request to the upstream and its answer, with the gateway's own timers: undici's headers timer runs during a
 * back-pressured upload and none of its timers runs while paused. It decides nothing: its owner says what becomes of
 * the answer.
 */
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { GatewayError } from '../kernel/errors.ts';
import type { HeaderList } from './header-policy.ts';

export interface UpstreamRequest {
  readonly method: string;
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

export function sendUpstream(
  dispatcher: Dispatcher,
  request: UpstreamRequest,
  listener: AttemptListener,
): UpstreamAttempt {
  let controller: Dispatcher.DispatchController | undefined;
  let over = false;
  let timer = armed(request.headersTimeoutMs);

  function armed(ms: number): NodeJS.Timeout {
    return setTimeout(() => fail(new GatewayError('upstream_timeout')), ms);
  }
  function close(): boolean {
    if (over) return false;
    over = true;
    clearTimeout(timer);
    return true;
  }
  function fail(cause: unknown): void {
    if (!close()) return;
    abort();
    listener.onFailure(cause);
  }
  function abort(): void {
    if (controller && !controller.aborted) controller.abort(new Error('the exchange is over'));
  }

  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(started) {
      controller = started;
      if (over) abort();
      // Until the body is sent, its own idle timer watches.
      else if (request.body && !Buffer.isBuffer(request.body)) clearTimeout(timer);
    },
    onRequestSent() {
      if (over) return;
      clearTimeout(timer);
      timer = armed(request.headersTimeoutMs);
    },
    onResponseStart({ rawHeaders }, status) {
      if (over || status < 200) return; // 1xx concern this hop only
      const headers = decodeHeaders(rawHeaders);
      if (status > 599 || isCodedOtherwise(headers)) return fail(new GatewayError('upstream_invalid'));
      clearTimeout(timer);
      timer = armed(request.bodyTimeoutMs);
      listener.onHead(status, headers);
    },
    onResponseData(_controller, chunk) {
      if (over) return;
      timer.refresh();
      listener.onChunk(chunk);
    },
    onResponseEnd() {
      if (close()) listener.onEnd();
    },
    onResponseError(_controller, cause) {
      if (close()) listener.onFailure(cause);
    },
  };
  try {
    dispatcher.dispatch(
      {
        method: request.method as Dispatcher.HttpMethod,
        path: request.path,
        headers: request.headers as string[],
        body: request.body,
      },
      handler,
    );
  } catch (cause) {
    // undici throws at once for what it will not send, such as a header value that is not valid.
    queueMicrotask(() => fail(cause));
  }
  return {
    pause() {
      controller?.pause();
      clearTimeout(timer);
    },
    resume() {
      if (over) return;
      clearTimeout(timer);
      timer = armed(request.bodyTimeoutMs);
      controller?.resume();
    },
    cancel() {
      if (close()) abort();
    },
  };
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
