/** Forwards what a route names: method, session, fresh token, then the forwarder. */
import type { Request, Response } from 'express';
import type { UpstreamLimits } from '../cache/upstream-limits.ts';
import type { RouteSettings, Settings } from '../config/settings.ts';
import { withApiKey } from '../forwarding/api-key-query.ts';
import type { ForwardTarget, UnauthorizedVerdict } from '../forwarding/forward-request.ts';
import type { HttpForwarder } from '../forwarding/http-forwarder.ts';
import { contextOf, type RequestContext } from '../guards/request-context.ts';
import type { UserShare } from '../guards/user-share.ts';
import type { Clock } from '../kernel/clock.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Session } from '../session/session.ts';
import { sendBody } from './answer.ts';
import { type BoundParts, boundToSession } from './bound-to-session.ts';
import { sendContinue } from './expect-continue.ts';
import { freshSession, type RefreshedSessionParts, sessionOf } from './refreshed-session.ts';
import { learnLimit, limitTagOf, refuseWhileLimited } from './upstream-limit.ts';

export interface ForwardedParts extends RefreshedSessionParts, BoundParts {
  readonly forwarder: HttpForwarder;
  readonly settings: Pick<Settings, 'finveraApiKey' | 'finveraHeadersTimeout' | 'finveraBodyTimeout' | 'maxBodyBytes'>;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly share: UserShare;
  /** Absent where Finvera is asked whatever it said of the rate. */
  readonly limits?: UpstreamLimits;
  /** Told when the head of an answer passes. */
  readonly onForwarded?: (method: string, status: number, context: RequestContext) => void;
}

/** @throws, or rejects, with what becomes the answer. */
export type Forward = (req: Request, res: Response) => Promise<void> | undefined;

/** @param fixedPath the upstream path, where it is not the request's own. */
export function createForward(parts: ForwardedParts, route: RouteSettings, fixedPath?: string): Forward {
  const forwardAs = forwardWith(parts, route, fixedPath);
  const forwardFor = (req: Request, res: Response, session: Session): Promise<void> => {
    // Finvera's answer is to the bearer; what caches see of it in front of the gateway is the cookie (RFC 9111 §3.5, §4.1).
    contextOf(res).answerHeaders.push('Vary', 'Cookie');
    const waiting = parts.share.enter(session.userId, res);
    if (waiting) return waiting.then(() => forwardLater(req, res, session.userId));
    return forwardAs(req, res, session, session.userId);
  };
  /** Who waited may have been logged out meanwhile. */
  const forwardLater = async (req: Request, res: Response, userId: string): Promise<void> => {
    let session: Session;
    try {
      session = await freshSession(parts, req, res);
    } catch (error) {
      parts.share.leave(userId);
      throw error;
    }
    await forwardAs(req, res, session, userId);
  };
  return (req, res) => {
    const { method } = req;
    refuseOtherMethods(route, method);
    if (method === 'OPTIONS' && isLastHop(req)) {
      sendBody(res, 204, '', '', ['Allow', allowedMethods(route).join(', ')]);
      return undefined;
    }
    if (route.credential === 'none') return forwardAs(req, res, undefined, undefined);
    // No promise where nothing is waited for: most sessions are in the cache.
    const found = freshSession(parts, req, res);
    if (found instanceof Promise) return found.then((session) => forwardFor(req, res, session));
    return forwardFor(req, res, found);
  };
}

/** @param sharer whose share of what is under way has one place taken: it is handed back at the end, however that comes. */
type ForwardAs = (
  req: Request,
  res: Response,
  session: Session | undefined,
  sharer: string | undefined,
) => Promise<void>;

