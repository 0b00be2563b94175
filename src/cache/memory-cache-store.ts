/** Kept answers in the process: bounded by number and bytes, the one used least recently goes first. */
import { LRUCache } from 'lru-cache';
import { type CacheEntry, lifeMs } from './cache-entry.ts';

export interface MemoryCacheStore {
  get(key: string): CacheEntry | undefined;
  set(key: string, entry: CacheEntry): void;
  delete(key: string): void;
  /** True where an answer to the same address with other request headers is kept. */
  hasVariant(uriKey: string): boolean;
  clear(): void;
  readonly size: number;
  readonly bytes: number;
}

/** What an entry costs besides its bytes, roughly: objects, map slots, the buffer's own head. */
const ENTRY_OVERHEAD_BYTES = 900;

export function createMemoryCacheStore(maxEntries: number, maxBytes: number): MemoryCacheStore {
  const variants = new Map<string, number>();
  const forget = (uriKey: string) => {
    const left = (variants.get(uriKey) ?? 1) - 1;
    if (left > 0) variants.set(uriKey, left);
    else variants.delete(uriKey);
  };
  const entries = new LRUCache<string, CacheEntry>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: sizeOf,
    dispose: ({ uriKey }) => forget(uriKey),
  });
  return {
    get: (key) => entries.get(key),
    set(key, entry) {
      entries.set(key, entry, { ttl: Math.max(1, Math.ceil(lifeMs(entry) + RETENTION_MS)) });
      if (entries.peek(key) === entry) variants.set(entry.uriKey, (variants.get(entry.uriKey) ?? 0) + 1);
    },
    delete: (key) => void entries.delete(key),
    hasVariant: (uriKey) => variants.has(uriKey),
    clear: () => entries.clear(),
    get size() {
      return entries.size;
    },
    get bytes() {
      return entries.calculatedSize;
    },
  };
}

/** Kept on after it may be served: it can still be confirmed with a 304 instead of sent anew. */
const RETENTION_MS = 60_000;

function sizeOf(entry: CacheEntry, key: string): number {
  let strings = key.length + entry.uriKey.length + entry.path.length;
  for (const part of entry.headers) strings += part.length;
  return ENTRY_OVERHEAD_BYTES + entry.body.byteLength + strings;
}
