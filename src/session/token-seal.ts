/**
 * Seals a session's tokens for the store: a JWE (`dir`, A256GCM; RFC 7516) under a key made of the server's key and the
 * cookie's value. Neither a dump of the store, nor the server's key, nor both open a seal without its cookie; a seal
 * moved to another session does not open (ADR-0002).
 */
import { createHmac } from 'node:crypto';
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { z } from 'zod';
import type { SessionKey } from '../config/settings.ts';
import { Secret } from '../kernel/secret.ts';
import type { Identity, Tokens } from './session.ts';
import type { SessionId } from './session-id.ts';

export interface SealedContents {
  readonly user: Identity;
  readonly tokens: Tokens;
}

export type Unsealing =
  /** `current` is false where an older key opened it: it is sealed anew with the next write. */
  | { readonly kind: 'opened'; readonly contents: SealedContents; readonly current: boolean }
  /** Its key is no longer among the server's, or the seal is not this session's, or it was altered. */
  | { readonly kind: 'unopenable' };

export interface TokenSeal {
  seal(id: SessionId, contents: SealedContents): Promise<string>;
  open(id: SessionId, sealed: string): Promise<Unsealing>;
}

const LABEL = 'finvera-gateway/session-seal/v1\0';

const sealedForm = z.object({
  u: z.object({ user_id: z.string(), email: z.string(), username: z.string(), licensing_tier_id: z.string() }),
  a: z.string(),
  r: z.string().optional(),
  ae: z.number(),
  al: z.number(),
  re: z.number().optional(),
});

/** @param keys newest first: the first seals, all open. */
export function createTokenSeal(keys: readonly SessionKey[]): TokenSeal {
  const serverKeys = new Map(keys.map(({ kid, key }) => [kid, Buffer.from(key.reveal(), 'base64url')]));
  const newest = keys[0];
  if (!newest) throw new Error('a token seal needs at least one key');

  return {
    async seal(id, contents) {
      const key = sessionKey(serverKeys.get(newest.kid) as Buffer, id);
      return await new CompactEncrypt(Buffer.from(JSON.stringify(toSealed(contents))))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: newest.kid })
        .encrypt(key);
    },
    async open(id, sealed) {
      try {
        const { kid = '' } = decodeProtectedHeader(sealed);
        const serverKey = serverKeys.get(kid);
        if (!serverKey) return { kind: 'unopenable' };
        const { plaintext } = await compactDecrypt(sealed, sessionKey(serverKey, id), {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        });
        const contents = fromSealed(sealedForm.parse(JSON.parse(Buffer.from(plaintext).toString('utf8'))));
        return { kind: 'opened', contents, current: kid === newest.kid };
      } catch {
        // Whatever is wrong with it, it is not a session: the caller answers as for one that never was.
        return { kind: 'unopenable' };
      }
    },
  };
}

/** One HMAC-SHA-256 over a label and the 256 random bits of the id, as NIST SP 800-108 derives keys from a key. */
function sessionKey(serverKey: Buffer, id: SessionId): Uint8Array {
  return createHmac('sha256', serverKey).update(LABEL).update(id).digest();
}

function toSealed({ user, tokens }: SealedContents): z.infer<typeof sealedForm> {
  return {
    u: user,
    a: tokens.access.reveal(),
    r: tokens.refresh?.reveal(),
    ae: tokens.accessExpiresAt,
    al: tokens.accessLifeMs,
    re: tokens.refreshExpiresAt,
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
