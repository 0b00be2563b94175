/** Every setting, once: name, variable, kind, bounds, default, sentence. How they are found is `load.ts`; what they mean together `cross-checks.ts`. */
import { baseUrl, frontend, listenHost, origin, proxyAddress, redisUrl } from './addresses.ts';
import { apiKey, sessionKeys } from './session-keys.ts';
import { LOG_LEVELS } from './settings.ts';
import {
  attemptLimit,
  auditLog,
  boolean,
  duration,
  integer,
  list,
  oneOf,
  share,
  size,
  type ValueKind,
} from './values.ts';

export interface SettingDefinition<T = unknown> {
  readonly group: string;
  /** The environment variable; its name in lower camel case is the setting's name, in the YAML and in `Settings`. */
  readonly variable: string;
  readonly kind: ValueKind<T>;
  /** As it would be written in a variable. Absent: the setting has no default. */
  readonly byDefault?: string;
  /** What stands commented out in `config/gateway.yaml` where there is no default. */
  readonly example?: string;
  /** May come from the file that `<variable>_FILE` names; never printed; not in a YAML file, unless… */
  readonly secret?: 'never in YAML' | 'in YAML without user info';
  /** One or two sentences, for `docs/configuration.md` and `config/gateway.yaml`. */
  readonly meaning: string;
}

const port = integer(0, 65_535);
const upstreamTimeout = duration('1ms', '1h');
const shutdownTime = duration('0s', '1h');

