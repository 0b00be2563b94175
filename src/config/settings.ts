/** The settings as the parts of the gateway see them: checked, defaulted, with durations in milliseconds and sizes in bytes. */
import type { Secret } from '../kernel/secret.ts';

export type Credential = 'session' | 'api-key' | 'none';

/** Who may see one another's answers: all of one licensing tier, only the same user, everybody. */
export type CacheScope = 'tier' | 'user' | 'public';

/** Shared answers of one route (contract §7). Times in milliseconds. */
export interface RouteCacheSettings {
  readonly ttl: number;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  readonly scope: CacheScope;
}

/** How shared answers are kept, for all routes that ask for it; `docs/configuration.md` describes each. */
export interface CacheSettings {
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly maxEntryBytes: number;
  readonly redis: 'auto' | 'off';
  readonly redisMaxBytes: number;
  readonly compressFrom: number;
  readonly reloadAfter: number;
  /** Lower case; a trailing `*` stands for any end. */
  readonly ignoredQuery: readonly string[];
  readonly ignoredHeaders: readonly string[];
}

/** One forwarded path prefix (contract §2). Absent values mean the gateway-wide setting. */
export interface RouteSettings {
  /** Prefix on whole segments, starting with `/`, without a trailing slash unless it is `/` itself. */
  readonly path: string;
  /** Upper-case HTTP methods. */
  readonly methods: readonly string[];
  readonly credential: Credential;
  /** How the server's key travels, for `credential: api-key`. */
  readonly apiKeyIn: 'bearer' | 'query';
  readonly headersTimeout?: number;
  readonly bodyTimeout?: number;
  readonly maxBodyBytes?: number;
  /** Absent: every request goes to Finvera. */
  readonly cache?: RouteCacheSettings;
}

/** How `/stream` works (contract §6); `stream-schema.ts` describes each. Times in milliseconds, sizes in bytes. */
export interface StreamSettings {
  readonly mode: 'tunnel' | 'hub';
  readonly credential: 'session' | 'api-key';
  /** Values of `licensing_tier_id`. */
  readonly allowedTiers: 'all' | readonly string[];
  readonly maxMessageBytes: number;
  readonly maxPerSession: number;
  readonly maxBufferedBytes: number;
  readonly stallTimeout: number;
  readonly heartbeat: number;
  readonly handshakeTimeout: number;
  readonly symbolFields: readonly string[];
}

/** A key that seals sessions: 32 random bytes under a name that travels with what it sealed. */
export interface SessionKey {
  readonly kid: string;
  /** base64url of 32 bytes. */
  readonly key: Secret;
}

/** `points` attempts in each `windowMs`. */
export interface AttemptLimit {
  readonly points: number;
  readonly windowMs: number;
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Each name is the environment variable's in lower camel case; `docs/configuration.md` describes them. */
export interface Settings {
  /** NODE_ENV=production. */
  readonly production: boolean;
  readonly port: number;
  readonly host: string;
  /** 0: no management listener. */
  readonly managementPort: number;
  readonly managementHost: string;
  /** Origin and optional base path, no trailing slash, no query, no userinfo. */
  readonly finveraUrl: string;
  readonly finveraStreamUrl: string;
  readonly finveraApiKey?: Secret;
  readonly redisUrl?: Secret;
  /** A Redis of its own for shared answers. */
  readonly cacheRedisUrl?: Secret;
  /** `auto` is already decided here. */
  readonly sessionStore: 'redis' | 'memory';
  /** Newest first; the first seals, all open. Never empty: without the setting it holds one random key. */
  readonly sessionKeys: readonly SessionKey[];
  /** The absolute path they are from, where that is SESSION_KEYS_FILE: a change there is picked up. */
  readonly sessionKeysFile?: string;
  /** True where `sessionKeys` was made up at start, so that sessions die with the process. */
  readonly sessionKeysAreRandom: boolean;
  readonly sessionIdleTimeout: number;
  readonly sessionAbsoluteTimeout: number;
  readonly sessionMaxPerUser: number;
  readonly refreshAhead: number;
  readonly cookieSecure: boolean;
  readonly cookieSamesite: 'Strict' | 'Lax' | 'None';
  /** An origin: scheme, host, port where it is not the scheme's own. */
  readonly publicUrl?: string;
  readonly allowedOrigins: readonly string[];
  /** CIDRs or addresses. */
  readonly trustProxy: readonly string[];
  /** A folder, or an `http://` address. */
  readonly frontend?:
    | { readonly kind: 'folder'; readonly path: string }
    | { readonly kind: 'proxy'; readonly url: string };
  /** Undefined: off. */
  readonly loginLimitAccount?: AttemptLimit;
  readonly loginLimitAddress?: AttemptLimit;
  readonly logLevel: LogLevel;
  /** From 0 to 1. */
  readonly logSampling: number;
  /** `-`: standard output, `off`, or the path of a file. */
  readonly auditLog: string;
  readonly finveraConnectTimeout: number;
  readonly finveraHeadersTimeout: number;
  readonly finveraBodyTimeout: number;
  readonly finveraAuthTimeout: number;
  readonly maxBodyBytes: number;
  readonly shutdownDelay: number;
  readonly shutdownTimeout: number;
  readonly routes: readonly RouteSettings[];
  readonly streams: StreamSettings;
  readonly cache: CacheSettings;
}
