/** The mapping under `cache:` in the YAML, key by key: how shared answers are kept. Which routes ask for it: `route-schema.ts`. */
import type { CacheSettings } from './settings.ts';
import { createSettingsMapping } from './settings-mapping.ts';
import { duration, integer, list, oneOf, size, textKind } from './values.ts';

const name = textKind('names such as utm_source, or beginnings such as utm_*', (text) =>
  /^[\w.$~-]{1,64}\*?$/.test(text) ? text.toLowerCase() : undefined,
);

export const CACHE = createSettingsMapping<CacheSettings>('cache', '{maxBytes: 64mb}', {
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
});
