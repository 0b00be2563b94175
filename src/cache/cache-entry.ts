/** An answer that is kept: what it is, how old, and whether a browser has it already. Pure. */
import { fieldOf, type HeaderList } from './header-list.ts';

/** Moments in ms since 1970, spans in ms. */
export interface CacheEntry {
  readonly status: number;
  /** As a browser may see them, without Age and Cache-Status. */
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** What Finvera said of keeping it, for the next time it is asked. */
  readonly control: UpstreamControl;
  /** When Finvera was asked: what was changed since then is not in it. */
  readonly requestedAt: number;
  /** The moment at which its age was 0. */
  readonly bornAt: number;
  readonly freshForMs: number;
  /** Beyond `freshForMs`. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly scope: string;
  readonly route: string;
  readonly path: string;
  readonly uriKey: string;
}

export interface UpstreamControl {
  readonly cacheControl?: string;
  readonly expires?: string;
  readonly pragma?: string;
  readonly vary?: string;
}

export const ageMs = ({ bornAt }: CacheEntry, now: number): number => Math.max(0, now - bornAt);

/** Negative: stale for so long. */
export const ttlMs = (entry: CacheEntry, now: number): number => entry.freshForMs - ageMs(entry, now);

/** How long it is of any use. */
export function lifeMs({ freshForMs, staleWhileRevalidateMs, staleIfErrorMs }: CacheEntry): number {
  return freshForMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs);
}

export const isStaleWhileRevalidate = (entry: CacheEntry, now: number): boolean =>
  -ttlMs(entry, now) < entry.staleWhileRevalidateMs;

export const isStaleIfError = (entry: CacheEntry, now: number): boolean => -ttlMs(entry, now) < entry.staleIfErrorMs;

/** What asks Finvera whether the entry still holds; empty where it cannot be asked. */
export function validatorsOf({ headers }: CacheEntry): string[] {
  const etag = fieldOf(headers, 'etag');
  const modified = fieldOf(headers, 'last-modified');
  return [
    ...(etag === undefined ? [] : ['if-none-match', etag]),
    ...(modified === undefined ? [] : ['if-modified-since', modified]),
  ];
}

const weak = (etag: string): string => etag.trim().replace(/^W\//, '');

/** True where the browser has this very answer (RFC 9110 §13.2.2): If-None-Match counts before If-Modified-Since. */
export function isNotModified(
  entry: CacheEntry,
  ifNoneMatch: string | undefined,
  ifModifiedSince: string | undefined,
): boolean {
  if (entry.status !== 200) return false;
  if (ifNoneMatch !== undefined) {
    const etag = fieldOf(entry.headers, 'etag');
    if (ifNoneMatch.trim() === '*') return true;
    if (etag === undefined) return false;
    const tags = ifNoneMatch.match(/(?:W\/)?"[^"]*"/g) ?? [];
    return tags.some((tag) => weak(tag) === weak(etag));
  }
  if (ifModifiedSince === undefined) return false;
  const modified = Date.parse(fieldOf(entry.headers, 'last-modified') ?? '');
  const since = Date.parse(ifModifiedSince);
  return !Number.isNaN(modified) && !Number.isNaN(since) && modified <= since;
}

/** What a 304 bears (RFC 9110 §15.4.5): nothing that describes a body that is not there. */
export const isOfTheBody = (lowerName: string): boolean =>
  lowerName.startsWith('content-') && lowerName !== 'content-location';
