/** Passes one attempt's answer to the browser: holds a 401 back until it is known whether there is a better one, cuts what breaks off, ends a reader that stalls. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../kernel/errors.ts';
import type { Permit } from './circuit-breaker.ts';
import type { ForwardRequest, ForwardResult, UnauthorizedVerdict } from './forward-request.ts';
import { type HeaderList, responseHeaders } from './header-policy.ts';
import { createReaderPace, type ReaderPace } from './reader-pace.ts';
import type { RequestBody } from './request-body.ts';
import { countSpent, LARGE_BODY_BYTES } from './spent-buffers.ts';
import type { AttemptListener, UpstreamAttempt } from './upstream-attempt.ts';
import { isBrokenConnection, toGatewayError } from './upstream-error.ts';

/** Larger ones are not copied. */
const MAX_JOINED_BYTES = 16 * 1024;
const MAX_DISCARDED_BYTES = 64 * 1024;
const IDEMPOTENT: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];

/** One request under way, with whatever was sent for it. */
export interface Exchange {
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
  /** Nothing more is sent, either way. */
  isOver: boolean;
}

/** True where the request can be sent again: it has no body, or a small one that has arrived whole. */
const canSendAgain = ({ body }: Exchange): boolean => body === undefined || body.replay() !== undefined;

export interface AnswerPipe {
  readonly listener: AttemptListener;
  /** Hands over the attempt whose answer this is. */
  own(attempt: UpstreamAttempt): void;
}

/** Passes one attempt's answer to the browser, or holds a 401 back until it is known whether there is a better one. */
export function createAnswerPipe(exchange: Exchange, bearer: string | undefined): AnswerPipe {
  const { res, request } = exchange;
  let attempt: UpstreamAttempt | undefined;
  let status = 0;
  let bytes = 0;
  /** As the head says; undefined where it says none. */
  let wholeLength: number | undefined;
  let upstreamMs = 0;
  let mode: 'waiting' | 'passing' | 'discarding' = 'waiting';
  /** Made for the first answer that the browser does not take at once. */
  let pace: ReaderPace | undefined;
  const onStalled = () => {
    attempt?.cancel();
    res.destroy();
    exchange.finish({ kind: 'cut', status, error: new GatewayError('request_timeout') });
  };
  const pass = (headers: HeaderList) => {
    mode = 'passing';
    request.onHead?.(upstreamMs, status, headers);
    wholeLength = writeHead(exchange, status, headers);
  };
  const settle401 = (verdict: UnauthorizedVerdict, headers: HeaderList) => {
    if (exchange.isOver) return;
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
      if (bytes > LARGE_BODY_BYTES) countSpent(chunk.length);
      if (mode === 'discarding') {
        if (bytes > MAX_DISCARDED_BYTES) attempt?.cancel();
        return;
      }
      if (bytes === wholeLength && chunk.length === bytes && bytes <= MAX_JOINED_BYTES) {
        // Whole in one piece: as Latin-1, byte for byte, it leaves together with its head.
        res.end(chunk.toString('latin1'), 'latin1');
        return;
      }
      if (res.write(Buffer.from(chunk))) return;
      if (!attempt) return;
      pace ??= createReaderPace(res, request.target.bodyTimeoutMs, attempt, onStalled);
      pace.hold();
    },
    onEnd() {
      if (mode === 'discarding') return;
      if (!res.writableEnded) res.end();
      exchange.finish({ kind: 'answered', status, bytesOut: bytes, upstreamMs });
    },
    onFailure(cause) {
      pace?.stop();
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
  if (exchange.retried || !isBrokenConnection(cause)) return false;
  return IDEMPOTENT.includes(exchange.request.target.method) && canSendAgain(exchange);
}

/** @returns the length that the head gives, if it gives one. */
function writeHead(
  { req, res, request, upstream }: Exchange,
  status: number,
  upstreamHeaders: HeaderList,
): number | undefined {
  const { answerHeaders, apiKey, context: sent } = request;
  const isAuthorized = sent.bearer !== undefined || apiKey !== undefined;
  const context = { upstream, status, isAuthorized, ...(apiKey === undefined ? {} : { apiKey }) };
  const headers = responseHeaders(upstreamHeaders, context);
  const length = lengthIn(headers);
  for (const part of answerHeaders) headers.push(part);
  // An answer before the request's end: the rest of the body must never be read as a next request (RFC 9112 §9.3).
  if (!req.complete) headers.push('Connection', 'close');
  res.writeHead(status, headers);
  if (length === undefined) res.flushHeaders();
  return length;
}

function lengthIn(headers: HeaderList): number | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name.length === 14 && name.toLowerCase() === 'content-length') return Number(headers[i + 1]);
  }
  return undefined;
}