export const SETTINGS = {
  port: {
    group: 'Listeners',
    variable: 'PORT',
    kind: port,
    byDefault: '3000',
    meaning: 'Port of the public listener; 0 takes any free port, which the ready log line names.',
  },
  host: {
    group: 'Listeners',
    variable: 'HOST',
    kind: listenHost,
    byDefault: '0.0.0.0',
    meaning: 'Address of the public listener.',
  },
  managementPort: {
    group: 'Listeners',
    variable: 'MANAGEMENT_PORT',
    kind: port,
    byDefault: '9090',
    meaning: 'Port of the management listener, with /metrics, /health and /log; 0 turns it off.',
  },
  managementHost: {
    group: 'Listeners',
    variable: 'MANAGEMENT_HOST',
    kind: listenHost,
    byDefault: '127.0.0.1',
    meaning: 'Address of the management listener.',
  },
  finveraUrl: {
    group: 'Finvera',
    variable: 'FINVERA_URL',
    kind: baseUrl(['https', 'http'], 'https://api.finvera.news'),
    byDefault: 'https://api.finvera.news',
    meaning: 'Base address of the Finvera API. Plain http is accepted, in production with a warning.',
  },
  finveraStreamUrl: {
    group: 'Finvera',
    variable: 'FINVERA_STREAM_URL',
    kind: baseUrl(['wss', 'ws'], 'wss://api.finvera.news'),
    example: 'wss://api.finvera.news',
    meaning: 'Where /stream leads. Unset: FINVERA_URL, with ws for http and wss for https.',
  },
  finveraApiKey: {
    group: 'Finvera',
    variable: 'FINVERA_API_KEY',
    kind: apiKey,
    secret: 'never in YAML',
    meaning: 'The server-held key, for routes and streams with credential: api-key.',
  },
  redisUrl: {
    group: 'Session store',
    variable: 'REDIS_URL',
    kind: redisUrl,
    secret: 'in YAML without user info',
    example: 'redis://127.0.0.1:6379',
    meaning: 'Where Redis is, with user and password. Unencrypted schemes are accepted, in production with a warning.',
  },
  cacheRedisUrl: {
    group: 'Session store',
    variable: 'CACHE_REDIS_URL',
    kind: redisUrl,
    secret: 'in YAML without user info',
    example: 'redis://127.0.0.1:6380',
    meaning: 'A Redis of its own for shared answers (cache), so that they cannot push sessions out. Unset: REDIS_URL.',
  },
  sessionStore: {
    group: 'Session store',
    variable: 'SESSION_STORE',
    kind: oneOf('auto', 'redis', 'memory'),
    byDefault: 'auto',
    meaning:
      'Where sessions are kept: auto is redis where REDIS_URL is set, else memory. Production refuses memory unless it is named here.',
  },
  sessionKeys: {
    group: 'Sessions',
    variable: 'SESSION_KEYS',
    kind: sessionKeys,
    secret: 'never in YAML',
    meaning:
      'The keys that seal sessions, newest first: the first seals, all open. Unset: a random key and a warning; refused in production.',
  },
  sessionIdleTimeout: {
    group: 'Sessions',
    variable: 'SESSION_IDLE_TIMEOUT',
    kind: duration('1s', '400d'),
    byDefault: '12h',
    meaning: 'A session ends after this long without activity; at most SESSION_ABSOLUTE_TIMEOUT.',
  },
  sessionAbsoluteTimeout: {
    group: 'Sessions',
    variable: 'SESSION_ABSOLUTE_TIMEOUT',
    kind: duration('1s', '400d'),
    byDefault: '30d',
    meaning: "A session ends this long after its login, and never later than the refresh token's end.",
  },
  sessionMaxPerUser: {
    group: 'Sessions',
    variable: 'SESSION_MAX_PER_USER',
    kind: integer(1, 10_000),
    byDefault: '20',
    meaning: 'Sessions of one user; the oldest ends when one more begins.',
  },
  refreshAhead: {
    group: 'Sessions',
    variable: 'REFRESH_AHEAD',
    kind: duration('0s', '1d'),
    byDefault: '60s',
    meaning: 'The access token is renewed in the background when it has less than this left; at most half of its life.',
  },
  cookieSecure: {
    group: 'Browser',
    variable: 'COOKIE_SECURE',
    kind: boolean,
    byDefault: 'true',
    meaning: 'Whether the cookie is Secure, under the __Host- prefix. False is for plain http outside production.',
  },
  cookieSamesite: {
    group: 'Browser',
    variable: 'COOKIE_SAMESITE',
    kind: oneOf('Strict', 'Lax', 'None'),
    byDefault: 'Strict',
    meaning:
      "The cookie's SameSite attribute. ALLOWED_ORIGINS on another site than PUBLIC_URL need None, and None needs COOKIE_SECURE.",
  },
  publicUrl: {
    group: 'Browser',
    variable: 'PUBLIC_URL',
    kind: origin,
    example: 'https://app.example.com',
    meaning:
      'The origin under which browsers reach the gateway; same-origin checks compare with it. Required in production.',
  },
  allowedOrigins: {
    group: 'Browser',
    variable: 'ALLOWED_ORIGINS',
    kind: list(origin, 'exact origins such as https://app.example.com'),
    byDefault: '',
    meaning: 'Further exact origins that may call with credentials.',
  },
  trustProxy: {
    group: 'Browser',
    variable: 'TRUST_PROXY',
    kind: list(proxyAddress, 'addresses or CIDRs such as 10.0.0.0/8, 192.0.2.7 or fd00::/8'),
    byDefault: '',
    meaning: 'Proxies whose X-Forwarded-* are believed; from all others they are dropped.',
  },
  frontend: {
    group: 'Browser',
    variable: 'FRONTEND',
    kind: frontend,
    example: './public',
    meaning:
      "A folder to serve, or an http:// address to proxy, for every path that is not the gateway's. A relative folder is one of the working directory.",
  },
  loginLimitAccount: {
    group: 'Logins',
    variable: 'LOGIN_LIMIT_ACCOUNT',
    kind: attemptLimit,
    byDefault: '10/15m',
    meaning: 'Failed or pending logins per account; one address can spend at most half of them.',
  },
  loginLimitAddress: {
    group: 'Logins',
    variable: 'LOGIN_LIMIT_ADDRESS',
    kind: attemptLimit,
    byDefault: '100/15m',
    meaning: 'Failed or pending logins per client address (IPv6: per /64).',
  },
  finveraConnectTimeout: {
    group: 'Times and sizes',
    variable: 'FINVERA_CONNECT_TIMEOUT',
    kind: upstreamTimeout,
    byDefault: '2s',
    meaning: 'Time to connect to Finvera.',
  },
  finveraHeadersTimeout: {
    group: 'Times and sizes',
    variable: 'FINVERA_HEADERS_TIMEOUT',
    kind: upstreamTimeout,
    byDefault: '30s',
    meaning: "Time until the headers of a forwarded answer; a route's headersTimeout wins.",
  },
  finveraBodyTimeout: {
    group: 'Times and sizes',
    variable: 'FINVERA_BODY_TIMEOUT',
    kind: upstreamTimeout,
    byDefault: '60s',
    meaning: "Idle time inside the body of a forwarded answer; a route's bodyTimeout wins.",
  },
  finveraAuthTimeout: {
    group: 'Times and sizes',
    variable: 'FINVERA_AUTH_TIMEOUT',
    kind: upstreamTimeout,
    byDefault: '5s',
    meaning: 'Time for one whole login, refresh or validate exchange with Finvera.',
  },
  maxBodyBytes: {
    group: 'Times and sizes',
    variable: 'MAX_BODY_BYTES',
    kind: size('1b', '1gb'),
    byDefault: '10mb',
    meaning: "Largest forwarded request body; a route's maxBodyBytes wins.",
  },
  shutdownDelay: {
    group: 'Process',
    variable: 'SHUTDOWN_DELAY',
    kind: shutdownTime,
    byDefault: '2s',
    meaning: 'After SIGTERM both listeners stay open that long, already not ready.',
  },
  shutdownTimeout: {
    group: 'Process',
    variable: 'SHUTDOWN_TIMEOUT',
    kind: shutdownTime,
    byDefault: '30s',
    meaning: 'Then work in flight has this long to end.',
  },
  logLevel: {
    group: 'Process',
    variable: 'LOG_LEVEL',
    kind: oneOf(...LOG_LEVELS),
    byDefault: 'info',
    meaning: 'The least severe log lines that are written. Can be changed while the gateway runs, as LOG_SAMPLING can.',
  },
  logSampling: {
    group: 'Process',
    variable: 'LOG_SAMPLING',
    kind: share,
    byDefault: '1',
    meaning:
      'Which share of the lines of successful requests (below 400) is written; those of others always are. Metrics count all.',
  },
  auditLog: {
    group: 'Process',
    variable: 'AUDIT_LOG',
    kind: auditLog,
    byDefault: '-',
    meaning:
      'Where the audit trail goes: - is standard output, in lines marked with log audit; a file is appended to. A relative file is one of the working directory.',
  },
} as const satisfies Record<string, SettingDefinition>;

export type SettingName = keyof typeof SETTINGS;

type Parsed<Definition> = Definition extends { kind: ValueKind<infer T> } ? T : never;

/** The values as written, each by itself valid; undefined only where a setting without default is unset. */
export type Values = {
  readonly [Name in SettingName]: (typeof SETTINGS)[Name] extends { byDefault: string }
    ? Parsed<(typeof SETTINGS)[Name]>
    : Parsed<(typeof SETTINGS)[Name]> | undefined;
};

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** The same table for code that treats all settings alike. */
export function definitionOf(name: SettingName): SettingDefinition {
  return SETTINGS[name];
}

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}
