/** What a request to a route with shared answers asks for, and who shares the answer: the key, and what Finvera is sent. Pure. */
import type { Request } from 'express';
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
import type { CacheQuestion } from '../cache/cache-question.ts';
import type { RouteCacheSettings, RouteSettings, Settings } from '../config/settings.ts';
import { isClientClaim, passedRequestHeaders } from '../forwarding/header-policy.ts';
import type { RequestContext } from '../guards/request-context.ts';
import type { Session } from '../session/session.ts';

export type CacheTarget = Omit<CacheQuestion, 'fetch'> & {
  /** What Finvera is sent. */
  readonly query: string;
  readonly headers: readonly string[];
};

export type TargetSettings = Pick<Settings, 'finveraUrl' | 'finveraHeadersTimeout' | 'cache'>;
type Asked = Pick<Request, 'rawHeaders' | 'headers'>;

export function createTargets(settings: TargetSettings, route: RouteSettings, rules: RouteCacheSettings) {
  const isIgnoredQuery = createNameMatch(settings.cache.ignoredQuery);
  const isIgnoredHeader = createNameMatch(settings.cache.ignoredHeaders);
  const { credential, apiKeyIn } = route;
  const maxWaitMs = route.headersTimeout ?? settings.finveraHeadersTimeout;
  return (req: Asked, context: Pick<RequestContext, 'path' | 'proto'>, scope: ScopeText): CacheTarget => {
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

/** Undefined where there is nobody to share with: a session that Finvera gave no tier. */
export function scopeOf(
  { scope }: Pick<RouteCacheSettings, 'scope'>,
  session: Pick<Session, 'user'> | undefined,
): ScopeText | undefined {
  if (scope === 'public') return scopeText('public', '');
  const value = scope === 'tier' ? session?.user.licensing_tier_id : session?.user.user_id;
  return value ? scopeText(scope, value) : undefined;
}
