/** Who of this instance wants what: counts the readers of each topic, and finds those of a message. Sends nothing. */
import { isOfKind, type Subject, type Topic } from './hub-protocol.ts';

/** What the counting needs to know of a reader: nothing but itself. */
export interface SubscriptionCounts<Reader extends object> {
  /** @returns false where the reader has it already. */
  add(reader: Reader, topic: Topic): boolean;
  /** `*` ends those of all symbols; without a kind every kind ends. */
  remove(reader: Reader, topic: Topic): void;
  removeAll(reader: Reader): void;
  of(reader: Reader): readonly Topic[];
  countOf(reader: Reader): number;
  isWanted(key: string): boolean;
  /** Calls once for each reader that wants a message, however many of its subscriptions bring it. @returns how many. */
  forEachReader(about: Subject, visit: (reader: Reader) => void): number;
  /** Every topic that somebody wants, by its key. */
  wanted(): Iterable<readonly [string, Topic]>;
  /** How many topics have a reader. */
  readonly size: number;
}

export type OnChange = (key: string, topic: Topic) => void;

/** The same for the same topic; a symbol holds no control character. */
export function keyOf({ symbol, kind, form }: Topic): string {
  return `${form}\n${kind}\n${symbol}`;
}

interface Group<Reader> {
  readonly topic: Topic;
  readonly readers: Set<Reader>;
}

/** @param onChange told when a topic gets its first reader, and when it loses the last. */
export function createSubscriptionCounts<Reader extends object>(onChange: OnChange): SubscriptionCounts<Reader> {
  const topics = new Map<string, Group<Reader>>();
  /** The same groups by symbol, since that is what a message has. */
  const bySymbol = new Map<string, Map<string, Group<Reader>>>();
  const byReader = new Map<Reader, Map<string, Topic>>();
  /** The number of the message that a reader got last: nobody gets one twice. */
  const lastMessage = new WeakMap<Reader, number>();
  let messages = 0;

  function groupOf(key: string, topic: Topic): Group<Reader> {
    const known = topics.get(key);
    if (known) return known;
    const group = { topic, readers: new Set<Reader>() };
    topics.set(key, group);
    const siblings = bySymbol.get(topic.symbol) ?? new Map<string, Group<Reader>>();
    bySymbol.set(topic.symbol, siblings.set(key, group));
    return group;
  }

  function take(reader: Reader, key: string, topic: Topic): void {
    const group = topics.get(key);
    if (!group?.readers.delete(reader) || group.readers.size > 0) return;
    topics.delete(key);
    const siblings = bySymbol.get(topic.symbol);
    siblings?.delete(key);
    if (siblings?.size === 0) bySymbol.delete(topic.symbol);
    onChange(key, topic);
  }

  return {
    add(reader, topic) {
      const key = keyOf(topic);
      const own = byReader.get(reader) ?? new Map<string, Topic>();
      if (own.has(key)) return false;
      byReader.set(reader, own.set(key, topic));
      const { readers } = groupOf(key, topic);
      readers.add(reader);
      if (readers.size === 1) onChange(key, topic);
      return true;
    },
    remove(reader, { symbol, kind, form }) {
      const own = byReader.get(reader);
      if (!own) return;
      for (const [key, topic] of own) {
        const isMeant = symbol === '*' || topic.symbol === symbol;
        if (!isMeant || (kind !== '' && (topic.kind !== kind || topic.form !== form))) continue;
        own.delete(key);
        take(reader, key, topic);
      }
      if (own.size === 0) byReader.delete(reader);
    },
    removeAll(reader) {
      const own = byReader.get(reader);
      byReader.delete(reader);
      for (const [key, topic] of own ?? []) take(reader, key, topic);
    },
    of: (reader) => [...(byReader.get(reader)?.values() ?? [])],
    countOf: (reader) => byReader.get(reader)?.size ?? 0,
    isWanted: (key) => topics.has(key),
    forEachReader(about, visit) {
      messages += 1;
      let count = 0;
      for (const symbol of [...about.symbols, '*']) {
        for (const { topic, readers } of bySymbol.get(symbol)?.values() ?? []) {
          if (!isOfKind(topic, about)) continue;
          for (const reader of readers) {
            if (lastMessage.get(reader) === messages) continue;
            lastMessage.set(reader, messages);
            count += 1;
            visit(reader);
          }
        }
      }
      return count;
    },
    *wanted() {
      for (const [key, { topic }] of topics) yield [key, topic] as const;
    },
    get size() {
      return topics.size;
    },
  };
}
