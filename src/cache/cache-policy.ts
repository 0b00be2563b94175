/**
 * Whether an answer may be kept and for how long: RFC 9111 and 5861 as a shared cache, by http-cache-semantics behind
 * stricter readings, with the route's own times. Pure but for the time it is given.
 */
import CachePolicy from 'http-cache-semantics';
import type { RouteCacheSettings } from '../config/settings.ts';
import { type Directives, parseCacheControl, secondsOf } from './cache-control.ts';
import type { UpstreamControl } from './cache-entry.ts';
import { fieldOf, fieldsByName, type HeaderList } from './header-list.ts';

export interface Freshness {
  readonly freshForMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** As old as it was when it came (RFC 9111 §4.2.3). */
  readonly ageMs: number;
}

export type Judgement =
  | { readonly kind: 'storable'; readonly freshness: Freshness; readonly control: UpstreamControl }
  | { readonly kind: 'not_storable' };

export interface JudgedAnswer {
  readonly status: number;
  /** As Finvera sent them. */
  readonly headers: HeaderList;
}

/** Final answers that are no errors and whole; 206 is not. */
const STORABLE_STATUSES = [200, 203, 204, 300, 301, 308];
/** Nothing is kept for longer, whatever Finvera says. */
const MAX_FRESH_MS = 7 * 24 * 3_600_000;
const NOT_STORABLE: Judgement = { kind: 'not_storable' };

/**
 * @param isGatewaysOwn of a request field in lower case: true where the gateway makes it anew for each request, so that
 *   an answer that varies by it belongs to one request.
 */
export function judge(
  { status, headers }: JudgedAnswer,
  rules: RouteCacheSettings,
  isGatewaysOwn: (lowerName: string) => boolean,
): Judgement {
  if (!STORABLE_STATUSES.includes(status) || fieldOf(headers, 'content-range') !== undefined || isStream(headers))
    return NOT_STORABLE;
  return weigh(status, headers, controlOf(headers), rules, isGatewaysOwn);
}

/** The second half of `judge`, also for a kept answer that Finvera has confirmed. */
function weigh(
  status: number,
  headers: HeaderList,
  control: UpstreamControl,
  rules: RouteCacheSettings,
  isGatewaysOwn: (lowerName: string) => boolean,
): Judgement {
  if (fieldOf(headers, 'set-cookie') !== undefined || fieldOf(headers, 'set-cookie2') !== undefined)
    return NOT_STORABLE;
  const { directives, isMalformed } = parseCacheControl(control.cacheControl);
  if (isMalformed || directives.has('no-store') || directives.has('private')) return NOT_STORABLE;
  if (!isVaryKeyed(control.vary, rules, isGatewaysOwn)) return NOT_STORABLE;
  const policy = new CachePolicy(
    { headers: {} },
    { status, headers: { ...fieldsByName(headers), ...canonical(control, directives) } as Record<string, string> },
    { shared: true, cacheHeuristic: 0 },
  );
  if (!policy.storable()) return NOT_STORABLE;
  const isExplicit = ['max-age', 's-maxage'].some((name) => directives.has(name)) || control.expires !== undefined;
  const noCache = directives.has('no-cache') || (control.cacheControl === undefined && isNoCache(control.pragma));
  const saidMs = isExplicit ? policy.maxAge() * 1_000 : rules.ttl;
  // In a scope the route's ttl is the longest; for everybody Finvera's word stands where there is one (contract §7).
  const wantedMs = rules.scope === 'public' ? saidMs : Math.min(saidMs, rules.ttl);
  const freshForMs = noCache ? 0 : Math.min(wantedMs, MAX_FRESH_MS);
  const forbidsStale =
    noCache || ['must-revalidate', 'proxy-revalidate', 's-maxage'].some((name) => directives.has(name));
  const stale = (name: string, ruleMs: number): number => {
    if (forbidsStale) return 0;
    const said = secondsOf(directives, name);
    if (said === undefined) return ruleMs;
    return rules.scope === 'public' ? Math.min(said * 1_000, MAX_FRESH_MS) : Math.min(said * 1_000, ruleMs);
  };
  const freshness: Freshness = {
    freshForMs,
    staleWhileRevalidateMs: stale('stale-while-revalidate', rules.staleWhileRevalidate),
    staleIfErrorMs: stale('stale-if-error', rules.staleIfError),
    ageMs: receivedAge(headers) * 1_000,
  };
  // What is stale at once and cannot be confirmed is of no use to anybody.
  const canBeConfirmed = fieldOf(headers, 'etag') !== undefined || fieldOf(headers, 'last-modified') !== undefined;
  const usefulMs = freshForMs + Math.max(freshness.staleWhileRevalidateMs, freshness.staleIfErrorMs);
  if (usefulMs <= freshness.ageMs && !canBeConfirmed) return NOT_STORABLE;
  return { kind: 'storable', freshness, control };
}

