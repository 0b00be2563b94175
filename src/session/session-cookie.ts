/** The session cookie: its exact attributes, and how it is read from raw header lines. Not a store of anything. */
import { isSessionId, type SessionId } from './session-id.ts';

export interface SessionCookieSettings {
  readonly secure: boolean;
  readonly sameSite: 'Strict' | 'Lax' | 'None';
}

/** What the request's Cookie lines say of the session. */
export type CookieReading =
  | { readonly kind: 'absent' }
  | { readonly kind: 'present'; readonly id: SessionId }
  /** Not of the id's form, or two different values: an attacker may have planted one, so neither is believed. */
  | { readonly kind: 'malformed' };

export interface SessionCookie {
  readonly name: string;
  /** @param rawHeaders names and values in turn, as Node's `rawHeaders`; several Cookie lines are one (RFC 6265bis §4.2.1). */
  read(rawHeaders: readonly string[]): CookieReading;
  /** @param maxAgeMs until the session's absolute end; sent in whole seconds, rounded down. */
  set(id: SessionId, maxAgeMs: number): string;
  clear(): string;
}

/**
 * `__Host-finvera_session`, or `finvera_session` where it cannot be Secure: browsers refuse the prefix without it
 * (RFC 6265bis §4.1.3.2).
 */
export function createSessionCookie({ secure, sameSite }: SessionCookieSettings): SessionCookie {
  const name = secure ? '__Host-finvera_session' : 'finvera_session';
  const attributes = `Path=/; HttpOnly;${secure ? ' Secure;' : ''} SameSite=${sameSite}`;
  return {
    name,
    read: (rawHeaders) => readSessionCookie(rawHeaders, name),
    set: (id, maxAgeMs) => `${name}=${id}; ${attributes}; Max-Age=${Math.max(0, Math.floor(maxAgeMs / 1000))}`,
    clear: () => `${name}=; ${attributes}; Max-Age=0`,
  };
}

/**
 * Reads the raw lines itself: parsers keep the first of two cookies of one name, and a sibling domain can plant that
 * one (cookie tossing, RFC 6265bis §8.6). Names are compared case-sensitively (§5.4). The order never matters.
 */
export function readSessionCookie(rawHeaders: readonly string[], name: string): CookieReading {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i];
    if (header === undefined || header.length !== 6 || header.toLowerCase() !== 'cookie') continue;
    for (const pair of (rawHeaders[i + 1] ?? '').split(';')) {
      const equals = pair.indexOf('=');
      if (equals < 0 || trimBlanks(pair.slice(0, equals)) !== name) continue;
      const value = trimBlanks(pair.slice(equals + 1));
      if (found !== undefined && found !== value) return { kind: 'malformed' };
      found = value;
    }
  }
  if (found === undefined) return { kind: 'absent' };
  return isSessionId(found) ? { kind: 'present', id: found } : { kind: 'malformed' };
}

/**
 * Blank and tab only, as browsers do (RFC 6265bis §5.6): `trim` takes U+00A0 and others too, and a sibling domain may set
 * a cookie that begins with one, past the rules of the `__Host-` prefix.
 */
function trimBlanks(text: string): string {
  const isBlank = (at: number) => text[at] === ' ' || text[at] === '\t';
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(start)) start += 1;
  while (end > start && isBlank(end - 1)) end -= 1;
  return text.slice(start, end);
}
