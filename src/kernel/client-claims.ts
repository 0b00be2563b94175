/** What a client may not say of itself in a header, to Finvera or to the frontend: who it is and where it comes from (ASVS 4.1.3). Pure. */

const CLAIMS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie2',
  'x-csrf',
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
]);
const CLAIM_PREFIXES: readonly string[] = [
  'x-forwarded-',
  'x-user-',
  'x-auth-request-',
  'x-remote-',
  'x-original-',
  'x-envoy-',
];

/** CGI and WSGI servers read `X_User_Id` as `X-User-Id`: names with an underscore are weighed as their twin. */
export const twinOf = (name: string): string => (name.includes('_') ? name.replaceAll('_', '-') : name);

/** @param twin - a lower-case name, as `twinOf` gives it */
export function isClaimOfClient(twin: string): boolean {
  return CLAIMS.has(twin) || CLAIM_PREFIXES.some((prefix) => twin.startsWith(prefix));
}
