/**
 * Opens the one kind of JWE that the seal makes: compact, `dir`, A256GCM (RFC 7516 §5.2, RFC 7518 §5.3), with
 * `node:crypto`. jose makes them; its WebCrypto costs several times as much on the way in, and memory outside the heap
 * for each session that is opened (ADR-0002). It reads no other algorithm, whatever a header says.
 */
import { createDecipheriv, createSecretKey } from 'node:crypto';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** @returns the `kid` of a seal's protected header; undefined where it is no such JWE. */
export function kidOf(jwe: string): string | undefined {
  const header: unknown = JSON.parse(Buffer.from(jwe.slice(0, jwe.indexOf('.')), 'base64url').toString('utf8'));
  if (typeof header !== 'object' || header === null) return undefined;
  const { alg, enc, kid, ...others } = header as Record<string, unknown>;
  const isOurs = alg === 'dir' && enc === 'A256GCM' && Object.keys(others).length === 0;
  return isOurs && typeof kid === 'string' ? kid : undefined;
}

/** @throws Error where it was altered, or made with another key. */
export function decryptJwe(jwe: string, key: Uint8Array): string {
  const [header = '', encryptedKey, iv = '', ciphertext = '', tag = '', ...rest] = jwe.split('.');
  const [nonce, mac] = [Buffer.from(iv, 'base64url'), Buffer.from(tag, 'base64url')];
  const isWhole = encryptedKey === '' && rest.length === 0 && nonce.length === IV_BYTES && mac.length === TAG_BYTES;
  if (!isWhole) throw new Error('not a compact JWE with a direct key');
  // Of plain bytes Node finds out with two exceptions that they are no key object: more than all of the deciphering costs.
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(key), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(header, 'ascii'));
  decipher.setAuthTag(mac);
  const text = decipher.update(Buffer.from(ciphertext, 'base64url'));
  // A stream cipher leaves nothing for the end but the check of the tag: before it nothing of the text is looked at.
  decipher.final();
  return text.toString('utf8');
}