function forwardWith(parts: ForwardedParts, route: RouteSettings, fixedPath: string | undefined): ForwardAs {
  const { forwarder, settings, metrics, limits, clock, share, onForwarded } = parts;
  return async (req, res, session, sharer) => {
    const context = contextOf(res);
    try {
      if (limits?.any()) refuseWhileLimited(limits, limitTagOf(route, session), context, metrics);
      const { bearer, query } = credentialFor(route, settings.finveraApiKey?.reveal(), session, context.path.query);
      const target: ForwardTarget = {
        path: (fixedPath ?? context.path.raw) + query,
        method: req.method,
        headersTimeoutMs: route.headersTimeout ?? settings.finveraHeadersTimeout,
        bodyTimeoutMs: route.bodyTimeout ?? settings.finveraBodyTimeout,
        maxBodyBytes: route.maxBodyBytes ?? settings.maxBodyBytes,
      };
      const result = await forwarder.forward(req, res, {
        target,
        context: {
          bearer,
          requestId: context.requestId,
          traceparent: context.traceparent,
          clientIp: context.clientIp,
          proto: context.proto,
          host: context.host,
        },
        answerHeaders: context.answerHeaders,
        party: session?.userId ?? context.clientIp,
        ...(route.credential === 'api-key' && settings.finveraApiKey
          ? { apiKey: settings.finveraApiKey.reveal() }
          : {}),
        ...(session ? { bind: boundToSession(parts, session, res) } : {}),
        onBodyWanted: () => sendContinue(req, res),
        onHead: (upstreamMs, status, headers) => {
          context.upstreamMs = upstreamMs;
          if (status === 429 && limits) learnLimit(limits, limitTagOf(route, session), headers, clock.now(), metrics);
          onForwarded?.(req.method, status, context);
          metrics.upstreamSeconds.observe(context.routeName, upstreamMs / 1_000, context.trace?.traceId);
        },
        // Without a refresh token there is nothing to ask for: Finvera's 401 is the answer.
        ...(session?.tokens.refresh && route.credential === 'session'
          ? { onUnauthorized: () => refreshAfter401(parts, session, res) }
          : {}),
      });
      if (result.kind !== 'cut') return;
      context.code = result.error.code;
      context.cause = result.error.cause;
    } finally {
      if (sharer !== undefined) share.leave(sharer);
    }
  };
}

/** `Max-Forwards` (RFC 9110 §7.6.2): at 0 the gateway is who is asked, else one less goes on. What is no number says nothing. */
function isLastHop({ rawHeaders }: Request): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const value = rawHeaders[i + 1] ?? '';
    if (rawHeaders[i]?.toLowerCase() !== 'max-forwards' || !/^\d{1,9}$/.test(value)) continue;
    if (Number(value) === 0) return true;
    rawHeaders[i + 1] = String(Number(value) - 1);
  }
  return false;
}

/** One forced refresh; where that brings no other token, Finvera's 401 is the answer. */
export async function refreshAfter401(
  parts: ForwardedParts,
  used: Session,
  res: Response,
): Promise<UnauthorizedVerdict> {
  const renewed = sessionOf(await parts.coordinator.force(used, contextOf(res)), res, parts.cookie);
  const isSame = renewed.tokens.access.equals(used.tokens.access);
  parts.metrics.upstreamReplays.inc({ outcome: isSame ? 'passed' : 'replayed' });
  if (isSame) return { kind: 'pass' };
  return { kind: 'replay', bearer: renewed.tokens.access.reveal() };
}

export function credentialFor(
  route: RouteSettings,
  apiKey: string | undefined,
  session: Session | undefined,
  query: string,
): { bearer: string | undefined; query: string } {
  if (route.credential === 'none') return { bearer: undefined, query };
  if (route.credential === 'session') return { bearer: session?.tokens.access.reveal(), query };
  const key = apiKey ?? '';
  if (route.apiKeyIn === 'bearer') return { bearer: key, query };
  return { bearer: undefined, query: withApiKey(query, key) };
}

/** @throws GatewayError `method_not_allowed` */
export function refuseOtherMethods(route: RouteSettings, method: string): void {
  if (!allows(route, method)) throw new GatewayError('method_not_allowed', { allow: allowedMethods(route) });
}

function allows({ methods }: RouteSettings, method: string): boolean {
  return methods.includes(method) || (method === 'HEAD' && methods.includes('GET'));
}

function allowedMethods({ methods }: RouteSettings): string[] {
  return methods.includes('GET') && !methods.includes('HEAD') ? [...methods, 'HEAD'] : [...methods];
}
