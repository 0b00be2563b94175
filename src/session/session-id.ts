/** The session's id (what the cookie carries) and its hash (what the store knows). Neither means anything by itself. */
import { hash, randomBytes } from 'node:crypto';

declare const idBrand: unique symbol;
declare const hashBrand: unique symbol;

/** 43 characters: base64url of 32 random bytes. A bearer credential: never logged, never stored. */
export type SessionId = string & { readonly [idBrand]: true };

/** base64url of the SHA-256 of the id: 43 characters, safe to store and to log. */
export type SessionHash = string & { readonly [hashBrand]: true };

/** 32 bytes are 42 characters of 6 bits and one of 4: the last one has its two low bits clear. */
const FORM = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;
const HASH_FORM = /^[A-Za-z0-9_-]{43}$/;

/** 256 bits of the operating system's randomness (ASVS 7.2.3). */
export function newSessionId(): SessionId {
  return randomBytes(32).toString('base64url') as SessionId;
}

/** True only for what `newSessionId` could have made: anything else is refused without a look-up. */
export function isSessionId(value: string): value is SessionId {
  return FORM.test(value);
}

export function hashSessionId(id: SessionId): SessionHash {
  return hash('sha256', id, 'base64url') as SessionHash;
}

/** The store hands hashes back as plain strings; what is not of their form is dropped by the caller. */
export function isSessionHash(value: string): value is SessionHash {
  return HASH_FORM.test(value);
}
