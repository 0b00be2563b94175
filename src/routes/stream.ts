/**
 * `GET /stream`: who may open one, and its two ends (contract §6). Every guard has passed and the bearer is fresh before
 * anything is dialled, so that refusals are plain HTTP; what the upstream does afterwards is told by close codes.
 */
import type { Request, RequestHandler, Response } from 'express';
import type { Settings } from '../config/settings.ts';
import { withApiKey, withoutApiKey } from '../forwarding/api-key-query.ts';
import { requestHeaders } from '../forwarding/header-policy.ts';
import { clearSessionCookie } from '../guards/authenticate.ts';
import { contextOf, type RequestContext, requesterOf } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Audit } from '../observability/audit.ts';
import { asFields } from '../observability/audit-reports.ts';
import type { Session } from '../session/session.ts';
import { type BrowserSide, handshakeFault, offeredProtocols } from '../streams/browser-side.ts';
import { CLOSE } from '../streams/close-codes.ts';
import type { SessionWatch } from '../streams/session-watch.ts';
import type { StreamHub } from '../streams/stream-hub.ts';
import type { StreamOwner, Streams } from '../streams/streams.ts';
import { type DialOutcome, dialUpstream, streamUrl } from '../streams/upstream-dial.ts';
import { type PendingUpgrade, upgradeOf } from './pending-upgrade.ts';
import { type RefreshedSessionParts, sessionOf } from './refreshed-session.ts';

export interface StreamRouteParts extends RefreshedSessionParts {
  readonly settings: Pick<Settings, 'finveraStreamUrl' | 'finveraApiKey' | 'streams'>;
  readonly streams: Streams;
  /** Where all browsers share one upstream; else each has its own. */
  readonly hub: StreamHub | undefined;
  readonly watch: SessionWatch;
  readonly browserSide: BrowserSide;
  readonly audit: Audit;
  readonly isDraining: () => boolean;
}

const RETRY_MS = 1_000;

export function createStreamRoute(parts: StreamRouteParts): RequestHandler {
  const { streams, authenticate, isDraining } = parts;
  return async (req, res) => {
    if (req.method !== 'GET') throw new GatewayError('method_not_allowed', { allow: ['GET'] });
    const upgrade = upgradeOf(req);
    if (!upgrade) throw upgradeRequired(res);
    refuseBadHandshake(req, res);
    const session = await authenticate(req, res);
    if (isDraining()) throw new GatewayError('draining', { retryAfterMs: RETRY_MS });
    const leave = streams.places.take(session.hash);
    if (!leave) throw new GatewayError('too_many_streams');
    let isTaken = false;
    try {
      refuseTier(parts, session, req, res);
      isTaken = await open(parts, { req, res, upgrade, session, leave });
    } finally {
      if (!isTaken) leave();
    }
  };
}

function refuseTier({ settings, audit }: StreamRouteParts, session: Session, req: Request, res: Response): void {
  const { allowedTiers } = settings.streams;
  if (allowedTiers === 'all' || allowedTiers.includes(session.user.licensing_tier_id)) return;
  const { hash, userId } = session;
  audit.record('stream_refused', {
    session: hash,
    user_id: userId,
    ...asFields(requesterOf(req, res)),
    reason: 'tier',
  });
  throw new GatewayError('tier_forbidden');
}

function upgradeRequired(res: Response): GatewayError {
  contextOf(res).answerHeaders.push('Upgrade', 'websocket', 'Sec-WebSocket-Version', '13');
  return new GatewayError('upgrade_required');
}

function refuseBadHandshake(req: Request, res: Response): void {
  const fault = handshakeFault(req);
  if (fault?.kind === 'version') throw upgradeRequired(res);
  if (fault) throw new GatewayError('invalid_request', { detail: fault.detail });
}

interface Opening {
  readonly req: Request;
  readonly res: Response;
  readonly upgrade: PendingUpgrade;
  readonly session: Session;
  readonly leave: () => void;
}

/** @returns false where the browser left meanwhile. */
async function open(parts: StreamRouteParts, opening: Opening): Promise<boolean> {
  const { req, res, session: found, leave } = opening;
  const context = contextOf(res);
  if (parts.hub) {
    // The first that is offered: what the upstream speaks is the hub's business.
    const browser = accept(parts, opening, offeredProtocols(req)?.[0]);
    if (browser) parts.streams.joinHub(browser, parts.hub, ownerOf(context, found, leave));
    return browser !== undefined;
  }
  const startedAt = performance.now();
  const { outcome, session } = await dialForSession(parts, opening);
  context.upstreamMs = performance.now() - startedAt;
  const protocol = outcome.kind === 'open' ? outcome.socket.protocol : offeredProtocols(req)?.[0];
  const browser = accept(parts, opening, protocol);
  if (!browser) {
    if (outcome.kind === 'open') outcome.socket.terminate();
    return false;
  }
  const owner = ownerOf(context, session, leave);
  if (outcome.kind === 'open') parts.streams.openTunnel(browser, outcome.socket, owner);
  else parts.streams.refuse(browser, owner, ...closingOf(outcome));
  return true;
}

