/** Turns checked values into the settings the gateway's parts see: decides what is `auto` or derived. It checks nothing. */
import type { Values } from './schema.ts';
import { randomSessionKey } from './session-keys.ts';
import type { AttemptLimit, CacheSettings, RouteSettings, Settings, StreamSettings } from './settings.ts';

type Present<T> = { [Name in keyof T]: Exclude<T[Name], undefined> };

/** What decides beside the values. */
export interface Circumstances {
  readonly routes: readonly RouteSettings[];
  readonly streams: StreamSettings;
  readonly cache: CacheSettings;
  readonly production: boolean;
  /** Where the session keys are from a file: its path. */
  readonly sessionKeysFile: string | undefined;
}

export function assembleSettings(
  values: Values,
  { routes, streams, cache, production, sessionKeysFile }: Circumstances,
): Settings {
  const {
    finveraApiKey,
    redisUrl,
    cacheRedisUrl,
    publicUrl,
    frontend,
    loginLimitAccount,
    loginLimitAddress,
    ...plain
  } = values;
  return {
    ...plain,
    ...present({ finveraApiKey, redisUrl, cacheRedisUrl, publicUrl, frontend, sessionKeysFile }),
    ...present({ loginLimitAccount: limited(loginLimitAccount), loginLimitAddress: limited(loginLimitAddress) }),
    production,
    finveraStreamUrl: values.finveraStreamUrl ?? values.finveraUrl.replace(/^http/, 'ws'),
    sessionStore: values.sessionStore === 'auto' ? (redisUrl ? 'redis' : 'memory') : values.sessionStore,
    sessionKeys: values.sessionKeys ?? [randomSessionKey()],
    sessionKeysAreRandom: values.sessionKeys === undefined,
    routes,
    streams,
    cache,
  };
}

/** An absent setting has no property: `exactOptionalPropertyTypes`. */
function present<T extends object>(properties: T): Partial<Present<T>> {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as Partial<
    Present<T>
  >;
}

function limited(limit: AttemptLimit | 'off'): AttemptLimit | undefined {
  return limit === 'off' ? undefined : limit;
}
