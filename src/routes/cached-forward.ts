/**
 * A route whose answers are shared: session first, then what is kept, then Finvera. Whoever asks has passed every guard
 * before anything kept is looked for, and once more where it waited for another one's answer.
 */
import type { Request, Response } from 'express';
import { type CacheAnswer, statusOfError } from '../cache/cache-answer.ts';
import type { ScopeText } from '../cache/cache-key.ts';
import { type CacheStatus, formatCacheStatus } from '../cache/cache-status.ts';
import type { SharedAnswers } from '../cache/shared-answers.ts';
import type { RouteCacheSettings, RouteSettings, Settings } from '../config/settings.ts';
import { isPipeliningTooMuch, whenGone } from '../forwarding/client-connection.ts';
import { contextOf, type RequestContext } from '../guards/request-context.ts';
import { GatewayError, overload } from '../kernel/errors.ts';
import { isSafeMethod } from '../kernel/safe-method.ts';
import type { Session } from '../session/session.ts';
import { boundToSession } from './bound-to-session.ts';
import { createFetchForCache } from './cache-fetch.ts';
import { createTargets, scopeOf } from './cache-target.ts';
import { sendKept, sendPassed } from './cached-answer.ts';
import { createForward, type Forward, type ForwardedParts, refuseOtherMethods } from './forwarded.ts';
import { freshSession } from './refreshed-session.ts';

export interface CachedForwardParts extends ForwardedParts {
  readonly answers: SharedAnswers;
  readonly settings: ForwardedParts['settings'] & Pick<Settings, 'finveraUrl' | 'cache' | 'publicUrl'>;
}

/** A session that changes while its request waits is looked at again; one that changes all the time asks alone. */
const MAX_ATTEMPTS = 2;

export function createCachedForward(
  parts: CachedForwardParts,
  route: RouteSettings,
  rules: RouteCacheSettings,
): Forward {
  const { answers, metrics } = parts;
  const told = (outcome: string) => metrics.cacheRequests.inc({ route: route.path, outcome });
  const plain = createForward(
    {
      ...parts,
      onForwarded(method, status, { path }) {
        // A change that Finvera accepted: what was kept of that path, for whomever, is of the past (RFC 9111 §4.4).
        if (!isSafeMethod(method) && status < 400) answers.feed.changed(path.raw);
      },
    },
    route,
  );
  const forwardAlone = (req: Request, res: Response, status: CacheStatus): ReturnType<Forward> => {
    tell(contextOf(res), status);
    told('passed');
    return plain(req, res);
  };
  const toTarget = createTargets(parts.settings, route, rules);
  const fetchFor = createFetchForCache(parts, route, rules);

  const ask = async (req: Request, res: Response, session: Session | undefined, scope: ScopeText) => {
    // Who waits counts among what one connection may have under way, as what is forwarded does.
    if (isPipeliningTooMuch(req.socket)) throw overload();
    const arrived = whenGone(req.socket, () => undefined);
    const target = toTarget(req, contextOf(res), scope);
    try {
      return await answers.cache.answer({ ...target, fetch: fetchFor(res, session, target) });
    } finally {
      arrived();
    }
  };

  const answer = async (req: Request, res: Response): Promise<void> => {
    const context = contextOf(res);
    refuseOtherMethods(route, req.method);
    for (let attempt = 1; ; attempt += 1) {
      const session = route.credential === 'none' ? undefined : await freshSession(parts, req, res);
      const scope = scopeOf(rules, session);
      if (scope === undefined || attempt > MAX_ATTEMPTS)
        return forwardAlone(req, res, { kind: 'forward', reason: 'bypass' });
      const found = await ask(req, res, session, scope);
      if (req.socket.destroyed) return drop(found);
      if ('waited' in found && found.waited && session) {
        const now = await freshSession(parts, req, res);
        if (scopeOf(rules, now) !== scope) continue;
      }
      if (found.kind === 'not_kept') {
        tell(context, { kind: 'none', detail: 'only-if-cached' });
        throw new GatewayError('not_kept');
      }
      if (found.kind === 'alone') return forwardAlone(req, res, found.status);
      if (found.kind === 'failed') {
        tell(context, found.status);
        throw found.error;
      }
      // Finvera was asked as a user whom caches in front of the gateway know by the cookie alone (RFC 9111 §4.1).
      if (session) context.answerHeaders.push('Vary', 'Cookie');
      if (found.kind === 'passed') {
        told('passed');
        tell(context, found.status);
        return sendPassed(req, res, found, {
          bodyTimeoutMs: route.bodyTimeout ?? parts.settings.finveraBodyTimeout,
          bind: session && boundToSession(parts, session, res),
        });
      }
      told(found.outcome);
      return sendKept(req, res, found, parts.clock.now());
    }
  };

  return async (req, res) => {
    const reason = bypassReason(req);
    if (reason) return await withStatus(res, () => forwardAlone(req, res, { kind: 'forward', reason }));
    await withStatus(res, () => answer(req, res));
  };
}

/** The gateway's own errors bear the member, too: every answer of such a route does (contract §7). */
async function withStatus(res: Response, work: () => ReturnType<Forward>): Promise<void> {
  try {
    await work();
  } catch (error) {
    tellFailure(contextOf(res), error);
    throw error;
  }
}

/** What was to be forwarded and was refused here instead was not forwarded. */
function tellFailure(context: RequestContext, error: unknown): void {
  const { answerHeaders } = context;
  const at = answerHeaders.indexOf('Cache-Status');
  const status = statusOfError(error, 'uri-miss');
  if (at < 0) tell(context, status);
  else if (status.kind === 'none' && answerHeaders[at + 1]?.includes('; fwd='))
    answerHeaders[at + 1] = formatCacheStatus(status);
}

function tell({ answerHeaders }: RequestContext, status: CacheStatus): void {
  answerHeaders.push('Cache-Status', formatCacheStatus(status));
}

/** Methods that are not cacheable; parts of answers, and requests with a body, which is not in the key. */
function bypassReason({ method, headers }: Request): 'method' | 'bypass' | undefined {
  if (method !== 'GET' && method !== 'HEAD') return 'method';
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const isConditional = headers['if-match'] !== undefined || headers['if-unmodified-since'] !== undefined;
  return hasBody || headers.range !== undefined || isConditional ? 'bypass' : undefined;
}

function drop(answer: CacheAnswer): void {
  if (answer.kind === 'passed') answer.answer.cancel();
}
