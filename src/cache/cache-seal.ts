/**
 * Seals kept answers for Redis (AES-256-GCM) under keys made of the server's: who reads Redis learns nothing, and who
 * writes to it can show nobody anything. Not a seal of tokens: none is ever in it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import type { SessionKey } from '../config/settings.ts';

export interface CacheSeal {
  /** What an entry is called in Redis: nothing of its key can be read from it or guessed. */
  nameOf(key: string): string;
  /** @param name what it will be found under: moved to another name it does not open. */
  seal(name: string, plain: Buffer): Buffer;
  /** Undefined for whatever was not sealed by one of the server's keys, under this name. */
  open(name: string, sealed: Buffer): Buffer | undefined;
  /** Other keys from now on, newest first. */
  replaceKeys(keys: readonly SessionKey[]): void;
}

const LABEL = 'finvera-gateway/shared-answers/v1\0';
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

interface KeyRing {
  readonly newest: string;
  /** As key objects: of plain bytes Node finds out with two exceptions, at each use, that they are none. */
  readonly byKid: ReadonlyMap<string, KeyObject>;
}

export function createCacheSeal(keys: readonly SessionKey[]): CacheSeal {
  let ring = toRing(keys);
  return {
    nameOf: (key) => derive(ring.byKid.get(ring.newest) as KeyObject, 'name\0', key).toString('base64url'),
    seal(name, plain) {
      const { newest, byKid } = ring;
      const kid = Buffer.from(newest);
      const head = Buffer.concat([Buffer.from([VERSION, kid.length]), kid]);
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', entryKey(byKid.get(newest) as KeyObject, name), nonce);
      cipher.setAAD(head);
      const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([head, nonce, cipher.getAuthTag(), sealed]);
    },
    open(name, sealed) {
      const kidLength = sealed[1] ?? 0;
      const headLength = 2 + kidLength;
      const bodyAt = headLength + NONCE_BYTES + TAG_BYTES;
      if (sealed[0] !== VERSION || sealed.length < bodyAt) return undefined;
      const key = ring.byKid.get(sealed.toString('utf8', 2, headLength));
      if (!key) return undefined;
      try {
        const nonce = sealed.subarray(headLength, headLength + NONCE_BYTES);
        const decipher = createDecipheriv('aes-256-gcm', entryKey(key, name), nonce, { authTagLength: TAG_BYTES });
        decipher.setAAD(sealed.subarray(0, headLength));
        decipher.setAuthTag(sealed.subarray(headLength + NONCE_BYTES, bodyAt));
        return Buffer.concat([decipher.update(sealed.subarray(bodyAt)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
    replaceKeys(changed) {
      ring = toRing(changed);
    },
  };
}

function toRing(keys: readonly SessionKey[]): KeyRing {
  const [first] = keys;
  if (!first) throw new Error('a cache seal needs at least one key');
  const own = (key: SessionKey['key']) =>
    createSecretKey(derive(createSecretKey(key.reveal(), 'base64url'), LABEL, ''));
  const byKid = keys.map(({ kid, key }) => [kid, own(key)] as const);
  return { newest: first.kid, byKid: new Map(byKid) };
}

/** A key for each name: no nonce can ever meet another one's under the same key by chance (NIST SP 800-38D §8.3). */
const entryKey = (key: KeyObject, name: string): KeyObject => createSecretKey(derive(key, 'entry\0', name));

function derive(key: KeyObject, label: string, text: string): Buffer {
  return createHmac('sha256', key).update(label).update(text).digest();
}
