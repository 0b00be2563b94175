/** Asks Finvera for an answer that may be kept: with the asking user's own credential, and with nothing of the request that is not in the key. */
import type { Response } from 'express';
import { parseCacheControl } from '../cache/cache-control.ts';
import { fieldOf, type HeaderList, withoutFields } from '../cache/header-list.ts';
import type { UpstreamAnswer } from '../cache/upstream-answer.ts';
import type { RouteCacheSettings, RouteSettings } from '../config/settings.ts';
import { requestHeaders, responseHeaders } from '../forwarding/header-policy.ts';
import type { FetchedAnswer } from '../forwarding/upstream-fetch.ts';
import { contextOf } from '../guards/request-context.ts';
import type { UserShare } from '../guards/user-share.ts';
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
  return (res: Response, session: Session | undefined, target: FetchTarget) =>
    async (validators: HeaderList): Promise<UpstreamAnswer | undefined> => {
      const context = contextOf(res);
      if (limits?.any()) refuseWhileLimited(limits, limitTagOf(route, session), context, metrics);
      const leave = enterShare(parts.share, session);
      if (!leave) return undefined;
      const { bearer, query } = credentialFor(route, apiKey, session, target.query);
      try {
        const fetched = await forwarder.fetch({
          path: context.path.raw + query,
          bearer,
          headersWith: (used) =>
            requestHeaders([...target.headers, ...validators], { ...context, host: sharedHost, bearer: used }),
          headersTimeoutMs: route.headersTimeout ?? settings.finveraHeadersTimeout,
          bodyTimeoutMs: route.bodyTimeout ?? settings.finveraBodyTimeout,
          party: session?.userId ?? context.clientIp,
          onOver: leave,
          ...(session?.tokens.refresh && route.credential === 'session'
            ? { onUnauthorized: () => refreshAfter401(parts, session, res) }
            : {}),
        });
        context.upstreamMs = fetched.upstreamMs;
        metrics.upstreamSeconds.observe(route.path, fetched.upstreamMs / 1_000, context.trace?.traceId);
        if (fetched.status === 429 && limits)
          learnLimit(limits, limitTagOf(route, session), fetched.headers, clock.now(), metrics);
        const passed = responseHeaders(fetched.headers, {
          upstream,
          status: fetched.status,
          isAuthorized: fetched.bearer !== undefined || apiKey !== undefined,
          ...(apiKey === undefined ? {} : { apiKey }),
        });
        const secrets = [fetched.bearer, apiKey].filter((each): each is string => each !== undefined && each !== '');
        return {
          status: fetched.status,
          headers: fetched.headers,
          passed,
          shown: toShown(fetched, passed, rules),
          own: withoutFields(passed, (name) => !isOfALimit(name)),
          holdsCredential: (body) =>
            secrets.some((secret) => body.includes(secret) || passed.some((part) => part.includes(secret))),
          read: fetched.read,
          pause: fetched.pause,
          resume: fetched.resume,
          cancel: fetched.cancel,
        };
      } catch (error) {
        leave();
        throw error;
      }
    };
}

/** A user's fetches count as forwarded requests do. @returns what gives the place back; undefined where there is none. */
function enterShare(share: UserShare, session: Session | undefined): (() => void) | undefined {
  if (!session) return () => undefined;
  const { userId } = session;
  if (!share.tryEnter(userId)) return undefined;
  let isInside = true;
  return () => {
    if (isInside) share.leave(userId);
    isInside = false;
  };
}

/** What is left of the limit of the one who asked. */
const isOfALimit = (name: string): boolean =>
  name.startsWith('ratelimit') || name.startsWith('x-ratelimit') || name.startsWith('x-rate-limit');

/** Of one request or one user alone, or made anew each time. */
const isOfOneAlone = (name: string): boolean =>
  ['age', 'cache-control', 'cache-status', 'retry-after', 'x-request-id'].includes(name) || isOfALimit(name);

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
