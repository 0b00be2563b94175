/**
 * Forwards one request to the upstream and its answer back, streaming both ways with back-pressure. It knows no session:
 * it is handed a target and a bearer, and asks its caller once when the upstream answers 401.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createHttpClient } from '../http-client/http-client.ts';
import { GatewayError, overload } from '../kernel/errors.ts';
import { isSafeMethod } from '../kernel/safe-method.ts';
import { createAnswerPipe, type Exchange } from './answer-pipe.ts';
import type { Permit } from './circuit-breaker.ts';
import { isPipeliningTooMuch, whenGone } from './client-connection.ts';
import { createDeadlines } from './deadlines.ts';
import type { FairBreaker } from './fair-breaker.ts';
import type { Cut, ForwardRequest, ForwardResult } from './forward-request.ts';
import { requestHeaders } from './header-policy.ts';
import { hasBody, takeRequestBody } from './request-body.ts';
import { sendUpstream, type UpstreamWays } from './upstream-attempt.ts';
import { isUpstreamFault, toGatewayError } from './upstream-error.ts';
import { type FetchedAnswer, type FetchRequest, fetchUpstream } from './upstream-fetch.ts';

export interface ForwarderOptions {
  /** Origin and optional base path, without a trailing slash. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly breaker: Pick<FairBreaker, 'enter'>;
  /** How many requests may be under way at once. Default 4 096. */
  readonly maxInFlight?: number;
}

export interface HttpForwarder {
  /** @throws GatewayError where there is no answer to pass; nothing was sent to the browser then. */
  forward(req: IncomingMessage, res: ServerResponse, request: ForwardRequest): Promise<ForwardResult>;
  /** Asks on nobody's connection. @throws GatewayError where there is no answer */
  fetch(request: FetchRequest): Promise<FetchedAnswer>;
  /** How the connections to the upstream are used at this moment. */
  connections(): { readonly open: number; readonly busy: number; readonly waiting: number };
  close(): void;
}

/** Idle connections end before common servers' own 5 s limit, so that few requests meet a closing one. */
const KEEP_ALIVE_MS = 4_000;
/** With answers of 50 ms they carry 10,000 requests/s, all that one core forwards (docs/benchmarks.md). */
const MAX_CONNECTIONS = 512;
/** Beyond this many requests at once more are refused: a queue would only turn an overload into time-outs. */
const DEFAULT_MAX_IN_FLIGHT = 4_096;

export function createHttpForwarder(options: ForwarderOptions): HttpForwarder {
  const { url, connectTimeoutMs, breaker, maxInFlight = DEFAULT_MAX_IN_FLIGHT } = options;
  const upstream = new URL(url);
  const client = createHttpClient({
    url: upstream,
    connectTimeoutMs,
    maxConnections: MAX_CONNECTIONS,
    keepAliveMs: KEEP_ALIVE_MS,
  });
  const basePath = upstream.pathname.replace(/\/$/, '');
  const ways: UpstreamWays = { client, basePath, deadlines: createDeadlines() };
  let inFlight = 0;
  const enter = (isTooMany: boolean, party?: string): Place => {
    if (inFlight >= maxInFlight || isTooMany) throw overload();
    const permit = breaker.enter(party);
    if (permit.kind === 'open') throw new GatewayError('upstream_unavailable', { retryAfterMs: permit.retryAfterMs });
    inFlight += 1;
    let isTaken = true;
    return {
      permit,
      leave() {
        if (!isTaken) return false;
        isTaken = false;
        inFlight -= 1;
        permit.abandon();
        return true;
      },
    };
  };
  return {
    async fetch(request) {
      const { permit, leave } = enter(false, request.party);
      const onOver = () => {
        if (leave()) request.onOver?.();
      };
      return await fetchUpstream({ ways, permit, onOver }, request);
    },
    forward(req, res, request) {
      // One promise from here to the end: each further one that waits for another would cost a turn of its own.
      return new Promise((resolve, reject) => {
        const { permit, leave } = enter(isPipeliningTooMuch(req.socket), request.party);
        const settle: Settle = {
          finish(result) {
            leave();
            resolve(result);
          },
          fail(error) {
            leave();
            reject(error);
          },
        };
        try {
          forwardOnce({ ways, upstream, permit, settle }, req, res, request);
        } catch (error) {
          settle.fail(error);
        }
      });
    },
    connections: () => client.counts(),
    close: () => client.close(),
  };
}

/** Of what is under way at once. */
interface Place {
  readonly permit: Permit;
  /** Gives it back. @returns false where it was given back already: nothing happens then. */
  leave(): boolean;
}

/** What is called first counts; a call after it does nothing. */
interface Settle {
  finish(result: ForwardResult): void;
  fail(error: unknown): void;
}

interface ForwardOnceParts {
  readonly ways: UpstreamWays;
  readonly upstream: URL;
  readonly permit: Permit;
  readonly settle: Settle;
}

/** Where it throws, its caller settles. */
function forwardOnce(
  { ways, upstream, permit, settle }: ForwardOnceParts,
  req: IncomingMessage,
  res: ServerResponse,
  request: ForwardRequest,
): void {
  const { target, context, onBodyWanted } = request;
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
  const leave = (ending: Exchange): boolean => {
    if (ending.isOver) return false;
    ending.isOver = true;
    stopWatching();
    release?.();
    return true;
  };
  const cut: Cut = (error) => {
    if (!res.headersSent && !isSafeMethod(target.method)) return false;
    exchange.attempt?.cancel();
    if (!res.headersSent) {
      exchange.fail(error);
      return true;
    }
    body?.stream.destroy();
    res.destroy();
    exchange.finish({ kind: 'cut', status: res.statusCode, error });
    return true;
  };
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
    isOver: false,
    send(bearer) {
      const again = this.replayed || this.retried;
      const pipe = createAnswerPipe(this, bearer);
      this.attempt = sendUpstream(
        ways,
        {
          method: target.method,
          path: target.path,
          headers: requestHeaders(req.rawHeaders, bearer === context.bearer ? context : { ...context, bearer }),
          body: again ? body?.replay() : body?.stream,
          headersTimeoutMs: target.headersTimeoutMs,
          bodyTimeoutMs: target.bodyTimeoutMs,
        },
        pipe.listener,
      );
      pipe.own(this.attempt);
    },
    finish(result) {
      if (!leave(this)) return;
      settle.finish(result);
    },
    fail(cause) {
      if (!leave(this)) return;
      body?.stream.destroy();
      const error = toGatewayError(cause);
      if (isUpstreamFault(error)) permit.fail();
      settle.fail(error);
    },
  };
  const release = request.bind?.(cut);
  exchange.send(context.bearer);
}
