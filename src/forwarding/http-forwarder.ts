/**
 * Forwards one request to the upstream and its answer back, streaming both ways with back-pressure. It knows no session:
 * it is handed a target and a bearer, and asks its caller once when the upstream answers 401.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { GatewayError } from '../kernel/errors.ts';
import type { CircuitBreaker, Permit } from './circuit-breaker.ts';
import { openRequestsOn, whenGone } from './client-connection.ts';
import { type HeaderList, type RequestContext, requestHeaders, responseHeaders } from './header-policy.ts';
import { hasBody, type RequestBody, takeRequestBody } from './request-body.ts';
import { type AttemptListener, sendUpstream, type UpstreamAttempt } from './upstream-attempt.ts';
import { toGatewayError } from './upstream-error.ts';

export interface ForwarderOptions {
  /** Origin and optional base path, without a trailing slash. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly breaker: CircuitBreaker;
  /** How many requests may be under way at once. Default 4 096. */
  readonly maxInFlight?: number;
}

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

export interface ForwardRequest {
  readonly target: ForwardTarget;
  readonly context: RequestContext;
  /** The gateway's own headers for whatever answer comes: names and values in turn. Read when the head is written. */
  readonly answerHeaders: HeaderList;
  /** The server's key, where it goes along: hidden in the answer's headers. */
  readonly apiKey?: string;
  /** Asked once, only where the request can be sent again. A rejection becomes the answer. */
  readonly onUnauthorized?: () => Promise<UnauthorizedVerdict>;
  /** Called when the body is wanted, for `Expect: 100-continue`. */
  readonly onBodyWanted?: () => void;
  /** Called when the head of the answer passes: what is known of it must be told before the answer can end. */
  readonly onHead?: (upstreamMs: number) => void;
}

export type ForwardResult =
  | { readonly kind: 'answered'; readonly status: number; readonly bytesOut: number; readonly upstreamMs: number }
  /** The browser left; the upstream request was cancelled. */
  | { readonly kind: 'client_gone' }
  /** The answer broke off after its head was sent: the browser's connection was cut, so that it shows. */
  | { readonly kind: 'cut'; readonly status: number; readonly error: GatewayError };

export interface HttpForwarder {
  /** @throws GatewayError where there is no answer to pass; nothing was sent to the browser then. */
  forward(req: IncomingMessage, res: ServerResponse, request: ForwardRequest): Promise<ForwardResult>;
  close(): Promise<void>;
}

/** Idle connections end before common servers' own 5 s limit, so that few requests meet a closing one. */
const KEEP_ALIVE_MS = 4_000;
const MAX_CONNECTIONS = 512;
/** Beyond this many requests at once more are refused: a queue would only turn an overload into time-outs. */
const DEFAULT_MAX_IN_FLIGHT = 4_096;
/** Of one client connection: a single pipelining client would take the upstream's connections from all others. */
const MAX_PIPELINED = 16;
const OVERLOAD_RETRY_MS = 1_000;
const MAX_DISCARDED_BYTES = 64 * 1024;
const IDEMPOTENT: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];

