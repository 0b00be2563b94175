/**
 * Takes everything the frontend must not see off a request **before** the proxy gets it: a hook in the proxy comes too
 * late for `Expect: 100-continue`, whose headers leave at once. Pure but for the request it is given.
 */
import type { IncomingMessage } from 'node:http';

const SESSION_COOKIES: readonly string[] = ['__host-finvera_session', 'finvera_session'];
/** Who the caller is and where it comes from: a web container may believe it, so that no client may say it (ASVS 4.1.3). */
const DROPPED: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie2',
  'expect',
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'do-connecting-ip',
  'cf-connecting-ipv6',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-appengine-user-ip',
  'x-originating-ip',
  'remote-addr',
  'remote-user',
  // CGI programs would take it for HTTP_PROXY, and send through it what they ask others for.
  'proxy',
  'client-cert',
  'client-cert-chain',
  'x-userinfo',
  'x-rewrite-url',
  'x-csrf',
]);
const DROPPED_PREFIXES: readonly string[] = [
  'x-forwarded-',
  'x-user-',
  'x-auth-request-',
  'x-remote-',
  'x-original-',
  'x-envoy-',
];

/** Any spelling of the cookie's name counts: who reads names loosely must not find it either. */
export function stripCredentials(req: IncomingMessage): void {
  for (const name of Object.keys(req.headers)) if (isDropped(name)) delete req.headers[name];
  const cookie = withoutSessionCookie(req.headers.cookie);
  if (cookie === undefined) delete req.headers.cookie;
  else req.headers.cookie = cookie;
}

/** CGI and WSGI servers read `X_User_Id` as `X-User-Id`: names with an underscore are weighed as their twin. */
function isDropped(name: string): boolean {
  const twin = name.replaceAll('_', '-');
  return DROPPED.has(twin) || DROPPED_PREFIXES.some((prefix) => twin.startsWith(prefix));
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
