/**
 * What of a request's headers reaches Finvera and what of an answer's reaches the browser: lists of named rules,
 * **strip first, then add**, so that a client cannot strip what is added (`Connection: authorization`). Pure.
 */
import { isClaimOfClient, twinOf } from '../kernel/client-claims.ts';
import { VIA } from '../kernel/via.ts';
import { decideByName } from './decide-by-name.ts';

/** Names and values in turn, as in Node's `rawHeaders`. */
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
  /** The request bore a credential of the gateway's, which no cache in front of the gateway sees. */
  readonly isAuthorized?: boolean;
  /** The server's key, where it went along: it never comes back. */
  readonly apiKey?: string;
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

/** What besides the client's claims is ours to say to Finvera. */
const OURS = new Set([
  'cookie',
  'x-session-activity',
  'via',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-request-id',
  'traceparent',
  'tracestate',
  'host',
]);

const isHopByHop: Predicate = (name) => HOP_BY_HOP.has(twinOf(name)) || name === 'content_length';

export const isClientClaim: Predicate = (name) => {
  const twin = twinOf(name);
  return isClaimOfClient(twin) || OURS.has(twin) || twin.startsWith('sec-websocket-');
};

/** Content-Length stays even where Connection names it: to drop it while the body is piped would desynchronise (DS-4). */
const NEVER_NAMED = new Set(['content-length', 'content-type', 'host', 'cache-control']);

/** The fields that Connection names are for this hop only; undefined where it names none. */
function namedByConnection(headers: HeaderList): ReadonlySet<string> | undefined {
  let named: Set<string> | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const field = headers[i] as string;
    if (field.length !== 10 || field.toLowerCase() !== 'connection') continue;
    for (const option of (headers[i + 1] as string).split(',')) {
      const name = option.trim().toLowerCase();
      if (name === '' || NEVER_NAMED.has(name)) continue;
      named ??= new Set();
      named.add(name);
    }
  }
  return named;
}

/** The first half of the policy: a field that any of these names is not passed. */
const REQUEST_STRIPS: readonly Predicate[] = [isHopByHop, isClientClaim];
/** Empty for a field that is not passed, else its name as it came. */
const passedName = decideByName((lowerName, name) => (REQUEST_STRIPS.some((strips) => strips(lowerName)) ? '' : name));

type RequestAddition = (headers: string[], context: RequestContext) => void;

const addBearer: RequestAddition = (headers, { bearer }) => {
  if (bearer !== undefined) headers.push('Authorization', `Bearer ${bearer}`);
};

const addForwarding: RequestAddition = (headers, { clientIp, proto, host }) => {
  const node = clientIp.includes(':') ? `"[${clientIp}]"` : clientIp;
  headers.push('X-Forwarded-For', clientIp, 'X-Forwarded-Proto', proto, 'X-Forwarded-Host', host);
  headers.push('Forwarded', `for=${node};proto=${proto};host="${host}"`, 'Via', VIA);
};

const addTrace: RequestAddition = (headers, { requestId, traceparent }) => {
  headers.push('X-Request-Id', requestId);
  if (traceparent !== undefined) headers.push('traceparent', traceparent);
};

/** The second half: after everything the client sent has been weighed. */
const REQUEST_ADDITIONS: readonly RequestAddition[] = [addBearer, addForwarding, addTrace];

/** @param headers the client's `rawHeaders`. One walk over them for all strips: this runs on every request. */
export function requestHeaders(headers: HeaderList, context: RequestContext): string[] {
  const passed = passedRequestHeaders(headers);
  for (const add of REQUEST_ADDITIONS) add(passed, context);
  return passed;
}

/** What of a client's fields passes, before anything is added. */
export function passedRequestHeaders(headers: HeaderList): string[] {
  const named = namedByConnection(headers);
  const passed: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = passedName(headers[i] as string);
    if (name === '' || named?.has(name.toLowerCase())) continue;
    passed.push(name, headers[i + 1] as string);
  }
  return passed;
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
  'nel',
  'report-to',
  'reporting-endpoints',
  'accept-ch',
  'critical-ch',
  'set-login',
]);

/** Orders to what stands in front of the gateway, which obeys them whoever wrote them. */
const ORDERS_TO_PROXIES = new Set([
  'x-sendfile',
  'x-lighttpd-send-file',
  'x-lighttpd-send-tempfile',
  'x-reproxy-url',
  'surrogate-control',
  'edge-control',
]);