export function createHttpForwarder(options: ForwarderOptions): HttpForwarder {
  const { url, connectTimeoutMs, breaker, maxInFlight = DEFAULT_MAX_IN_FLIGHT } = options;
  const upstream = new URL(url);
  const pool = new Pool(upstream.origin, {
    connections: MAX_CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  let inFlight = 0;
  return {
    async forward(req, res, request) {
      if (inFlight >= maxInFlight || openRequestsOn(req.socket) >= MAX_PIPELINED)
        throw new GatewayError('upstream_unavailable', { retryAfterMs: OVERLOAD_RETRY_MS });
      const permit = breaker.enter();
      if (permit.kind === 'open') throw new GatewayError('upstream_unavailable', { retryAfterMs: permit.retryAfterMs });
      inFlight += 1;
      try {
        return await forwardOnce(pool, upstream, req, res, request, permit);
      } finally {
        inFlight -= 1;
        permit.abandon();
      }
    },
    close: () => pool.destroy(),
  };
}

/** What a failure says of the upstream: nothing, where the client or the gateway itself was the cause. */
const isUpstreamFault = ({ kind }: GatewayError): boolean => kind === 'upstream_refused' || kind === 'upstream_timeout';

interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly request: ForwardRequest;
  readonly upstream: URL;
  readonly body: RequestBody | undefined;
  /** Sends (again) with this bearer. */
  send(bearer: string | undefined): void;
  finish(result: ForwardResult): void;
  fail(cause: unknown): void;
  readonly startedAt: number;
  readonly permit: Permit;
  attempt: UpstreamAttempt | undefined;
  /** The one replay after a 401, and the one retry after a broken connection, are used up. */
  replayed: boolean;
  retried: boolean;
}

function forwardOnce(
  pool: Dispatcher,
  upstream: URL,
  req: IncomingMessage,
  res: ServerResponse,
  request: ForwardRequest,
  permit: Permit,
): Promise<ForwardResult> {
  return new Promise((resolve, reject) => {
    const { target, context, onBodyWanted } = request;
    const basePath = upstream.pathname.replace(/\/$/, '');
    const body = hasBody(req)
      ? takeRequestBody(req, {
          maxBytes: target.maxBodyBytes,
          idleTimeoutMs: target.bodyTimeoutMs,
          ...(onBodyWanted ? { onWanted: onBodyWanted } : {}),
        })
      : undefined;
    const stopWatching = whenGone(req.socket, () => {
      exchange.attempt?.cancel();
      body?.stream.destroy();
      exchange.finish({ kind: 'client_gone' });
    });
    const exchange: Exchange = {
      req,
      res,
      request,
      upstream,
      body,
      startedAt: performance.now(),
      permit,
      attempt: undefined,
      replayed: false,
      retried: false,
      send(bearer) {
        const again = this.replayed || this.retried;
        const pipe = createAnswerPipe(this, bearer);
        this.attempt = sendUpstream(
          pool,
          {
            method: target.method,
            path: basePath + target.path,
            headers: requestHeaders(req.rawHeaders, bearer === context.bearer ? context : { ...context, bearer }),
            body: again ? (body?.replay() ?? null) : (body?.stream ?? null),
            headersTimeoutMs: target.headersTimeoutMs,
            bodyTimeoutMs: target.bodyTimeoutMs,
          },
          pipe.listener,
        );
        pipe.own(this.attempt);
      },
      finish(result) {
        stopWatching();
        resolve(result);
      },
      fail(cause) {
        stopWatching();
        body?.stream.destroy();
        const error = toGatewayError(cause);
        if (isUpstreamFault(error)) permit.fail();
        reject(error);
      },
    };
    exchange.send(context.bearer);
  });
}

/** True where the request can be sent again: it has no body, or a small one that has arrived whole. */
const canSendAgain = ({ body }: Exchange): boolean => body === undefined || body.replay() !== undefined;

interface AnswerPipe {
  readonly listener: AttemptListener;
  /** Hands over the attempt whose answer this is. */
  own(attempt: UpstreamAttempt): void;
}

/** Passes one attempt's answer to the browser, or holds a 401 back until it is known whether there is a better one. */
function createAnswerPipe(exchange: Exchange, bearer: string | undefined): AnswerPipe {
  const { req, res, request } = exchange;
  let attempt: UpstreamAttempt | undefined;
  let status = 0;
  let bytes = 0;
  let upstreamMs = 0;
  let mode: 'waiting' | 'passing' | 'discarding' = 'waiting';
  const stalled = createStallTimer(res, request.target.bodyTimeoutMs, () => {
    attempt?.cancel();
    res.destroy();
    exchange.finish({ kind: 'cut', status, error: new GatewayError('request_timeout') });
  });
  const pass = (headers: HeaderList) => {
    mode = 'passing';
    request.onHead?.(upstreamMs);
    writeHead(exchange, status, headers);
  };
  const settle401 = (verdict: UnauthorizedVerdict, headers: HeaderList) => {
    if (req.socket.destroyed) return;
    if (verdict.kind === 'replay') {
      // Read to its end the connection can be used again.
      mode = 'discarding';
      exchange.send(verdict.bearer);
    } else {
      pass(headers);
    }
    attempt?.resume();
  };

  const listener: AttemptListener = {
    onHead(code, headers) {
      status = code;
      exchange.permit.succeed();
      upstreamMs = performance.now() - exchange.startedAt;
      const { onUnauthorized } = request;
      if (code !== 401 || !onUnauthorized || exchange.replayed || !canSendAgain(exchange)) return pass(headers);
      exchange.replayed = true;
      attempt?.pause();
      onUnauthorized().then(
        (verdict) => settle401(verdict, headers),
        (error) => {
          attempt?.cancel();
          exchange.fail(error);
        },
      );
    },
    onChunk(chunk) {
      bytes += chunk.length;
      if (mode === 'discarding') {
        if (bytes > MAX_DISCARDED_BYTES) attempt?.cancel();
        return;
      }
      if (res.write(chunk)) return;
      attempt?.pause();
      stalled.start();
      res.once('drain', () => {
        stalled.stop();
        attempt?.resume();
      });
    },
    onEnd() {
      if (mode === 'discarding') return;
      res.end();
      exchange.finish({ kind: 'answered', status, bytesOut: bytes, upstreamMs });
    },
    onFailure(cause) {
      stalled.stop();
      if (mode === 'discarding') return;
      if (mode === 'passing') {
        // Cut, so that the browser sees that the answer is not whole (RFC 9112 §8).
        res.destroy();
        exchange.finish({ kind: 'cut', status, error: toGatewayError(cause) });
      } else if (status === 0 && canRetry(exchange, cause)) {
        exchange.retried = true;
        exchange.send(bearer);
      } else {
        exchange.fail(cause);
      }
    },
  };
  return {
    listener,
    own(sent) {
      attempt = sent;
    },
  };
}

/** Only where nothing came back and doing it twice is as doing it once (RFC 9110 §9.2.2). */
function canRetry(exchange: Exchange, cause: unknown): boolean {
  if (exchange.retried || cause instanceof GatewayError) return false;
  if (!IDEMPOTENT.includes(exchange.request.target.method) || !canSendAgain(exchange)) return false;
  return toGatewayError(cause).kind === 'upstream_refused';
}

/** A reader that takes nothing for `limitMs` is gone for us: what it holds is memory. */
function createStallTimer(res: ServerResponse, limitMs: number, onStalled: () => void) {
  let timer: NodeJS.Timeout | undefined;
  const stop = () => clearTimeout(timer);
  return {
    start() {
      // One that leaves instead must not be held by the timer.
      if (timer === undefined) res.once('close', stop);
      timer = setTimeout(onStalled, limitMs);
    },
    stop,
  };
}

function writeHead({ req, res, request, upstream }: Exchange, status: number, upstreamHeaders: HeaderList): void {
  const { answerHeaders, apiKey } = request;
  const context = { upstream, status, ...(apiKey === undefined ? {} : { apiKey }) };
  const headers = responseHeaders(upstreamHeaders, context);
  const hasLength = headers.some((name, i) => i % 2 === 0 && name.length === 14 && /^content-length$/i.test(name));
  for (const part of answerHeaders) headers.push(part);
  // An answer before the request's end: the rest of the body must never be read as a next request (RFC 9112 §9.3).
  if (!req.complete) headers.push('Connection', 'close');
  res.writeHead(status, headers);
  if (!hasLength) res.flushHeaders();
}
