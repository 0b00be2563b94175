/** The mapping under `streams:` in the YAML, key by key. What the keys mean together with other settings: `cross-checks.ts`. */
import * as z from 'zod';
import type { StreamSettings } from './settings.ts';
import { createSettingsMapping } from './settings-mapping.ts';
import { duration, integer, list, oneOf, refuse, size, textKind, type ValueKind } from './values.ts';

const fieldName = textKind('names of fields, such as symbol', (text) =>
  /^[A-Za-z_$][\w$-]{0,63}$/.test(text) ? text : undefined,
);

const tierNames = z
  .array(z.string().min(1), 'must be all, or a list of licensing_tier_id')
  .min(1, 'must be all, or name at least one licensing_tier_id');

/** `all`, or the names: an empty list would look like nobody and might mean everybody. */
const tiers: ValueKind<'all' | readonly string[]> = {
  schema: z.unknown().transform((written, context) => {
    if (written === 'all') return 'all' as const;
    const parsed = tierNames.safeParse(written);
    return parsed.success ? parsed.data : refuse(context, parsed.error.issues[0]?.message ?? '');
  }),
  form: 'all, or a list such as [enterprise]',
  isList: false,
  format: (value) => (value === 'all' ? value : [...value]),
};

export const STREAMS = createSettingsMapping<StreamSettings>('streams', '{mode: tunnel}', {
  mode: {
    kind: oneOf('tunnel', 'hub'),
    byDefault: 'tunnel',
    meaning:
      'tunnel: one upstream connection a browser; hub: one shared by all browsers of an instance, only with credential: api-key.',
  },
  credential: {
    kind: oneOf('session', 'api-key'),
    byDefault: 'session',
    meaning: "session: the user's own token as a bearer; api-key: FINVERA_API_KEY as ?apikey=.",
  },
  allowedTiers: {
    kind: tiers,
    byDefault: 'all',
    meaning: 'Whose users may stream, by licensing_tier_id; others get 403.',
  },
  maxMessageBytes: {
    kind: size('1b', '64mb'),
    byDefault: '1mb',
    meaning: 'Largest message, either way; a larger one closes with 1009.',
  },
  maxPerSession: {
    kind: integer(1, 10_000),
    byDefault: '20',
    meaning: 'Open streams of one session on one instance, and as many /bff/events; one more gets 429.',
  },
  maxBufferedBytes: {
    kind: size('1kb', '1gb'),
    byDefault: '4mb',
    meaning: 'What is kept for a reader that is too slow; more closes with 1013.',
  },
  stallTimeout: {
    kind: duration('100ms', '1h'),
    byDefault: '10s',
    meaning: 'A reader with something waiting that takes no byte for so long is closed with 1013.',
  },
  heartbeat: {
    kind: duration('100ms', '1h'),
    byDefault: '30s',
    meaning: 'How often browsers are pinged; one that stays silent until the next is gone.',
  },
  handshakeTimeout: {
    kind: duration('10ms', '5m'),
    byDefault: '10s',
    meaning: 'Time to connect to the upstream, its answer included.',
  },
  symbolFields: {
    kind: list(fieldName, 'names of fields, such as symbol'),
    byDefault: 'symbol, sym',
    meaning: 'hub: the fields of a message under which its symbol is looked for, in this order.',
  },
});
