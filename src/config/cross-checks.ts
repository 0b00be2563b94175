/** What settings mean together: production's refusals and impossible combinations. Each value by itself is already valid here. */
import { isLoopback, isSameSite } from './same-site.ts';
import { SETTINGS, type SettingName, type Values } from './schema.ts';
import type { CacheSettings, RouteSettings, StreamSettings } from './settings.ts';

export interface Findings {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export interface CheckInput {
  readonly values: Values;
  /** The valid ones. */
  readonly routes: readonly RouteSettings[];
  readonly streams: StreamSettings;
  readonly cache: CacheSettings;
  readonly production: boolean;
  /** Settings whose value is already refused: what depends on them is not judged. */
  readonly invalid: ReadonlySet<SettingName>;
}

type Finding = { readonly problem: string } | { readonly warning: string } | undefined;

interface Rule {
  readonly needs: readonly SettingName[];
  check(values: Values, input: CheckInput): Finding;
}

/** Judges every rule whose settings are valid, so that one bad value does not hide or invent another problem. */
export function crossCheck(input: CheckInput): Findings {
  const findings = RULES.filter(({ needs }) => !needs.some((name) => input.invalid.has(name))).map(({ check }) =>
    check(input.values, input),
  );
  return {
    problems: findings.flatMap((finding) => (finding && 'problem' in finding ? [finding.problem] : [])),
    warnings: findings.flatMap((finding) => (finding && 'warning' in finding ? [finding.warning] : [])),
  };
}

const problem = (name: SettingName, text: string): Finding => ({ problem: `${SETTINGS[name].variable} ${text}` });
const warning = (name: SettingName, text: string): Finding => ({ warning: `${SETTINGS[name].variable} ${text}` });

const RULES: readonly Rule[] = [
  { needs: ['port', 'host', 'managementPort', 'managementHost'], check: twoListenersOnOnePort },
  {
    needs: ['publicUrl'],
    check: ({ publicUrl }, { production }) =>
      production && publicUrl === undefined
        ? problem('publicUrl', 'is required in production: the origin under which browsers reach the gateway')
        : undefined,
  },
  { needs: ['publicUrl', 'cookieSecure'], check: secureCookieOverHttp },
  {
    needs: ['sessionKeys'],
    check: ({ sessionKeys }, { production }) => {
      if (sessionKeys !== undefined) return undefined;
      return production
        ? problem('sessionKeys', 'is required in production: kid:base64url(32 bytes), or SESSION_KEYS_FILE')
        : warning('sessionKeys', 'is not set: a random key is used, and every session ends with this process');
    },
  },
  { needs: ['sessionStore', 'redisUrl'], check: storeWithoutRedis },
  {
    needs: ['cookieSecure'],
    check: ({ cookieSecure }, { production }) =>
      production && !cookieSecure ? problem('cookieSecure', 'must be true in production') : undefined,
  },
  {
    needs: ['cookieSecure', 'cookieSamesite'],
    check: ({ cookieSecure, cookieSamesite }) =>
      cookieSamesite === 'None' && !cookieSecure
        ? problem('cookieSamesite', '= None needs COOKIE_SECURE=true: browsers drop such a cookie otherwise')
        : undefined,
  },
  { needs: ['allowedOrigins', 'publicUrl', 'cookieSamesite', 'port'], check: originsOfOtherSites },
  { needs: ['trustProxy'], check: everyProxyTrusted },
  { needs: ['finveraApiKey'], check: apiKeyMissing },
  { needs: ['finveraApiKey'], check: streamKeyMissing },
  { needs: [], check: hubWithoutKey },
  { needs: [], check: cacheTooSmall },
  { needs: ['redisUrl', 'cacheRedisUrl'], check: cacheRedisUnused },
  {
    needs: ['cacheRedisUrl'],
    check: ({ cacheRedisUrl }, { production }) =>
      production && cacheRedisUrl && !cacheRedisUrl.reveal().startsWith('rediss')
        ? warning('cacheRedisUrl', 'is not encrypted: its password travels in the clear (rediss:// encrypts)')
        : undefined,
  },
  {
    needs: ['finveraUrl'],
    check: ({ finveraUrl }, { production }) =>
      production && finveraUrl.startsWith('http:')
        ? warning('finveraUrl', 'is plain http: tokens and passwords travel unencrypted')
        : undefined,
  },
  {
    needs: ['finveraStreamUrl'],
    check: ({ finveraStreamUrl }, { production }) =>
      production && finveraStreamUrl?.startsWith('ws:')
        ? warning('finveraStreamUrl', 'is plain ws: tokens travel unencrypted')
        : undefined,
  },
  {
    needs: ['redisUrl', 'sessionStore'],
    check: ({ redisUrl, sessionStore }, { production }) =>
      production && sessionStore !== 'memory' && redisUrl && !redisUrl.reveal().startsWith('rediss')
        ? warning(
            'redisUrl',
            'is not encrypted: its password and the sealed sessions travel in the clear (rediss:// encrypts)',
          )
        : undefined,
  },
];

function twoListenersOnOnePort({ port, host, managementPort, managementHost }: Values): Finding {
  if (port === 0 || port !== managementPort) return undefined;
  const [one, other] = [host, managementHost].map((each) => (each === 'localhost' ? '127.0.0.1' : each));
  const isEverywhere = [one, other].some((each) => each === '0.0.0.0' || each === '::');
  return one === other || isEverywhere
    ? problem('managementPort', 'must not be that of PORT on the same host: choose another, or 0 for none')
    : undefined;
}

function secureCookieOverHttp({ publicUrl, cookieSecure }: Values, { production }: CheckInput): Finding {
  if (!publicUrl?.startsWith('http:') || !cookieSecure) return undefined;
  if (isLoopback(publicUrl)) {
    return production
      ? warning('publicUrl', 'is plain http on this machine: not every browser keeps a Secure cookie there')
      : undefined;
  }
  return production
    ? problem('publicUrl', 'must be https in production: browsers drop a Secure cookie over http')
    : warning('publicUrl', 'is plain http: browsers drop the Secure cookie; use https, or COOKIE_SECURE=false');
}

function storeWithoutRedis({ sessionStore, redisUrl }: Values, { production }: CheckInput): Finding {
  if (sessionStore === 'redis' && redisUrl === undefined) {
    return problem('sessionStore', '= redis needs REDIS_URL (or REDIS_URL_FILE)');
  }
  if (sessionStore === 'auto' && redisUrl === undefined && production) {
    return problem('redisUrl', 'is required in production; for one instance without Redis name SESSION_STORE=memory');
  }
  if (sessionStore !== 'memory') return undefined;
  if (redisUrl !== undefined) return warning('sessionStore', '= memory leaves REDIS_URL unused');
  return production
    ? warning('sessionStore', '= memory is for one instance only, and every session ends with its process')
    : undefined;
}

/** A page of another site sends the cookie only where it is SameSite=None: anything else would look like a lost session. */
function originsOfOtherSites(values: Values, { production }: CheckInput): Finding {
  const { allowedOrigins, cookieSamesite, publicUrl, port } = values;
  if (cookieSamesite === 'None' || (production && publicUrl === undefined)) return undefined;
  const own = publicUrl ?? `http://localhost:${port}`;
  const others = allowedOrigins.filter((each) => !isSameSite(each, own));
  if (others.length === 0) return undefined;
  return problem(
    'allowedOrigins',
    `holds ${others.join(', ')}, on another site than ${publicUrl === undefined ? `${own} (PUBLIC_URL is not set)` : 'PUBLIC_URL'}: that needs COOKIE_SAMESITE=None`,
  );
}

function everyProxyTrusted({ trustProxy }: Values): Finding {
  return trustProxy.some((each) => each.endsWith('/0'))
    ? warning('trustProxy', 'trusts every address: any client can claim any address with X-Forwarded-For')
    : undefined;
}

function apiKeyMissing({ finveraApiKey }: Values, { routes }: CheckInput): Finding {
  const route = routes.find(({ credential }) => credential === 'api-key');
  return route && finveraApiKey === undefined
    ? problem('finveraApiKey', `is required by the route ${route.path} (credential: api-key), or FINVERA_API_KEY_FILE`)
    : undefined;
}

function streamKeyMissing({ finveraApiKey }: Values, { streams }: CheckInput): Finding {
  return streams.credential === 'api-key' && finveraApiKey === undefined
    ? problem('finveraApiKey', 'is required by streams (credential: api-key), or FINVERA_API_KEY_FILE')
    : undefined;
}

/** What one user's token is shown must not reach another's browser. */
function hubWithoutKey(_values: Values, { streams }: CheckInput): Finding {
  return streams.mode === 'hub' && streams.credential !== 'api-key'
    ? { problem: 'streams.mode: hub needs streams.credential: api-key: one connection serves all users' }
    : undefined;
}

/** The budget in Redis is kept in sixteen parts: each must hold at least one answer of the largest size. */
const REDIS_PARTS = 16;

function cacheTooSmall(_values: Values, { cache }: CheckInput): Finding {
  if (cache.maxEntryBytes > cache.maxBytes)
    return { problem: 'cache.maxEntryBytes must be at most cache.maxBytes: nothing of that size could be kept' };
  return cache.redisMaxBytes < cache.maxEntryBytes * REDIS_PARTS
    ? { problem: `cache.redisMaxBytes must be at least ${REDIS_PARTS} × cache.maxEntryBytes` }
    : undefined;
}

function cacheRedisUnused({ cacheRedisUrl }: Values, { cache, routes }: CheckInput): Finding {
  if (cacheRedisUrl === undefined) return undefined;
  if (cache.redis === 'off') return warning('cacheRedisUrl', 'is unused: cache.redis is off');
  return routes.some((route) => route.cache) ? undefined : warning('cacheRedisUrl', 'is unused: no route has a cache');
}
