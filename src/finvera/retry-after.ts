/** Reads `Retry-After` (RFC 9110 §10.2.3): seconds or an HTTP date. Pure. */

/** Nobody is sent away for longer than a day on an upstream's word. */
const MAX_RETRY_AFTER_MS = 24 * 3_600_000;

/** @returns milliseconds from `now`, at least 0; undefined where the value is absent or not understood. */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : parseHttpDate(text) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS);
}

/** Of the three forms of RFC 9110 §5.6.7; `Date.parse` alone makes dates of `-5` and `1.5`, too. */
function parseHttpDate(text: string): number {
  return /^[A-Z][a-z]{2,8},? .*\d\d:\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
}
