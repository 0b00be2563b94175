/**
 * What the upstream has been told of one connection, and what it is to be told next so that it holds just what is wanted.
 * It decides, somebody else sends; pure but for the time.
 */
import { type Topic, writeUpstream } from './hub-protocol.ts';

export interface Wanted {
  isWanted(key: string): boolean;
  wanted(): Iterable<readonly [string, Topic]>;
}

export interface HeldSubscriptions {
  /** A topic got its first reader or lost its last. */
  changed(key: string, topic: Topic): void;
  /** A new connection holds nothing yet: everything that is wanted is to be told. */
  startOver(): void;
  /**
   * The next messages for the upstream, to be sent in one go; what came and went in between is not told at all.
   * @param max of changes: an end brings along whatever is to be subscribed to again because of it.
   */
  take(max: number): string[];
  /** Whether something is still to be told. */
  readonly isBehind: boolean;
  /** How many topics the upstream holds. */
  readonly size: number;
}

export interface HeldOptions {
  /**
   * After an end of `*` that took single symbols along, the next one waits so long: whoever asks for `*` and leaves, again
   * and again, would have everything told anew each time, and others wait behind it. Default 10 s.
   */
  readonly allEndsEveryMs?: number;
}

const ALL_ENDS_EVERY_MS = 10_000;

interface HeldTopic {
  readonly topic: Topic;
  /** As `nameOf` makes it. */
  readonly name: string;
}

/** The same for whatever somebody may take for the same symbol. */
const nameOf = ({ symbol }: Topic): string => symbol.normalize('NFKC').toUpperCase();

/** `*`, and what may be read as a pattern of one: `T.*`. */
const isOfMany = ({ symbol }: Topic): boolean => symbol.includes('*');

export function createHeldSubscriptions(
  counts: Wanted,
  { allEndsEveryMs = ALL_ENDS_EVERY_MS }: HeldOptions = {},
): HeldSubscriptions {
  const held = new Map<string, HeldTopic>();
  const due = new Map<string, Topic>();
  let allMayEndAt = Number.NEGATIVE_INFINITY;

  /**
   * What an `unsubscribe` may have ended besides its own topic. By the documentation `*` ends all, and an `unsubscribe`
   * names no type: whether it heeds one is not known, nor whether `aapl` is another symbol there.
   */
  function endedWith(ended: readonly Topic[]): Topic[] {
    const names = new Set(ended.map(nameOf));
    const isAll = ended.some(isOfMany);
    const others = [...held].filter(([key, { name }]) => (isAll || names.has(name)) && counts.isWanted(key));
    if (isAll && others.length > 0) allMayEndAt = performance.now() + allEndsEveryMs;
    return others.map(([, { topic }]) => topic);
  }

  function takeDue(max: number): [string, Topic][] {
    const mustWait = performance.now() < allMayEndAt;
    const taken: [string, Topic][] = [];
    for (const [key, topic] of due) {
      if (taken.length >= max) break;
      if (mustWait && isOfMany(topic) && !counts.isWanted(key)) continue;
      due.delete(key);
      taken.push([key, topic]);
    }
    return taken;
  }

  return {
    changed(key, topic) {
      if (counts.isWanted(key) === held.has(key)) due.delete(key);
      else due.set(key, topic);
    },
    startOver() {
      held.clear();
      due.clear();
      for (const [key, topic] of counts.wanted()) due.set(key, topic);
    },
    take(max) {
      const taken = takeDue(max);
      const begun = taken.filter(([key]) => counts.isWanted(key) && !held.has(key));
      for (const [key, topic] of begun) held.set(key, { topic, name: nameOf(topic) });
      const ended = taken.filter(([key]) => !counts.isWanted(key) && held.delete(key)).map(([, topic]) => topic);
      // Beginnings first: who changes from `*` to a symbol, or from one type to another, misses nothing in between. What
      // ends come to is told once for all of them: one page may end hundreds.
      return [
        ...begun.map(([, topic]) => writeUpstream('subscribe', topic)),
        ...ended.map((topic) => writeUpstream('unsubscribe', topic)),
        ...(ended.length === 0 ? [] : endedWith(ended)).map((topic) => writeUpstream('subscribe', topic)),
      ];
    },
    get isBehind() {
      return due.size > 0;
    },
    get size() {
      return held.size;
    },
  };
}
