/**
 * A route whose answers are shared: session first, then what is kept, then Finvera. Whoever asks has passed every guard
 * before anything kept is looked for, and once more where it waited for another one's answer.
 */
import type { Request, Response } from 'express';
import { requestDirectives } from '../cache/cache-control.ts';
import {
  createNameMatch,
  keyOf,
  normaliseQuery,
  type ScopeText,
  scopeText,
  selectHeaders,
  uriKeyOf,
} from '../cache/cache-key.ts';
import { type CacheStatus, formatCacheStatus } from '../cache/cache-status.ts';
import type { CacheAnswer, CacheQuestion } from '../cache/response-cache.ts';
import type { SharedAnswers } from '../cache/shared-answers.ts';
import type { RouteCacheSettings, RouteSettings, Settings } from '../config/settings.ts';
import { isClientClaim, passedRequestHeaders } from '../forwarding/header-policy.ts';
import { contextOf, type RequestContext } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Session } from '../session/session.ts';
import { boundToSession } from './bound-to-session.ts';
import { createFetchForCache } from './cache-fetch.ts';
import { sendKept, sendPassed } from './cached-answer.ts';
import { createForward, type Forward, type ForwardedParts } from './forwarded.ts';
import { freshSession } from './refreshed-session.ts';

export interface CachedForwardParts extends ForwardedParts {
  readonly answers: SharedAnswers;
  readonly settings: ForwardedParts['settings'] & Pick<Settings, 'finveraUrl' | 'cache' | 'publicUrl'>;
}

const UNSAFE: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE'];
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
      onForwarded(method, status, session, { path }) {
        // A change that Finvera accepted: what was kept of that path is of the past (RFC 9111 §4.4).
        const scope = UNSAFE.includes(method) && status < 400 ? scopeOf(rules, session) : undefined;
        if (scope !== undefined) answers.feed.changed(scope, path.raw);
      },
    },
    route,
  );
  const forwardAlone = (req: Request, res: Response, status: CacheStatus): Promise<void> => {
    tell(contextOf(res), status);
    told('passed');
    return plain(req, res);
  };
  const toQuestion = createQuestions(parts, route, rules);
  const fetchFor = createFetchForCache(parts, route, rules);

  const answer = async (req: Request, res: Response): Promise<void> => {
    const context = contextOf(res);
    for (let attempt = 1; ; attempt += 1) {
      const session = route.credential === 'none' ? undefined : await freshSession(parts, req, res);
      const scope = scopeOf(rules, session);
      if (scope === undefined || attempt > MAX_ATTEMPTS)
        return forwardAlone(req, res, { kind: 'forward', reason: 'bypass' });
      const target = toQuestion(req, context, scope);
      const found = await answers.cache.answer({ ...target, fetch: fetchFor(req, res, session, target) });
      if (req.socket.destroyed) return drop(found);
      if ('waited' in found && found.waited && session) {
        const now = await freshSession(parts, req, res);
        if (scopeOf(rules, now) !== scope) continue;
      }
      if (found.kind === 'not_kept')
        throw new GatewayError('upstream_timeout', {
          detail: 'Nothing fresh is kept, and the request asks for nothing else.',
        });
      if (found.kind === 'alone') return forwardAlone(req, res, found.status);
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
async function withStatus(res: Response, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const context = contextOf(res);
    if (!context.answerHeaders.includes('Cache-Status')) tell(context, statusOf(error));
    throw error;
  }
}

function statusOf(error: unknown): CacheStatus {
  if (!(error instanceof GatewayError)) return { kind: 'none' };
  if (error.kind === 'rate_limited') return { kind: 'none', detail: 'rate-limited' };
  return error.kind.startsWith('upstream_') ? { kind: 'forward', reason: 'uri-miss' } : { kind: 'none' };
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

/** Undefined where there is nobody to share with: a session that Finvera gave no tier. */
function scopeOf({ scope }: RouteCacheSettings, session: Session | undefined): ScopeText | undefined {
  if (scope === 'public') return scopeText('public', '');
  const value = scope === 'tier' ? session?.user.licensing_tier_id : session?.user.user_id;
  return value ? scopeText(scope, value) : undefined;
}

function drop(answer: CacheAnswer): void {
  if (answer.kind === 'passed') answer.answer.cancel();
}

export type CacheTarget = Omit<CacheQuestion, 'fetch'> & {
  /** What Finvera is sent. */
  readonly query: string;
  readonly headers: readonly string[];
};

/** What a request asks for, apart from who asks. */
function createQuestions({ settings }: CachedForwardParts, route: RouteSettings, rules: RouteCacheSettings) {
  const isIgnoredQuery = createNameMatch(settings.cache.ignoredQuery);
  const isIgnoredHeader = createNameMatch(settings.cache.ignoredHeaders);
  const { credential, apiKeyIn } = route;
  const maxWaitMs = route.headersTimeout ?? settings.finveraHeadersTimeout;
  return (req: Request, context: RequestContext, scope: ScopeText): CacheTarget => {
    const headers = selectHeaders(passedRequestHeaders(req.rawHeaders), isIgnoredHeader);
    const query = normaliseQuery(context.path.query, isIgnoredQuery);
    const path = context.path.raw;
    // The host is not in it: Finvera is told one and the same (`cache-fetch.ts`), so that instances with other ports share.
    const origin = [settings.finveraUrl, credential, apiKeyIn, context.proto].join(' ');
    const uri = { origin, scope, route: route.path, path, query };
    return {
      key: keyOf({ ...uri, headers }),
      uriKey: uriKeyOf(uri),
      scope,
      route: route.path,
      path,
      rules,
      directives: requestDirectives(req.headers['cache-control'], req.headers.pragma),
      maxWaitMs,
      isGatewaysOwn: isClientClaim,
      query,
      headers,
    };
  };
}
