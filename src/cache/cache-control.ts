/**
 * Reads Cache-Control (RFC 9111 §5.2) so that whatever is odd about it makes an answer less shareable, never more:
 * `private=""` is private, a quote that never ends is a refusal, two lifetimes are none (CVE-2026-9678, CVE-2026-13697).
 */

/** Names in lower case; the value without its quotes, or true where there is none. */
export type Directives = ReadonlyMap<string, string | true>;

export interface CacheControl {
  readonly directives: Directives;
  /** Not of the field's grammar: nothing it says can be relied on. */
  readonly isMalformed: boolean;
}

const DIRECTIVE =
  /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^",\s]*)))?[ \t]*(?:,|$)/y;
/** What makes a number ambiguous when it is said twice. */
const NUMERIC = ['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'];

export function parseCacheControl(text: string | undefined): CacheControl {
  const directives = new Map<string, string | true>();
  if (text === undefined) return { directives, isMalformed: false };
  let isMalformed = false;
  let at = 0;
  while (at < text.length) {
    const gap = /[ \t]*,?/y;
    DIRECTIVE.lastIndex = at;
    const found = DIRECTIVE.exec(text);
    if (!found) {
      // Empty elements are allowed in lists (RFC 9110 §5.6.1).
      gap.lastIndex = at;
      const skipped = gap.exec(text)?.[0].length ?? 0;
      if (skipped === 0) return { directives, isMalformed: true };
      at += skipped;
      continue;
    }
    at = DIRECTIVE.lastIndex;
    const name = (found[1] ?? '').toLowerCase();
    const value = found[2] ?? found[3] ?? true;
    const before = directives.get(name);
    if (before !== undefined && before !== value && NUMERIC.includes(name)) isMalformed = true;
    // Without an argument a directive says the most: `private, private="x"` is private.
    directives.set(name, before === true ? true : value);
  }
  return { directives, isMalformed };
}

/** @returns whole seconds; 0 where the directive is there and says nothing valid; undefined where it is not there. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const value = directives.get(name);
  if (value === undefined) return undefined;
  // A number too large is "very long" (RFC 9111 §1.2.2).
  return value !== true && /^\d+$/.test(value) ? Math.min(Number(value), 2 ** 31) : 0;
}

/** What a client asks of caches (RFC 9111 §5.2.1). */
export interface RequestDirectives {
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAgeMs: number | undefined;
  readonly minFreshMs: number | undefined;
}

const NOTHING_ASKED: RequestDirectives = {
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  maxAgeMs: undefined,
  minFreshMs: undefined,
};

export function requestDirectives(cacheControl: string | undefined, pragma: string | undefined): RequestDirectives {
  if (cacheControl === undefined) {
    // Only without Cache-Control (RFC 9111 §5.4).
    return pragma?.toLowerCase().includes('no-cache') ? { ...NOTHING_ASKED, noCache: true } : NOTHING_ASKED;
  }
  const { directives } = parseCacheControl(cacheControl);
  const ms = (name: string) => {
    const seconds = secondsOf(directives, name);
    return seconds === undefined ? undefined : seconds * 1_000;
  };
  return {
    noCache: directives.has('no-cache'),
    noStore: directives.has('no-store'),
    onlyIfCached: directives.has('only-if-cached'),
    maxAgeMs: ms('max-age'),
    minFreshMs: ms('min-fresh'),
  };
}
