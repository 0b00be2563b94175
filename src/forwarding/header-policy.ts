/**
 * What of a request's headers reaches Finvera and what of an answer's reaches the browser: two ordered lists of named
 * passes, **strip first, then add**, so that a client cannot strip what is added (`Connection: authorization`). Pure.
 */

/** Names and values in turn, as Node's `rawHeaders` and as undici takes them. */
export type HeaderList = readonly string[];

export interface RequestContext {
  /** The bearer, or undefined where none goes along. */
  readonly bearer: string | undefined;
  readonly requestId: string;
  /** A valid W3C traceparent, or undefined. */
  readonly traceparent: string | undefined;
  readonly clientIp: string;
  readonly proto: 'http' | 'https';
  /** The host the browser asked. */
  readonly host: string;
}

export interface ResponseContext {
  readonly status: number;
  /** Origin and base path of Finvera, to make its own locations relative. */
  readonly upstream: URL;
}

type Predicate = (lowerName: string) => boolean;

/** RFC 9110 §7.6.1, and what older agents take for hop-by-hop. Framing is made anew by the HTTP client, from the body. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Who the caller is and where it comes from is ours to say (ASVS 4.1.3). */
const CLIENT_CLAIMS = new Set([
  'cookie',
  'cookie2',
  'authorization',
  'x-csrf',
  'x-session-activity',
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
  'x-original-url',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-request-id',
  'traceparent',
  'tracestate',
  'client-cert',
  'client-cert-chain',
  'x-userinfo',
  'expect',
  'host',
]);
const CLIENT_CLAIM_PREFIXES = [
  'x-forwarded-',
  'x-user-',
  'x-auth-request-',
  'x-original-',
  'x-envoy-',
  'sec-websocket-',
];

const isHopByHop: Predicate = (name) => HOP_BY_HOP.has(name);

/** CGI and WSGI servers read `X_User_Id` as `X-User-Id`: names with an underscore are weighed as their twin. */
export const isClientClaim: Predicate = (name) => {
  const twin = name.includes('_') ? name.replaceAll('_', '-') : name;
  return CLIENT_CLAIMS.has(twin) || CLIENT_CLAIM_PREFIXES.some((prefix) => twin.startsWith(prefix));
};

/** Content-Length stays even where Connection names it: to drop it while the body is piped would desynchronise (DS-4). */
const NEVER_NAMED = new Set(['content-length', 'content-type', 'host', 'cache-control']);

/** The fields that Connection names are for this hop only. */
function namedByConnection(headers: HeaderList): ReadonlySet<string> {
  const named = new Set<string>();
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'connection') continue;
    for (const option of (headers[i + 1] ?? '').split(',')) {
      const name = option.trim().toLowerCase();
      if (name !== '' && !NEVER_NAMED.has(name)) named.add(name);
    }
  }
  return named;
}

function dropWhere(headers: HeaderList, isDropped: Predicate): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!isDropped(name.toLowerCase())) kept.push(name, headers[i + 1] ?? '');
  }
  return kept;
}

type RequestPass = (headers: HeaderList, context: RequestContext) => HeaderList;

const dropConnectionNamed = (headers: HeaderList): HeaderList => {
  const named = namedByConnection(headers);
  return named.size === 0 ? headers : dropWhere(headers, (name) => named.has(name));
};
const dropHopByHop = (headers: HeaderList): HeaderList => dropWhere(headers, isHopByHop);
const dropClientClaims = (headers: HeaderList): HeaderList => dropWhere(headers, isClientClaim);

const addBearer: RequestPass = (headers, { bearer }) =>
  bearer === undefined ? headers : [...headers, 'Authorization', `Bearer ${bearer}`];

const addForwarding: RequestPass = (headers, { clientIp, proto, host }) => [
  ...headers,
  'X-Forwarded-For',
  clientIp,
  'X-Forwarded-Proto',
  proto,
  'X-Forwarded-Host',
  host,
  'Forwarded',
  `for=${clientIp.includes(':') ? `"[${clientIp}]"` : clientIp};proto=${proto};host="${host}"`,
  'Via',
  '1.1 finvera-gateway',
];