/** @returns undefined where the browser left meanwhile. */
function accept({ browserSide }: StreamRouteParts, { req, res, upgrade }: Opening, protocol: string | undefined) {
  if (upgrade.socket.destroyed) return undefined;
  const context = contextOf(res);
  context.status = 101;
  upgrade.detach();
  const headers = [`X-Request-Id: ${context.requestId}`];
  return browserSide.accept(req, upgrade.socket, upgrade.head, { protocol: protocol || undefined, headers });
}

function ownerOf({ requestId, clientIp }: RequestContext, session: Session, leave: () => void): StreamOwner {
  return { session, requestId, clientIp, leave };
}

/** A refused upgrade tells a page nothing: the stream is accepted and closed with a code instead (contract §6). */
function closingOf(outcome: Exclude<DialOutcome, { kind: 'open' }>): [number, string] {
  if (outcome.kind === 'failed') return [CLOSE.upstreamFailed, 'upstream failed'];
  if (outcome.status === 401 || outcome.status === 403) return [CLOSE.policy, 'refused by upstream'];
  if (outcome.status === 429) return [CLOSE.tooSlow, 'upstream limits the rate'];
  return [CLOSE.upstreamFailed, 'refused by upstream'];
}

/** Dials with a fresh bearer; after an upstream's 401 once more with a renewed one. The session may end meanwhile. */
async function dialForSession(
  parts: StreamRouteParts,
  { req, res, upgrade, session: found }: Opening,
): Promise<{ outcome: DialOutcome; session: Session }> {
  const { coordinator, cookie, watch, settings, isDraining } = parts;
  const context = contextOf(res);
  const isOwnToken = settings.streams.credential === 'session';
  let session = found;
  if (isOwnToken) session = sessionOf(await coordinator.ensureFresh(found, context), res, cookie);
  const left = new AbortController();
  const onClose = () => left.abort();
  upgrade.socket.once('close', onClose);
  let over: GatewayError | undefined;
  const stop = (error: GatewayError) => {
    over = error;
    left.abort();
  };
  const watching = watch.watch(session, {
    ended: () => stop(new GatewayError('session_expired')),
    unverified: () => stop(new GatewayError('store_unavailable', { retryAfterMs: RETRY_MS })),
  });
  try {
    let outcome = await dial(parts, req, res, session, left.signal);
    if (outcome.kind === 'refused' && outcome.status === 401 && isOwnToken && !left.signal.aborted) {
      const renewed = sessionOf(await coordinator.force(session, context), res, cookie);
      if (!renewed.tokens.access.equals(session.tokens.access))
        outcome = await dial(parts, req, res, renewed, left.signal);
      session = renewed;
    }
    if (isDraining()) over ??= new GatewayError('draining', { retryAfterMs: RETRY_MS });
    if (!over) return { outcome, session };
    if (outcome.kind === 'open') outcome.socket.terminate();
    if (over.kind === 'session_expired') clearSessionCookie(res, cookie);
    throw over;
  } finally {
    watching.stop();
    upgrade.socket.off('close', onClose);
  }
}

function dial(
  { settings }: StreamRouteParts,
  req: Request,
  res: Response,
  session: Session,
  signal: AbortSignal,
): Promise<DialOutcome> {
  const { requestId, traceparent, clientIp, proto, host, path } = contextOf(res);
  const { finveraStreamUrl: base, finveraApiKey, streams } = settings;
  const key = streams.credential === 'api-key' ? (finveraApiKey?.reveal() ?? '') : undefined;
  const query = key === undefined ? withoutApiKey(path.query) : withApiKey(path.query, key);
  const bearer = key === undefined ? session.tokens.access.reveal() : undefined;
  return dialUpstream({
    url: streamUrl(base, query),
    headers: withoutPage(requestHeaders(req.rawHeaders, { bearer, requestId, traceparent, clientIp, proto, host })),
    protocols: offeredProtocols(req) ?? [],
    handshakeTimeoutMs: streams.handshakeTimeout,
    maxMessageBytes: streams.maxMessageBytes,
    signal,
  });
}

/** Where the page is from was decided on here: to the upstream it is a server that calls. */
function withoutPage(headers: readonly string[]): string[] {
  return headers.filter((_, i) => {
    const name = headers[i - (i % 2)]?.toLowerCase() ?? '';
    return name !== 'origin' && name !== 'content-length' && !name.startsWith('sec-fetch-');
  });
}
