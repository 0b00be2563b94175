/**
 * Which kept answers are not to be used any more, wherever they lie: an operator's purge, or a change that went through
 * the gateway (RFC 9111 §4.4). A mark is laid over them instead of searching for them, so that an answer that is under
 * way, or comes back out of Redis later, is covered as well.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { CacheEntry } from './cache-entry.ts';

/** Of what: all of a route, all paths of a pattern (`*` stands for anything), or one path, whoever shares it. */
export const invalidationForm = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('route'), id: z.string(), at: z.number(), route: z.string() }),
  z.object({ kind: z.literal('pattern'), id: z.string(), at: z.number(), pattern: z.string() }),
  z.object({ kind: z.literal('path'), id: z.string(), at: z.number(), mark: z.string() }),
]);
/** `at`, ms since 1970: what was asked of Finvera until then is not used. */
export type Invalidation = z.infer<typeof invalidationForm>;

export interface Invalidations {
  apply(invalidation: Invalidation): void;
  covers(entry: Pick<CacheEntry, 'requestedAt' | 'route' | 'path'>): boolean;
  /** True where nothing is marked: what is asked first. */
  isEmpty(): boolean;
}

/** Does not say which path: it goes through Redis. */
export function pathMark(path: string): string {
  return createHash('sha256').update(path).digest('base64url');
}

const MAX_PATHS = 10_000;
const MAX_RULES = 1_000;

export function createInvalidations(): Invalidations {
  const paths = new Map<string, number>();
  const rules: { readonly at: number; covers(entry: Pick<CacheEntry, 'route' | 'path'>): boolean }[] = [];
  /** Where there are too many marks the oldest becomes one over everything: too much is forgotten, never too little. */
  let everythingUntil = Number.NEGATIVE_INFINITY;
  const giveWay = (at: number | undefined) => {
    everythingUntil = Math.max(everythingUntil, at ?? everythingUntil);
  };
  return {
    isEmpty: () => paths.size === 0 && rules.length === 0 && everythingUntil === Number.NEGATIVE_INFINITY,
    apply(invalidation) {
      const { at } = invalidation;
      if (invalidation.kind === 'path') {
        const latest = Math.max(at, paths.get(invalidation.mark) ?? at);
        paths.delete(invalidation.mark);
        paths.set(invalidation.mark, latest);
        if (paths.size <= MAX_PATHS) return;
        const [oldest] = paths;
        giveWay(oldest?.[1]);
        if (oldest) paths.delete(oldest[0]);
        return;
      }
      rules.push({ at, covers: coverOf(invalidation) });
      if (rules.length > MAX_RULES) giveWay(rules.shift()?.at);
    },
    covers(entry) {
      if (entry.requestedAt <= everythingUntil) return true;
      if (rules.some(({ at, covers }) => entry.requestedAt <= at && covers(entry))) return true;
      if (paths.size === 0) return false;
      const at = paths.get(pathMark(entry.path));
      return at !== undefined && entry.requestedAt <= at;
    },
  };
}

function coverOf(invalidation: Exclude<Invalidation, { kind: 'path' }>) {
  if (invalidation.kind === 'route') return ({ route }: Pick<CacheEntry, 'route'>) => route === invalidation.route;
  const matches = createGlob(invalidation.pattern);
  return ({ path }: Pick<CacheEntry, 'path'>) => matches(path);
}

/** Compares piece by piece: no regular expression is made of what somebody typed. */
function createGlob(pattern: string): (text: string) => boolean {
  const pieces = pattern.split('*');
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  if (pieces.length === 1) return (text) => text === pattern;
  const middle = pieces.slice(1, -1);
  return (text) => {
    if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
    let at = first.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return at <= text.length - last.length;
  };
}
