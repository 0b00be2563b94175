/**
 * Takes everything the frontend must not see off a request **before** the proxy gets it: a hook in the proxy comes too
 * late for `Expect: 100-continue`, whose headers leave at once. Pure but for the request it is given.
 */
import type { IncomingMessage } from 'node:http';
import { isClaimOfClient, twinOf } from '../kernel/client-claims.ts';

const SESSION_COOKIES: readonly string[] = ['__host-finvera_session', 'finvera_session'];
/** Of this hop alone. Node's client throws at a Trailer where it sends no chunks, in a callback that nobody catches. */
const OF_THIS_HOP: ReadonlySet<string> = new Set(['trailer', 'te', 'keep-alive', 'proxy-connection', 'http2-settings']);

/** Any spelling of the cookie's name counts: who reads names loosely must not find it either. */
export function stripCredentials(req: IncomingMessage): void {
  for (const name of Object.keys(req.headers)) if (isDropped(name)) delete req.headers[name];
  const cookie = withoutSessionCookie(req.headers.cookie);
  if (cookie === undefined) delete req.headers.cookie;
  else req.headers.cookie = cookie;
}

function isDropped(name: string): boolean {
  const twin = twinOf(name);
  return twin === 'proxy-authorization' || OF_THIS_HOP.has(twin) || isClaimOfClient(twin);
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
    // A cookie without a name is sent back as its value alone: `=a=b` comes as `a=b`, a cookie of that name.
    const pair = (line.split(';')[0] ?? '').trim().replace(/^(?:=\s*)+/, '');
    const name = (pair.split('=')[0] ?? '').trim().toLowerCase();
    return !SESSION_COOKIES.includes(name);
  });
}
