/** The mapping under `cache:` in the YAML, key by key: how shared answers are kept. Which routes ask for it: `route-schema.ts`. */
import { suggestion } from './near-miss.ts';
import type { CacheSettings } from './settings.ts';
import { duration, integer, list, oneOf, size, textKind, type ValueKind } from './values.ts';
import { splitList } from './written.ts';

interface CacheSetting<T = unknown> {
  readonly kind: ValueKind<T>;
  /** As it would be written in the YAML, a list without its brackets. */
  readonly byDefault: string;
  readonly meaning: string;
}

const name = textKind('names such as utm_source, or beginnings such as utm_*', (text) =>
  /^[\w.$~-]{1,64}\*?$/.test(text) ? text.toLowerCase() : undefined,
);

export const CACHE_SETTINGS = {
  maxEntries: {
    kind: integer(1, 1_000_000),
    byDefault: '10000',
    meaning: 'Answers kept in the process; the one that was used least recently goes.',
  },
  maxBytes: {
    kind: size('1kb', '4gb'),
    byDefault: '64mb',
    meaning: 'Bytes they may take in the process.',
  },
  maxEntryBytes: {
    kind: size('1b', '16mb'),
    byDefault: '1mb',
    meaning: 'Largest body that is kept; a larger answer passes and is not shared.',
  },
  redis: {
    kind: oneOf('auto', 'off'),
    byDefault: 'auto',
    meaning: 'auto: also in Redis, where there is one (CACHE_REDIS_URL, else REDIS_URL); off: in the process only.',
  },
  redisMaxBytes: {
    kind: size('1mb', '1024gb'),
    byDefault: '256mb',
    meaning:
      'Bytes they may take in Redis, all instances together; what ends soonest goes. At least 16 × maxEntryBytes.',
  },
  compressFrom: {
    kind: size('1b', '16mb'),
    byDefault: '2kb',
    meaning: 'Bodies at least this large that are not compressed already are compressed in Redis.',
  },
  reloadAfter: {
    kind: duration('0s', '1h'),
    byDefault: '5s',
    meaning: 'A browser that asks for a fresh answer (reload, no-cache) gets a stored one that is younger than this.',
  },
  ignoredQuery: {
    kind: list(name, 'names such as utm_source, or beginnings such as utm_*'),
    byDefault: 'apikey, utm_*, gclid, fbclid, msclkid, dclid, mc_cid, mc_eid, _ga, _gl',
    meaning: 'Query parameters that are neither sent to Finvera nor told apart.',
  },
  ignoredHeaders: {
    kind: list(name, 'names such as dnt, or beginnings such as sec-*'),
    byDefault: 'user-agent, referer, origin, sec-*, dnt, priority, save-data, content-type, upgrade-insecure-requests',
    meaning:
      'Request headers that are neither sent to Finvera nor told apart; of all others each value has its own answer.',
  },
} as const satisfies Record<keyof CacheSettings, CacheSetting>;

export type CacheSettingName = keyof typeof CACHE_SETTINGS;

export const CACHE_SETTING_NAMES = Object.keys(CACHE_SETTINGS) as readonly CacheSettingName[];

/** The same table for code that treats all alike. */
export function cacheSetting(key: CacheSettingName): CacheSetting {
  return CACHE_SETTINGS[key];
}

export interface ParsedCache {
  /** Complete, with defaults for what is not written or not valid. */
  readonly cache: CacheSettings;
  readonly problems: readonly string[];
}

/** @param written what the files hold under `cache:`, each merged key by key over those before. */
export function parseCache(written: readonly unknown[]): ParsedCache {
  const values = new Map<string, unknown>(CACHE_SETTING_NAMES.map((key) => [key, defaultOf(key)]));
  const problems: string[] = [];
  for (const mapping of written) {
    if (typeof mapping !== 'object' || mapping === null || Array.isArray(mapping)) {
      problems.push('cache must be a mapping such as {maxBytes: 64mb}');
      continue;
    }
    for (const [key, value] of Object.entries(mapping)) {
      const read = readKey(key, value);
      if ('problem' in read) problems.push(read.problem);
      else values.set(key, read.value);
    }
  }
  return { cache: Object.fromEntries(values) as unknown as CacheSettings, problems };
}

function readKey(key: string, value: unknown): { readonly value: unknown } | { readonly problem: string } {
  if (!Object.hasOwn(CACHE_SETTINGS, key)) {
    const known = ` There are ${CACHE_SETTING_NAMES.join(', ')}.`;
    return { problem: `cache has an unknown key ${key}.${suggestion(key, CACHE_SETTING_NAMES, known)}` };
  }
  if (value === null) return { problem: `cache.${key} has no value: give it one or remove it` };
  const parsed = cacheSetting(key as CacheSettingName).kind.schema.safeParse(asText(value));
  if (parsed.success) return { value: parsed.data };
  return { problem: `cache.${key} ${parsed.error.issues[0]?.message ?? 'is not valid'}` };
}

function defaultOf(key: CacheSettingName): unknown {
  const { kind, byDefault } = cacheSetting(key);
  return kind.schema.parse(kind.isList ? splitList(byDefault) : byDefault);
}

/** YAML reads `20` as a number: numbers are read as the text they are. */
const asText = (value: unknown): unknown => (typeof value === 'number' ? String(value) : value);
