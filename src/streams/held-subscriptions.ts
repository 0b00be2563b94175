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
  /** The next messages for the upstream, at most so many; what came and went in between is not told at all. */
  take(max: number): string[];
  /** Whether something is still to be told. */
  readonly isBehind: boolean;
  /** How many topics the upstream holds. */
  readonly size: number;
}

export function createHeldSubscriptions(counts: Wanted): HeldSubscriptions {
  const held = new Map<string, Topic>();
  const due = new Map<string, Topic>();

  /** Takes back what an `unsubscribe` may have ended besides its own topic, and has it told again. */
  function doubt({ symbol }: Topic): void {
    for (const [key, topic] of held) {
      // By the documentation `*` ends all, and an `unsubscribe` names no type: whether it heeds one is not known.
      if (symbol !== '*' && topic.symbol !== symbol) continue;
      if (!counts.isWanted(key)) continue;
      held.delete(key);
      due.set(key, topic);
    }
  }

  function next(key: string, topic: Topic): string | undefined {
    const isWanted = counts.isWanted(key);
    if (isWanted === held.has(key)) return undefined;
    if (isWanted) {
      held.set(key, topic);
      return writeUpstream('subscribe', topic);
    }
    held.delete(key);
    doubt(topic);
    return writeUpstream('unsubscribe', topic);
  }

  return {
    changed: (key, topic) => void due.set(key, topic),
    startOver() {
      held.clear();
      due.clear();
      for (const [key, topic] of counts.wanted()) due.set(key, topic);
    },
    take(max) {
      const messages: string[] = [];
      // Entries that are added meanwhile are visited too.
      for (const [key, topic] of due) {
        if (messages.length >= max) break;
        due.delete(key);
        const message = next(key, topic);
        if (message !== undefined) messages.push(message);
      }
      return messages;
    },
    get isBehind() {
      return due.size > 0;
    },
    get size() {
      return held.size;
    },
  };
}
