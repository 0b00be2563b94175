/**
 * What the upstream has been told of one connection, and what it is to be told next so that it holds just what is wanted.
 * Pure: it decides, somebody else sends.
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

export function createHeldSubscriptions(counts: Wanted): HeldSubscriptions {
  const held = new Map<string, Topic>();
  const due = new Map<string, Topic>();

  /**
   * What an `unsubscribe` may have ended besides its own topic. By the documentation `*` ends all, and an `unsubscribe`
   * names no type: whether it heeds one is not known.
   */
  function endedWith({ symbol }: Topic): Topic[] {
    const others = [...held].filter(
      ([key, topic]) => (symbol === '*' || topic.symbol === symbol) && counts.isWanted(key),
    );
    return others.map(([, topic]) => topic);
  }

  function begin(key: string, topic: Topic): string[] {
    if (held.has(key)) return [];
    held.set(key, topic);
    return [writeUpstream('subscribe', topic)];
  }

  function end(key: string, topic: Topic): string[] {
    if (!held.delete(key)) return [];
    const again = endedWith(topic).map((other) => writeUpstream('subscribe', other));
    return [writeUpstream('unsubscribe', topic), ...again];
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
      const taken = [...due].slice(0, max);
      for (const [key] of taken) due.delete(key);
      const begun = taken.filter(([key]) => counts.isWanted(key));
      const ended = taken.filter(([key]) => !counts.isWanted(key));
      // Beginnings first: who changes from `*` to a symbol, or from one type to another, misses nothing in between.
      return [
        ...begun.flatMap(([key, topic]) => begin(key, topic)),
        ...ended.flatMap(([key, topic]) => end(key, topic)),
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
