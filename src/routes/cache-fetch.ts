/** Asks Finvera for an answer that may be kept: with the asking user's own credential, and with nothing of the request that is not in the key. */
import type { Request, Response } from 'express';
import { parseCacheControl } from '../cache/cache-control.ts';
import { fieldOf, type HeaderList, withoutFields } from '../cache/header-list.ts';
import type { UpstreamAnswer } from '../cache/upstream-answer.ts';
import type { RouteCacheSettings, RouteSettings } from '../config/settings.ts';
import { whenGone } from '../forwarding/client-connection.ts';
import { requestHeaders, responseHeaders } from '../forwarding/header-policy.ts';
import type { FetchedAnswer } from '../forwarding/upstream-fetch.ts';
import { contextOf } from '../guards/request-context.ts';
import type { Session } from '../session/session.ts';
import type { CachedForwardParts } from './cached-forward.ts';
import { credentialFor, refreshAfter401 } from './forwarded.ts';
import { learnLimit, limitTagOf, refuseWhileLimited } from './upstream-limit.ts';

interface FetchTarget {
  readonly query: string;
  readonly headers: HeaderList;
}

export function createFetchForCache(parts: CachedForwardParts, route: RouteSettings, rules: RouteCacheSettings) {
  const { forwarder, settings, metrics, limits, clock } = parts;
  const upstream = new URL(settings.finveraUrl);
  // Where the gateway knows no name of its own, Finvera's: whoever may choose it could choose what others are shown.
  const sharedHost = new URL(settings.publicUrl ?? settings.finveraUrl).host;
  const apiKey = route.credential === 'api-key' ? settings.finveraApiKey?.reveal() : undefined;
  return (req: Request, res: Response, session: Session | undefined, target: FetchTarget) =>
    async (validators: HeaderList): Promise<UpstreamAnswer> => {
      const context = contextOf(res);
      if (limits?.any()) refuseWhileLimited(limits, limitTagOf(route, session), context, metrics);
      const { bearer, query } = credentialFor(route, apiKey, session, target.query);
      // Counts towards what one connection may have under way, without ending with it: others may be waiting.
      const arrived = whenGone(req.socket, () => undefined);
      try {
        const fetched = await forwarder.fetch({
          path: context.path.raw + query,
          bearer,
          headersWith: (used) =>
            requestHeaders([...target.headers, ...validators], { ...context, host: sharedHost, bearer: used }),
          headersTimeoutMs: route.headersTimeout ?? settings.finveraHeadersTimeout,
          bodyTimeoutMs: route.bodyTimeout ?? settings.finveraBodyTimeout,
          ...(session?.tokens.refresh && route.credential === 'session'
            ? { onUnauthorized: () => refreshAfter401(parts, session, res) }
            : {}),
        });
        context.upstreamMs = fetched.upstreamMs;
        metrics.upstreamSeconds.observe(route.path, fetched.upstreamMs / 1_000);
        if (fetched.status === 429 && limits)
          learnLimit(limits, limitTagOf(route, session), fetched.headers, clock.now(), metrics);
        const passed = responseHeaders(fetched.headers, {
          upstream,
          status: fetched.status,
          isAuthorized: fetched.bearer !== undefined || apiKey !== undefined,
          ...(apiKey === undefined ? {} : { apiKey }),
        });
        const secrets = [fetched.bearer, apiKey].filter((each) => each !== undefined && each !== '');
        return {
          status: fetched.status,
          headers: fetched.headers,
          passed,
          shown: toShown(fetched, passed, rules),
          holdsCredential: (body) => secrets.some((secret) => body.includes(secret as string)),
          read: fetched.read,
          pause: fetched.pause,
          resume: fetched.resume,
          cancel: fetched.cancel,
        };
      } finally {
        arrived();
      }
    };
}

/** Of one request or one user alone, or made anew each time. */
const isOfOneAlone = (name: string): boolean =>
  ['age', 'cache-control', 'cache-status', 'retry-after', 'x-request-id'].includes(name) ||
  name.startsWith('ratelimit') ||
  name.startsWith('x-ratelimit') ||
  name.startsWith('x-rate-limit');

function toShown({ status, headers }: FetchedAnswer, passed: HeaderList, rules: RouteCacheSettings): HeaderList {
  const shown = withoutFields(passed, isOfOneAlone);
  const said = fieldOf(headers, 'cache-control');
  // A 304 that says nothing of it changes nothing of it.
  if (status === 304 && said === undefined) return shown;
  return [...shown, 'Cache-Control', browserControl(said, rules)];
}

/**
 * What the browser and the proxies before it may do with it. What a session opened is for nobody else, and for this
 * browser only as long as the session says yes: it may keep it and must ask each time, where Finvera lets it be kept.
 */
function browserControl(said: string | undefined, { scope }: RouteCacheSettings): string {
  if (said === undefined) return 'no-store';
  if (scope === 'public') return said;
  return parseCacheControl(said).directives.has('no-transform')
    ? 'private, no-cache, no-transform'
    : 'private, no-cache';
}