const addTrace: RequestPass = (headers, { requestId, traceparent }) =>
  traceparent === undefined
    ? [...headers, 'X-Request-Id', requestId]
    : [...headers, 'X-Request-Id', requestId, 'traceparent', traceparent];

const REQUEST_PASSES: readonly RequestPass[] = [
  dropConnectionNamed,
  dropHopByHop,
  dropClientClaims,
  addBearer,
  addForwarding,
  addTrace,
];

/** @param headers the client's `rawHeaders`. */
export function requestHeaders(headers: HeaderList, context: RequestContext): HeaderList {
  return REQUEST_PASSES.reduce((passed, pass) => pass(passed, context), headers);
}

/** Cookies are ours to set; who serves is nobody's business; CORS and site data are for the gateway's origin to decide. */
const UPSTREAM_CLAIMS = new Set([
  'set-cookie',
  'set-cookie2',
  'server',
  'x-powered-by',
  'via',
  'clear-site-data',
  'strict-transport-security',
  'public-key-pins',
  'expect-ct',
  'alt-svc',
  'x-request-id',
  'www-authenticate',
  'authorization',
  'content-security-policy',
  'content-security-policy-report-only',
  'cross-origin-opener-policy',
  'cross-origin-embedder-policy',
  'origin-agent-cluster',
  'permissions-policy',
  'x-content-type-options',
  'x-dns-prefetch-control',
  'x-download-options',
  'x-permitted-cross-domain-policies',
  'x-xss-protection',
  'referrer-policy',
  'x-frame-options',
  'cross-origin-resource-policy',
  'service-worker-allowed',
]);

/** A value that holds CR, LF or NUL would split the response (RFC 9110 §5.5); Node would throw on it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const UNSAFE_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
const NAME_FORM = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

type ResponsePass = (headers: HeaderList, context: ResponseContext) => HeaderList;

const dropUpstreamClaims: ResponsePass = (headers) =>
  dropWhere(headers, (name) => UPSTREAM_CLAIMS.has(name) || name.startsWith('access-control-'));

const dropUnsafe: ResponsePass = (headers) => {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const [name = '', value = ''] = headers.slice(i, i + 2);
    if (NAME_FORM.test(name) && !UNSAFE_VALUE.test(value)) kept.push(name, value);
  }
  return kept;
};

const relativeLocations: ResponsePass = (headers, { upstream }) =>
  headers.map((value, i) =>
    i % 2 === 1 && /^(?:content-)?location$/i.test(headers[i - 1] ?? '') ? relativeLocation(value, upstream) : value,
  );

/** What no one said may be kept by nobody: an answer to an authenticated request is private (ASVS 14.3.2). */
const addNoStore: ResponsePass = (headers) =>
  headers.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'cache-control')
    ? headers
    : [...headers, 'Cache-Control', 'no-store'];

/** 204 has no body and so no length (RFC 9110 §8.6); a reader that believed one would wait for bytes that never come. */
const dropLengthOf204: ResponsePass = (headers, { status }) =>
  status === 204 ? dropWhere(headers, (name) => name === 'content-length') : headers;

const RESPONSE_PASSES: readonly ResponsePass[] = [
  dropConnectionNamed,
  dropHopByHop,
  dropUpstreamClaims,
  dropUnsafe,
  dropLengthOf204,
  relativeLocations,
  addNoStore,
];

/** @param headers the upstream's headers as they came. */
export function responseHeaders(headers: HeaderList, context: ResponseContext): HeaderList {
  return RESPONSE_PASSES.reduce((passed, pass) => pass(passed, context), headers);
}

/** A location on Finvera's own host becomes relative to the gateway; others pass (contract §5). */
export function relativeLocation(location: string, upstream: URL): string {
  if (!/^(?:https?:)?\/\//i.test(location)) return location;
  let target: URL;
  try {
    target = new URL(location, upstream);
  } catch {
    return location;
  }
  if (target.host.replace(/\.$/, '') !== upstream.host) return location;
  const basePath = upstream.pathname.replace(/\/$/, '');
  const path = target.pathname.startsWith(`${basePath}/`) ? target.pathname.slice(basePath.length) : target.pathname;
  return path.replace(/^\/{2,}/, '/') + target.search + target.hash;
}
