/**
 * What tells one answer from another. Everything of a request that reaches Finvera on a shared route is in the key or is
 * the gateway's own, so that nobody can change with something unkeyed what others are shown (cache poisoning). Pure.
 */
import { fieldsByName, type HeaderList } from './header-list.ts';

/** Who shares: JSON, so that no value can look like another's. */
export type ScopeText = string & { readonly __brand: 'ScopeText' };

export function scopeText(kind: 'tier' | 'user' | 'public', value: string): ScopeText {
  return JSON.stringify([kind, value]) as ScopeText;
}

export interface Keyed {
  /** The upstream that answers and the credential that asks: several gateways may share one Redis. */
  readonly origin: string;
  readonly scope: ScopeText;
  readonly route: string;
  readonly path: string;
  /** As `normaliseQuery` makes it. */
  readonly query: string;
  /** As `selectHeaders` makes it. */
  readonly headers: HeaderList;
}

/**
 * No part can hold a line feed: targets and fields come from a parser that refuses it, the others are JSON or settings. So
 * no two requests have one key unless all their parts are equal.
 */
export function keyOf({ origin, scope, route, path, query, headers }: Keyed): string {
  return `${uriKeyOf({ origin, scope, route, path, query })}\n${headers.join('\n')}`;
}

/** The key without what Vary may tell apart. */
export function uriKeyOf({ origin, scope, route, path, query }: Omit<Keyed, 'headers'>): string {
  return `${origin}\n${scope}\n${route}\n${path}\n${query}`;
}

/** Names, and beginnings that end in `*`. */
export function createNameMatch(patterns: readonly string[]): (lowerName: string) => boolean {
  const names = new Set(patterns.filter((each) => !each.endsWith('*')));
  const beginnings = patterns.filter((each) => each.endsWith('*')).map((each) => each.slice(0, -1));
  return (name) => names.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}

const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/** Percent-encoding in its one normal form (RFC 3986 §6.2.2): capitals, and letters that need no encoding as themselves. */
function normaliseEncoding(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (code, hex: string) => {
    const letter = String.fromCharCode(Number.parseInt(hex, 16));
    return UNRESERVED.test(letter) ? letter : code.toUpperCase();
  });
}

/**
 * Sorted by name, values of one name in their order, without what is ignored. This is also what Finvera is sent.
 * @param query with its `?`, or empty.
 */
export function normaliseQuery(query: string, isIgnored: (lowerName: string) => boolean): string {
  if (query.length < 2) return '';
  const pairs: { name: string; pair: string }[] = [];
  for (const part of query.slice(1).split('&')) {
    if (part === '') continue;
    const pair = normaliseEncoding(part);
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (!isIgnored(plainName(name))) pairs.push({ name, pair });
  }
  pairs.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return pairs.length === 0 ? '' : `?${pairs.map(({ pair }) => pair).join('&')}`;
}

/** However it is spelt: `%61pikey` and `APIKEY ` are read as `apikey` by somebody. */
function plainName(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' ')).trim().toLowerCase();
  } catch {
    return name.toLowerCase();
  }
}

/** Of the cache itself, not of what is asked for: never sent on, never keyed. */
const OF_THE_CACHE = new Set([
  'cache-control',
  'pragma',
  'if-none-match',
  'if-modified-since',
  'if-match',
  'if-unmodified-since',
  'if-range',
  'range',
  'content-length',
  'max-forwards',
]);
const CODINGS = ['br', 'deflate', 'gzip', 'zstd'];

/**
 * The fields that reach Finvera, names in lower case and sorted. Browsers spell Accept-Encoding in many ways that mean
 * the same: it is sent as the sorted list of the codings it allows.
 * @param headers the client's, without what never passes.
 */
export function selectHeaders(headers: HeaderList, isIgnored: (lowerName: string) => boolean): string[] {
  const byName = fieldsByName(headers);
  const selected: string[] = [];
  for (const name of Object.keys(byName).sort()) {
    if (OF_THE_CACHE.has(name) || isIgnored(name)) continue;
    const value = (byName[name] as string).trim();
    const kept = name === 'accept-encoding' ? normaliseCodings(value) : value;
    selected.push(name, kept);
  }
  return selected;
}

function normaliseCodings(text: string): string {
  const allowed = new Set<string>();
  for (const part of text.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    const isRefused = parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
    if (!isRefused && CODINGS.includes(coding === 'x-gzip' ? 'gzip' : coding))
      allowed.add(coding === 'x-gzip' ? 'gzip' : coding);
  }
  return allowed.size === 0 ? 'identity' : [...allowed].sort().join(', ');
}