/**
 * A 304 to a question that the kept answer's validators asked: whether it is about that answer (RFC 9111 §4.3.4), and
 * what follows of the fields it brings.
 */
export function judgeConfirmation(
  kept: { readonly status: number; readonly headers: HeaderList; readonly control: UpstreamControl },
  headers: HeaderList,
  rules: RouteCacheSettings,
  isGatewaysOwn: (lowerName: string) => boolean,
): Judgement | { readonly kind: 'about_another' } {
  const request = { headers: {} };
  const policy = new CachePolicy(request, { status: kept.status, headers: fieldsByName(kept.headers) });
  const { matches } = policy.revalidatedPolicy(request, { status: 304, headers: fieldsByName(headers) });
  if (!matches) return { kind: 'about_another' };
  const control = { ...kept.control, ...controlOf(headers) };
  const validators = kept.headers.flatMap((name, i) =>
    i % 2 === 0 && /^(?:etag|last-modified)$/i.test(name) ? [name, kept.headers[i + 1] as string] : [],
  );
  return weigh(kept.status, [...validators, ...headers], control, rules, isGatewaysOwn);
}

function controlOf(headers: HeaderList): UpstreamControl {
  const cacheControl = fieldOf(headers, 'cache-control');
  const expires = fieldOf(headers, 'expires');
  const pragma = fieldOf(headers, 'pragma');
  const vary = fieldOf(headers, 'vary');
  return {
    ...(cacheControl === undefined ? {} : { cacheControl }),
    ...(expires === undefined ? {} : { expires }),
    ...(pragma === undefined ? {} : { pragma }),
    ...(vary === undefined ? {} : { vary }),
  };
}

/** The field as the library reads it right, whatever its spelling was; `public`: that sharing is allowed is decided here. */
function canonical(control: UpstreamControl, directives: Directives): Record<string, string> {
  const parts = ['public'];
  for (const [name, value] of directives) {
    const seconds = ['max-age', 's-maxage'].includes(name) ? secondsOf(directives, name) : undefined;
    if (seconds !== undefined) parts.push(`${name}=${seconds}`);
    else if (name === 'no-cache' && value !== undefined) parts.push(name);
  }
  return { 'cache-control': parts.join(', '), ...(control.expires === undefined ? {} : { expires: control.expires }) };
}

/** Of one user alone what varies by who asks; of nobody else what varies by what the gateway makes anew each time. */
function isVaryKeyed(
  vary: string | undefined,
  rules: RouteCacheSettings,
  isGatewaysOwn: (lowerName: string) => boolean,
): boolean {
  if (vary === undefined) return true;
  return vary.split(',').every((part) => {
    const name = part.trim().toLowerCase();
    if (name === '') return true;
    if (name === '*') return false;
    if (name === 'authorization' || name === 'cookie') return rules.scope === 'user';
    return !isGatewaysOwn(name);
  });
}

/** Has no end that anybody could wait for. */
const isStream = (headers: HeaderList): boolean =>
  /^\s*(?:text\/event-stream|multipart\/x-mixed-replace)/i.test(fieldOf(headers, 'content-type') ?? '');

const isNoCache = (pragma: string | undefined): boolean => pragma?.toLowerCase().includes('no-cache') ?? false;

/** Seconds; of several the first counts, what is no number is ignored (RFC 9111 §5.1). */
function receivedAge(headers: HeaderList): number {
  const first = fieldOf(headers, 'age')?.split(',')[0]?.trim() ?? '';
  return /^\d+$/.test(first) ? Math.min(Number(first), 2 ** 31) : 0;
}
