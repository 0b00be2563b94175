/**
 * Takes everything the frontend must not see off a request **before** the proxy gets it: a hook in the proxy comes too
 * late for `Expect: 100-continue`, whose headers leave at once. Pure but for the request it is given.
 */
import type { IncomingMessage } from 'node:http';

const SESSION_COOKIES: readonly string[] = ['__host-finvera_session', 'finvera_session'];
const DROPPED: readonly string[] = [
  'authorization',
  'proxy-authorization',
  'expect',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
  'x-csrf',
];

/** Any spelling of the cookie's name counts: who reads names loosely must not find it either. */
export function stripCredentials(req: IncomingMessage): void {
  for (const name of DROPPED) delete req.headers[name];
  const cookie = withoutSessionCookie(req.headers.cookie);
  if (cookie === undefined) delete req.headers.cookie;
  else req.headers.cookie = cookie;
}

/** @returns undefined where nothing is left. */
export function withoutSessionCookie(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const kept = header.split(';').filter((pair) => {
    const name = (pair.split('=')[0] ?? '').trim().toLowerCase();
    return !SESSION_COOKIES.includes(name);
  });
  const text = kept.join(';').trim();
  return text === '' ? undefined : text;
}

/** The frontend sets what cookies it likes, but not the gateway's. */
export function withoutSessionSetCookie(lines: readonly string[]): string[] {
  return lines.filter((line) => {
    const name = (line.split(';')[0]?.split('=')[0] ?? '').trim().toLowerCase();
    return !SESSION_COOKIES.includes(name);
  });
}
