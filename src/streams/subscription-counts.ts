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

/** A reader with what is kept of it. */
interface Entry<Reader> {
  readonly reader: Reader;
  readonly topics: Map<string, Topic>;
  /** The number of the message that it got last: nobody gets one twice. */
  lastMessage: number;
}

interface Group<Reader> {
  readonly topic: Topic;
  readonly entries: Set<Entry<Reader>>;
}

/** @param onChange told when a topic gets its first reader, and when it loses the last. */
export function createSubscriptionCounts<Reader extends object>(onChange: OnChange): SubscriptionCounts<Reader> {
  const groups = new Map<string, Group<Reader>>();
  /** The same groups by symbol, since that is what a message has. */
  const bySymbol = new Map<string, Map<string, Group<Reader>>>();
  const byReader = new Map<Reader, Entry<Reader>>();
  let messages = 0;

  function groupOf(key: string, topic: Topic): Group<Reader> {
    const known = groups.get(key);
    if (known) return known;
    const group = { topic, entries: new Set<Entry<Reader>>() };
    groups.set(key, group);
    const siblings = bySymbol.get(topic.symbol) ?? new Map<string, Group<Reader>>();
    bySymbol.set(topic.symbol, siblings.set(key, group));
    return group;
  }

  function take(entry: Entry<Reader>, key: string, topic: Topic): void {
    const group = groups.get(key);
    if (!group?.entries.delete(entry) || group.entries.size > 0) return;
    groups.delete(key);
    const siblings = bySymbol.get(topic.symbol);
    siblings?.delete(key);
    if (siblings?.size === 0) bySymbol.delete(topic.symbol);
    onChange(key, topic);
  }

  return {
    add(reader, topic) {
      const key = keyOf(topic);
      const entry = byReader.get(reader) ?? { reader, topics: new Map<string, Topic>(), lastMessage: 0 };
      if (entry.topics.has(key)) return false;
      byReader.set(reader, entry);
      entry.topics.set(key, topic);
      const { entries } = groupOf(key, topic);
      entries.add(entry);
      if (entries.size === 1) onChange(key, topic);
      return true;
    },
    remove(reader, { symbol, kind, form }) {
      const entry = byReader.get(reader);
      if (!entry) return;
      for (const [key, topic] of entry.topics) {
        const isMeant = symbol === '*' || topic.symbol === symbol;
        if (!isMeant || (kind !== '' && (topic.kind !== kind || topic.form !== form))) continue;
        entry.topics.delete(key);
        take(entry, key, topic);
      }
      if (entry.topics.size === 0) byReader.delete(reader);
    },
    removeAll(reader) {
      const entry = byReader.get(reader);
      if (!entry) return;
      byReader.delete(reader);
      for (const [key, topic] of entry.topics) take(entry, key, topic);
    },
    of: (reader) => [...(byReader.get(reader)?.topics.values() ?? [])],
    countOf: (reader) => byReader.get(reader)?.topics.size ?? 0,
    isWanted: (key) => groups.has(key),
    forEachReader(about, visit) {
      messages += 1;
      let count = 0;
      for (const symbol of [...about.symbols, '*']) {
        for (const { topic, entries } of bySymbol.get(symbol)?.values() ?? []) {
          if (!isOfKind(topic, about)) continue;
          for (const entry of entries) {
            if (entry.lastMessage === messages) continue;
            entry.lastMessage = messages;
            count += 1;
            visit(entry.reader);
          }
        }
      }
      return count;
    },
    *wanted() {
      for (const [key, { topic }] of groups) yield [key, topic] as const;
    },
    get size() {
      return groups.size;
    },
  };
}