/**
 * nginx serves what `X-Accel-Redirect` names and keeps what `X-Accel-Expires` says (`X-Accel-Buffering` only lets events
 * through as they come, and stays); a CDN believes its own
 * `CDN-Cache-Control` before `Cache-Control` (RFC 9213 §2.2), and would show one user's answer to all.
 */
const isOrderToProxies: Predicate = (name) =>
  ORDERS_TO_PROXIES.has(name) ||
  (name.startsWith('x-accel-') && name !== 'x-accel-buffering') ||
  name.endsWith('-cache-control');

/** A value that holds CR, LF or NUL would split the response (RFC 9110 §5.5); Node would throw on it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const UNSAFE_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
const NAME_FORM = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What becomes of an upstream's field, by its name. */
type ResponseVerdict = 'drop' | 'pass' | 'location' | 'length' | 'cache-control';

const isUpstreamClaim: Predicate = (name) => UPSTREAM_CLAIMS.has(name) || name.startsWith('access-control-');
const isNoName: Predicate = (name) => !NAME_FORM.test(name);
const RESPONSE_STRIPS: readonly Predicate[] = [isHopByHop, isUpstreamClaim, isOrderToProxies, isNoName];

const responseVerdict = decideByName((name): ResponseVerdict => {
  if (RESPONSE_STRIPS.some((strips) => strips(name))) return 'drop';
  if (name === 'location' || name === 'content-location') return 'location';
  if (name === 'content-length') return 'length';
  return name === 'cache-control' ? 'cache-control' : 'pass';
});

/**
 * @param headers the upstream's headers as they came. One walk over them: strips, then what depends on the value, then
 *   what nobody said: an answer to an authenticated request is kept by nobody (ASVS 14.3.2).
 */
export function responseHeaders(headers: HeaderList, context: ResponseContext): string[] {
  const named = namedByConnection(headers);
  const passed: string[] = [];
  let hasCacheControl = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const verdict = responseVerdict(name);
    if (verdict === 'drop' || named?.has(name.toLowerCase())) continue;
    // 204 has no body and so no length (RFC 9110 §8.6): a reader that believed one would wait for bytes that never come.
    if (verdict === 'length' && context.status === 204) continue;
    const value = passValue(headers[i + 1] as string, verdict, context);
    if (value === undefined) continue;
    if (verdict === 'cache-control') hasCacheControl = true;
    passed.push(name, value);
  }
  if (!hasCacheControl) passed.push('Cache-Control', 'no-store');
  return passed;
}

/**
 * A shared cache keeps no answer to a request with `Authorization` unless one of these says so (RFC 9111 §3.5). In front of
 * the gateway it sees none: what the field implied must be written.
 */
const SAYS_WHO_KEEPS = /(?:^|[\s,])(?:public|s-maxage|must-revalidate|private|no-store)(?:$|[\s,=])/i;

/** @returns undefined where the value must not pass. */
function passValue(value: string, verdict: ResponseVerdict, context: ResponseContext): string | undefined {
  if (UNSAFE_VALUE.test(value)) return undefined;
  const { upstream, apiKey, isAuthorized } = context;
  const shown = apiKey ? hideApiKey(value, apiKey) : value;
  if (verdict === 'cache-control' && isAuthorized && !SAYS_WHO_KEEPS.test(value)) return `${value}, private`;
  return shown !== undefined && verdict === 'location' ? relativeLocation(shown, upstream) : shown;
}

/** An upstream that repeats the request's query or credential would hand the server's key to the browser (contract §2). */
function hideApiKey(value: string, apiKey: string): string | undefined {
  const shown = holds(value, apiKey) ? withoutApiKeyPairs(value) : value;
  return holds(shown, apiKey) ? undefined : shown;
}

function holds(value: string, secret: string): boolean {
  const decoded = value.replace(/%[0-7][0-9a-f]/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
  return value.includes(secret) || decoded.includes(secret);
}

/** Takes `apikey=…` out of the addresses in a header such as Location or Link. */
function withoutApiKeyPairs(value: string): string {
  return value.replace(/([?&])apikey=[^&#\s"'<>;,]*&?/gi, '$1').replace(/[?&](?=$|[#\s"'<>;,])/g, '');
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
