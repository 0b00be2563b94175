// The text of one token, JWT or opaque, padded to an exact length where asked. Keeps no record of what it made.
import { createHmac, randomBytes, randomUUID } from 'node:crypto';

/** What a token's text is made of. */
export interface TokenText {
  readonly format: 'jwt' | 'opaque';
  readonly use: 'access' | 'refresh';
  readonly subject: string;
  /** Seconds since 1970, as claimed; a skewed clock claims other times than it keeps. */
  readonly issuedAtS: number;
  readonly expiresAtS: number;
  /** Exact length in characters; undefined = as it comes. */
  readonly length: number | undefined;
  /** HS256 key. */
  readonly key: Uint8Array;
}

const SIGNATURE_LENGTH = 43;
// Base64url cannot have every length: one of these headers always leaves a payload length that it can have.
const HEADERS = ['', 'a', 'ab', 'abc'].map((kid) =>
  Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'JWT', ...(kid === '' ? {} : { kid }) })).toString('base64url'),
);

/**
 * Writes a token.
 * @throws RangeError where the claims alone are longer than the length asked for.
 */
export function writeToken(text: TokenText): string {
  if (text.format === 'opaque') return randomText(text.length ?? 64);
  const claims = {
    iss: 'https://api.finvera.test',
    sub: text.subject,
    jti: randomUUID(),
    iat: text.issuedAtS,
    exp: text.expiresAtS,
    token_use: text.use,
  };
  const [header, payload] = text.length === undefined ? plain(claims) : padded(claims, text.length);
  const signed = `${header}.${payload}`;
  return `${signed}.${createHmac('sha256', text.key).update(signed).digest('base64url')}`;
}

function plain(claims: object): [string, string] {
  return [HEADERS[0] as string, Buffer.from(JSON.stringify(claims)).toString('base64url')];
}

function padded(claims: object, length: number): [string, string] {
  for (const header of HEADERS) {
    const payloadLength = length - header.length - SIGNATURE_LENGTH - 2;
    if (payloadLength % 4 === 1) continue;
    const byteLength = Math.floor((payloadLength * 3) / 4);
    const padding = byteLength - Buffer.byteLength(JSON.stringify({ ...claims, pad: '' }));
    if (padding < 0) throw new RangeError(`a token of these claims cannot be as short as ${length} characters`);
    const payload = JSON.stringify({ ...claims, pad: randomText(padding) });
    return [header, Buffer.from(payload).toString('base64url')];
  }
  throw new RangeError(`no token has exactly ${length} characters`);
}

function randomText(length: number): string {
  return randomBytes(Math.ceil(length * 0.75))
    .toString('base64url')
    .slice(0, length);
}
