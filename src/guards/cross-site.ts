/**
 * Decides whether a request may come from where it comes from (contract §5): Fetch Metadata first, then Origin, then a
 * custom header. Pure. It is the defence against cross-site request forgery; SameSite cookies are only the second
 * (RFC 10017 §6.1.3.3).
 */
import { isSafeMethod } from '../kernel/safe-method.ts';

export interface Provenance {
  readonly method: string;
  readonly secFetchSite: string | undefined;
  readonly origin: string | undefined;
  /** The Host the request named. */
  readonly host: string;
  readonly hasSessionCookie: boolean;
  /** The value of `X-CSRF`. */
  readonly csrfHeader: string | undefined;
}

export interface OriginRules {
  /** The gateway's own origin; without it the Host stands for it. */
  readonly publicUrl: string | undefined;
  readonly allowedOrigins: ReadonlySet<string>;
}

const KNOWN_SITES: readonly string[] = ['same-origin', 'same-site', 'cross-site', 'none'];

/** True where the request may pass. Nothing of what it decides on can be set by a script on a foreign page. */
export function mayPass(provenance: Provenance, rules: OriginRules): boolean {
  const { method, secFetchSite, origin, hasSessionCookie, csrfHeader } = provenance;
  const isSafe = isSafeMethod(method);
  // A value nobody defined is as good as none: it must not open a door (OWASP CSRF, Fetch Metadata).
  if (secFetchSite !== undefined && KNOWN_SITES.includes(secFetchSite)) {
    if (secFetchSite === 'same-origin') return true;
    if (secFetchSite === 'none') return isSafe;
    return origin !== undefined && rules.allowedOrigins.has(origin);
  }
  if (origin !== undefined) return isOwnOrigin(origin, provenance.host, rules) || rules.allowedOrigins.has(origin);
  return isSafe || !hasSessionCookie || csrfHeader === '1';
}

/**
 * True where a stream may be opened: no page may do that but of an own or allowed origin, since neither a preflight nor
 * CORS stands before a WebSocket (RFC 6455 §10.2), and what it can read back is not limited to its own site.
 */
export function mayStream(provenance: Provenance, rules: OriginRules): boolean {
  const { origin, secFetchSite } = provenance;
  if (origin === undefined) return false;
  // No browser opens one from its address bar: the word proves nothing.
  return mayPass({ ...provenance, secFetchSite: secFetchSite === 'none' ? undefined : secFetchSite }, rules);
}

/** Exact, byte for byte: suffixes, prefixes, other ports and `null` are foreign. */
function isOwnOrigin(origin: string, host: string, { publicUrl }: OriginRules): boolean {
  if (publicUrl !== undefined) return origin === publicUrl;
  const own = host.toLowerCase();
  return own !== '' && (origin === `http://${own}` || origin === `https://${own}`);
}
