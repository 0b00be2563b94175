/**
 * Seals a session's tokens for the store: a JWE (`dir`, A256GCM; RFC 7516) under a key made of the server's key and the
 * cookie's value. Neither a dump of the store, nor the server's key, nor both open a seal without its cookie; a seal
 * moved to another session does not open (ADR-0002).
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { CompactEncrypt } from 'jose';
import * as z from 'zod';
import type { SessionKey } from '../config/settings.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import { decryptJwe, kidOf } from './sealed-jwe.ts';
import type { Identity, Tokens } from './session.ts';
import type { SessionId } from './session-id.ts';

export interface SealedContents {
  readonly user: Identity;
  readonly tokens: Tokens;
}

export type Unsealing =
  /** `current` is false where an older key opened it: it should be sealed anew. */
  | { readonly kind: 'opened'; readonly contents: SealedContents; readonly current: boolean }
  /** Its key is no longer among the server's, or the seal is not this session's, or it was altered. */
  | { readonly kind: 'unopenable' };

export interface TokenSeal {
  seal(id: SessionId, contents: SealedContents): Promise<string>;
  open(id: SessionId, sealed: string): Promise<Unsealing>;
  /** Other keys from now on, newest first. What is being sealed or opened meanwhile ends with the keys it began with. */
  replaceKeys(keys: readonly SessionKey[]): void;
}

const LABEL = 'finvera-gateway/session-seal/v1\0';

const sealedForm = z.object({
  u: z.object({ user_id: z.string(), email: z.string(), username: z.string(), licensing_tier_id: z.string() }),
  a: z.string(),
  r: z.string().optional(),
  ae: z.number(),
  al: z.number(),
  re: z.number().optional(),
  /** When it was sealed. */
  t: z.number().optional(),
});

/** The keys in force, in their order, since a moment. */
interface KeyRing {
  readonly newest: { readonly kid: string; readonly key: KeyObject };
  readonly byKid: ReadonlyMap<string, KeyObject>;
  readonly sinceMs: number;
}

/** @param keys newest first: the first seals, all open. */
export function createTokenSeal(keys: readonly SessionKey[], clock: Clock = systemClock): TokenSeal {
  let ring = toKeyRing(keys, clock.now());

  return {
    replaceKeys(changed) {
      ring = toKeyRing(changed, clock.now());
    },
    async seal(id, contents) {
      const { kid, key } = ring.newest;
      return await new CompactEncrypt(Buffer.from(JSON.stringify(toSealed(contents, clock.now()))))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid })
        .encrypt(sessionKey(key, id));
    },
    async open(id, sealed) {
      try {
        const { newest, byKid, sinceMs } = ring;
        const kid = kidOf(sealed) ?? '';
        const serverKey = byKid.get(kid);
        if (!serverKey) return { kind: 'unopenable' };
        const form = sealedForm.parse(JSON.parse(decryptJwe(sealed, sessionKey(serverKey, id))));
        // What another key sealed after this order of keys came into force was sealed by an instance that has another
        // order, perhaps a newer one: sealing it anew here would be undone there, again and again.
        const current = kid === newest.kid || (form.t ?? 0) > sinceMs;
        return { kind: 'opened', contents: fromSealed(form), current };
      } catch {
        // Whatever is wrong with it, it is not a session: the caller answers as for one that never was.
        return { kind: 'unopenable' };
      }
    },
  };
}

function toKeyRing(keys: readonly SessionKey[], sinceMs: number): KeyRing {
  const [first] = keys;
  if (!first) throw new Error('a token seal needs at least one key');
  const objectOf = ({ key }: SessionKey) => createSecretKey(key.reveal(), 'base64url');
  return {
    newest: { kid: first.kid, key: objectOf(first) },
    byKid: new Map(keys.map((each) => [each.kid, objectOf(each)])),
    sinceMs,
  };
}

/** One HMAC-SHA-256 over a label and the 256 random bits of the id, as NIST SP 800-108 derives keys from a key. */
function sessionKey(serverKey: KeyObject, id: SessionId): Uint8Array {
  return createHmac('sha256', serverKey).update(LABEL).update(id).digest();
}

function toSealed({ user, tokens }: SealedContents, sealedAt: number): z.infer<typeof sealedForm> {
  return {
    u: user,
    a: tokens.access.reveal(),
    r: tokens.refresh?.reveal(),
    ae: tokens.accessExpiresAt,
    al: tokens.accessLifeMs,
    re: tokens.refreshExpiresAt,
    t: sealedAt,
  };
}

function fromSealed(sealed: z.infer<typeof sealedForm>): SealedContents {
  return {
    user: sealed.u,
    tokens: {
      access: new Secret(sealed.a),
      accessExpiresAt: sealed.ae,
      accessLifeMs: sealed.al,
      ...(sealed.r === undefined ? {} : { refresh: new Secret(sealed.r) }),
      ...(sealed.re === undefined ? {} : { refreshExpiresAt: sealed.re }),
    },
  };
}
