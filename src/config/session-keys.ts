/** How the secrets that are keys are written and read, and how a key for one run is made. It seals nothing. */
import { randomBytes } from 'node:crypto';
import { Secret } from '../kernel/secret.ts';
import type { SessionKey } from './settings.ts';
import { list, refuse, textKind, type ValueKind } from './values.ts';
import { splitList } from './written.ts';

const KEY_BYTES = 32;

const sessionKey: ValueKind<SessionKey> = textKind(
  'kid:key, a kid of 1 to 32 characters of A-Z a-z 0-9 _ - and a key that is base64url of exactly 32 bytes',
  (text) => {
    const match = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]{43})$/.exec(text);
    const [, kid, key] = match ?? [];
    // The last character holds two bits that count for nothing: only the canonical spelling, so that equal keys are equal texts.
    if (!kid || !key || Buffer.from(key, 'base64url').toString('base64url') !== key) return undefined;
    return { kid, key: new Secret(key) };
  },
  ({ kid }) => `${kid}:[redacted]`,
);

const keyList = list(sessionKey, 'kid:base64url(32 bytes), comma-separated, newest first');

/** At least one key; names and keys all different, because a name says which key opens a seal. */
export const sessionKeys: ValueKind<readonly SessionKey[]> = {
  ...keyList,
  schema: keyList.schema.transform((keys, context) => {
    if (keys.length === 0) return refuse(context, 'must hold at least one key');
    if (new Set(keys.map(({ kid }) => kid)).size < keys.length) return refuse(context, 'names one kid twice');
    if (new Set(keys.map(({ key }) => key.reveal())).size < keys.length) return refuse(context, 'holds one key twice');
    return keys;
  }),
};

export type ReadKeys =
  | { readonly kind: 'keys'; readonly keys: readonly SessionKey[] }
  /** What the text must be; repeats nothing of it. */
  | { readonly kind: 'invalid'; readonly problem: string };

/** Reads what a file of keys holds, as `SESSION_KEYS_FILE` is read at start. */
export function readSessionKeys(text: string): ReadKeys {
  const parsed = sessionKeys.schema.safeParse(splitList(text));
  if (parsed.success) return { kind: 'keys', keys: parsed.data };
  return { kind: 'invalid', problem: parsed.error.issues.map(({ message }) => message).join('; ') };
}

/** Visible ASCII only: a line break in it would be one in a request header. */
export const apiKey: ValueKind<Secret> = textKind(
  'a key of 1 to 1024 visible ASCII characters without blanks',
  (text) => (/^[\x21-\x7e]{1,1024}$/.test(text) ? new Secret(text) : undefined),
  () => '[redacted]',
);

/** A key that dies with the process, for a start without `SESSION_KEYS`. */
export function randomSessionKey(): SessionKey {
  return { kid: 'random', key: new Secret(randomBytes(KEY_BYTES).toString('base64url')) };
}
