/** The first step of every request: its id, its peer and its trace, what every answer bears, and the line it leaves when it is over. */
import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';
import type { Settings } from '../config/settings.ts';
import { clientAddress } from '../guards/client-address.ts';
import { isHost } from '../guards/message-form.ts';
import { contextOf, type RequestContext, setContext } from '../guards/request-context.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { FinishedRequest } from '../observability/request-log.ts';
import type { Tracing } from '../observability/tracing.ts';
import { createSecurityHeaders } from './security-headers.ts';
import { endTrace } from './trace-requests.ts';
import { newTraceparent, readTraceparent } from './traceparent.ts';
import { isFromTrustedProxy } from './trusted-proxy.ts';

/** One piece of the way, without a way on of its own. @returns true where it answers, now or later: nothing follows then. */
export type Step = (req: Request, res: Response, next: NextFunction) => boolean;

const REQUEST_ID_FORM = /^[A-Za-z0-9._~+/=:@-]{1,128}$/;

export interface BeginParts {
  readonly settings: Pick<Settings, 'publicUrl' | 'trustProxy'>;
  readonly isDraining: () => boolean;
  readonly metrics: Metrics;
  /** Undefined: off. */
  readonly tracing: Tracing | undefined;
  readonly logRequest: (request: FinishedRequest) => void;
}

/** The first step of all; nothing of the request is believed yet. */
export function beginRequest({ settings, isDraining, metrics, tracing, logRequest }: BeginParts): Step {
  const isHttps = settings.publicUrl?.startsWith('https:') ?? false;
  const securityHeaders = createSecurityHeaders(isHttps);
  const peerOf = settings.trustProxy.length > 0 ? forwardedPeer : directPeer;
  const publicHost = settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl).host;
  /** One for all requests: it finds its own in the response that closed. */
  function finishRequest(this: Response): void {
    const context = contextOf(this);
    metrics.inFlight.value -= 1;
    const finished: FinishedRequest = {
      requestId: context.requestId,
      method: context.method,
      path: context.path.decoded,
      route: context.routeName,
      status: context.status ?? (this.headersSent ? this.statusCode : 499),
      code: context.code,
      cause: context.cause,
      durationMs: performance.now() - context.startedAt,
      upstreamMs: context.upstreamMs,
      session: context.session,
      userId: context.userId,
      ip: context.clientIp,
      aborted: context.status === undefined && !this.writableFinished,
      traceId: context.trace?.traceId,
    };
    logRequest(finished);
    if (context.trace) endTrace(context.trace, finished);
  }
  return (req, res) => {
    const passedOn = passedRequestId(req);
    const requestId = passedOn ?? randomUUID();
    const trace = tracing?.current();
    const { clientIp, proto, host } = peerOf(req, publicHost);
    const context: RequestContext = {
      requestId,
      method: req.method,
      startedAt: performance.now(),
      clientIp,
      proto,
      host,
      trace,
      traceparent:
        trace?.traceparent ?? readTraceparent(req) ?? newTraceparent(passedOn === undefined ? requestId : randomUUID()),
      path: UNDECIDED,
      area: 'other',
      route: undefined,
      cookie: undefined,
      routeName: 'none',
      answerHeaders: [...securityHeaders, 'X-Request-Id', requestId],
      session: undefined,
      userId: undefined,
      code: undefined,
      cause: undefined,
      upstreamMs: undefined,
      status: undefined,
    };
    // A connection that is kept would carry its next request into a process that is gone.
    // After an upgrade that it ignores, Node loses what came with it: a pipelining client must know to ask again.
    if (isDraining() || req.headers.upgrade !== undefined) context.answerHeaders.push('Connection', 'close');
    setContext(res, context);
    metrics.inFlight.value += 1;
    res.on('close', finishRequest);
    return false;
  };
}

/** Until the target is read. */
const UNDECIDED = { raw: '/', query: '', decoded: '/' } as const;

interface Peer {
  readonly clientIp: string;
  readonly proto: 'http' | 'https';
  readonly host: string;
}

/**
 * As a trusted proxy says, where one asks; what it merely passes on may be no address or no host at all. The host is the
 * public one where there is one: Finvera may build links from it, so that no client may choose it (ATK-H7).
 */
function forwardedPeer(req: Request, publicHost: string | undefined): Peer {
  const proto = req.protocol === 'https' ? 'https' : 'http';
  const host = publicHost ?? (isHost(req.host ?? '') ? req.host : (req.headers.host ?? ''));
  return { clientIp: clientAddress(req.ip ?? '', plainAddress(req.socket.remoteAddress ?? '')), proto, host };
}

/** Nobody is trusted: what the connection itself says. */
function directPeer(req: Request, publicHost: string | undefined): Peer {
  const host = publicHost ?? req.headers.host ?? '';
  return { clientIp: plainAddress(req.socket.remoteAddress ?? ''), proto: 'http', host };
}

/** An IPv4 address that came over a socket for both kinds. */
function plainAddress(ip: string): string {
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip;
}

/** A trusted proxy's id is kept, so that one request has one id on its whole way; from others it is only a claim. */
function passedRequestId(req: Request): string | undefined {
  const sent = req.headers['x-request-id'];
  const isTrusted = sent !== undefined && isFromTrustedProxy(req);
  return isTrusted && typeof sent === 'string' && REQUEST_ID_FORM.test(sent) ? sent : undefined;
}
