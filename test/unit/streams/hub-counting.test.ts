// The counting against models: many browsers, an upstream that is lost now and then, and two ideas of what `unsubscribe` ends.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { replyTo } from '../../../simulator/stream-replies.ts';
import { createSubscriptions, type Subscriptions } from '../../../simulator/stream-subscriptions.ts';
import { createHeldSubscriptions, type HeldSubscriptions } from '../../../src/streams/held-subscriptions.ts';
import { isOfKind, type Topic } from '../../../src/streams/hub-protocol.ts';
import { createSubscriptionCounts, keyOf } from '../../../src/streams/subscription-counts.ts';
import { PROPERTY_TIMEOUT_MS, property } from '../../support/properties.ts';

const SYMBOLS = ['AAPL', 'MSFT', 'NVDA', '*'];
const READERS = [{ name: 'a' }, { name: 'b' }, { name: 'c' }, { name: 'd' }];

const topic = fc.oneof(
  fc.record({
    symbol: fc.constantFrom(...SYMBOLS),
    kind: fc.constantFrom('', 'quote', 'news'),
    form: fc.constant('type' as const),
  }),
  fc.record({
    symbol: fc.constantFrom(...SYMBOLS),
    kind: fc.constant('FMV'),
    form: fc.constant('event' as const),
  }),
);
const reader = fc.constantFrom(...READERS);
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ does: fc.constant('add' as const), reader, topic }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('remove' as const), reader, topic }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('leave' as const), reader }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('lose' as const) }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('tell' as const), max: fc.integer({ min: 0, max: 5 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What each reader wants, kept as plainly as can be. */
function createModel() {
  const wants = new Map(READERS.map((each) => [each, [] as Topic[]]));
  const isSame = (one: Topic, other: Topic) => keyOf(one) === keyOf(other);
  return {
    of: (each: (typeof READERS)[number]) => wants.get(each) ?? [],
    all: () => [...new Set([...wants.values()].flat().map(keyOf))].sort(),
    apply(taken: Step): void {
      if (taken.does === 'leave') wants.set(taken.reader, []);
      if (taken.does !== 'add' && taken.does !== 'remove') return;
      const own = wants.get(taken.reader) ?? [];
      const { topic: meant } = taken;
      const isEnded = ({ symbol, kind, form }: Topic) =>
        (meant.symbol === '*' || meant.symbol === symbol) &&
        (meant.kind === '' || (meant.kind === kind && meant.form === form));
      if (taken.does === 'remove')
        wants.set(
          taken.reader,
          own.filter((each) => !isEnded(each)),
        );
      else if (!own.some((each) => isSame(each, meant))) wants.set(taken.reader, [...own, meant]);
    },
  };
}

type Upstream = () => { subscriptions: Subscriptions; hear(message: string): void };

/** As the simulator does it: an `unsubscribe` with a type ends that type. */
const heedsType: Upstream = () => {
  const subscriptions = createSubscriptions();
  return { subscriptions, hear: (message) => void replyTo(Buffer.from(message), subscriptions, () => []) };
};

/** As the documentation can be read too: there is no type in `unsubscribe`. */
const ignoresType: Upstream = () => {
  const { subscriptions, hear } = heedsType();
  return {
    subscriptions,
    hear(message) {
      const { type, ...rest } = JSON.parse(message);
      hear(rest.action === 'unsubscribe' ? JSON.stringify(rest) : message);
    },
  };
};

function heldBy({ list }: Subscriptions): string[] {
  const topics = list().map(({ symbol, type, form }) =>
    form === 'params'
      ? ({ symbol, kind: 'FMV', form: 'event' } as const)
      : ({ symbol, kind: type ?? '', form: 'type' } as const),
  );
  return topics.map(keyOf).sort();
}

test.each([
  ['heeds', heedsType],
  ['ignores', ignoresType],
] as const)(
  'an upstream that %s the type of an unsubscribe holds just what somebody wants, once it was told',
  (_name, createUpstream) => {
    property.holds(fc.array(step, { maxLength: 60 }), (steps) => {
      let upstream = createUpstream();
      const model = createModel();
      const changed: HeldSubscriptions['changed'] = (key, each) => held.changed(key, each);
      const counts = createSubscriptionCounts<(typeof READERS)[number]>(changed);
      const held = createHeldSubscriptions(counts);
      for (const taken of steps) {
        model.apply(taken);
        if (taken.does === 'add') counts.add(taken.reader, taken.topic);
        if (taken.does === 'remove') counts.remove(taken.reader, taken.topic);
        if (taken.does === 'leave') counts.removeAll(taken.reader);
        if (taken.does === 'tell') for (const message of held.take(taken.max)) upstream.hear(message);
        if (taken.does !== 'lose') continue;
        upstream = createUpstream();
        held.startOver();
      }
      expect([...counts.wanted()].map(([key]) => key).sort()).toEqual(model.all());
      for (const message of held.take(1_000)) upstream.hear(message);
      expect(heldBy(upstream.subscriptions)).toEqual(model.all());
      expect([held.size, held.isBehind]).toEqual([model.all().length, false]);
      expect(held.take(1_000)).toEqual([]);
    });
  },
  PROPERTY_TIMEOUT_MS,
);

test(
  'a message goes once to everybody who wants it and to nobody else',
  () => {
    const about = fc.record({
      symbols: fc.uniqueArray(fc.constantFrom<string>('AAPL', 'MSFT', 'TSLA'), { minLength: 1, maxLength: 3 }),
      type: fc.constantFrom(undefined, 'quote', 'news'),
      event: fc.constantFrom(undefined, 'FMV'),
    });
    property.holds(fc.array(step, { maxLength: 40 }), fc.array(about, { maxLength: 5 }), (steps, messages) => {
      const model = createModel();
      const counts = createSubscriptionCounts<(typeof READERS)[number]>(() => {});
      for (const taken of steps) {
        model.apply(taken);
        if (taken.does === 'add') counts.add(taken.reader, taken.topic);
        if (taken.does === 'remove') counts.remove(taken.reader, taken.topic);
        if (taken.does === 'leave') counts.removeAll(taken.reader);
      }
      for (const message of messages) {
        const got: string[] = [];
        const count = counts.forEachReader(message, ({ name }) => got.push(name));
        const wanted = READERS.filter((each) =>
          model
            .of(each)
            .some((own) => (own.symbol === '*' || message.symbols.includes(own.symbol)) && isOfKind(own, message)),
        );
        expect(got.sort()).toEqual(wanted.map(({ name }) => name));
        expect(count).toBe(wanted.length);
      }
      for (const each of READERS) {
        expect(counts.of(each).map(keyOf).sort()).toEqual(model.of(each).map(keyOf).sort());
        counts.removeAll(each);
      }
      expect(counts.size).toBe(0);
    });
  },
  PROPERTY_TIMEOUT_MS,
);

test('the upstream is told of the first and of the last, not of those between', () => {
  const counts = createSubscriptionCounts<(typeof READERS)[number]>((key, each) => held.changed(key, each));
  const held = createHeldSubscriptions(counts);
  const apple: Topic = { symbol: 'AAPL', kind: '', form: 'type' };
  const [a, b] = READERS as [(typeof READERS)[number], (typeof READERS)[number]];
  counts.add(a, apple);
  expect(held.take(9)).toEqual(['{"action":"subscribe","symbol":"AAPL"}']);
  counts.add(b, apple);
  counts.remove(a, apple);
  expect(held.take(9)).toEqual([]);
  counts.removeAll(b);
  expect(held.take(9)).toEqual(['{"action":"unsubscribe","symbol":"AAPL"}']);
});

describe('the last `*` that leaves while single symbols stay', () => {
  const [a, b, c] = READERS as [(typeof READERS)[number], (typeof READERS)[number], (typeof READERS)[number]];
  const all: Topic = { symbol: '*', kind: '', form: 'type' };
  const apple: Topic = { symbol: 'AAPL', kind: 'quote', form: 'type' };
  const others = ['MSFT', 'NVDA'].map((symbol): Topic => ({ symbol, kind: '', form: 'type' }));

  function createCounted() {
    const counts = createSubscriptionCounts<(typeof READERS)[number]>((key, each) => held.changed(key, each));
    const held = createHeldSubscriptions(counts);
    return { counts, held };
  }

  test('is followed at once by their subscriptions, however little may be told', () => {
    const { counts, held } = createCounted();
    counts.add(a, apple);
    for (const each of others) counts.add(c, each);
    counts.add(b, all);
    held.take(9);
    counts.removeAll(b);
    expect(held.take(1)).toEqual([
      '{"action":"unsubscribe","symbol":"*"}',
      '{"action":"subscribe","symbol":"AAPL","type":"quote"}',
      '{"action":"subscribe","symbol":"MSFT"}',
      '{"action":"subscribe","symbol":"NVDA"}',
    ]);
    expect(held.isBehind).toBe(false);
  });

  test('makes what stays be told once, however many kinds of * one browser held', () => {
    const { counts, held } = createCounted();
    for (const each of others) counts.add(c, each);
    for (let i = 0; i < 500; i += 1) counts.add(b, { ...all, kind: `kind-${i}` });
    held.take(1_000);
    counts.removeAll(b);
    const told = held.take(1_000);
    expect(told).toHaveLength(502);
    expect(told.slice(-2)).toEqual(others.map(({ symbol }) => JSON.stringify({ action: 'subscribe', symbol })));
  });

  test('is told of at intervals only, while single symbols stay; one that comes back is not told of at all', () => {
    const { counts, held } = createCounted();
    counts.add(a, apple);
    const comeAndGo = () => {
      counts.add(b, all);
      const begun = held.take(9);
      counts.removeAll(b);
      return [...begun, ...held.take(9)].filter((message) => message.includes('*'));
    };
    expect(comeAndGo()).toHaveLength(2);
    expect(comeAndGo()).toEqual(['{"action":"subscribe","symbol":"*"}']);
    expect(held.isBehind).toBe(true);
    for (let i = 0; i < 100; i += 1) expect(comeAndGo()).toEqual([]);
    counts.add(c, others[0] as Topic);
    expect(held.take(1)).toEqual(['{"action":"subscribe","symbol":"MSFT"}']);
  });

  test.each(['nvda', 'ｎvda', 'T.*', 'N*'])('and %s, which may be read as theirs, have theirs told again', (symbol) => {
    const { counts, held } = createCounted();
    counts.add(c, { symbol: 'NVDA', kind: '', form: 'type' });
    counts.add(c, { symbol: 'NV', kind: '', form: 'type' });
    counts.add(b, { symbol, kind: '', form: 'type' });
    held.take(9);
    counts.removeAll(b);
    const told = held.take(9);
    expect(told[0]).toBe(JSON.stringify({ action: 'unsubscribe', symbol }));
    expect(told).toContain('{"action":"subscribe","symbol":"NVDA"}');
    expect(told.includes('{"action":"subscribe","symbol":"NV"}')).toBe(symbol.includes('*'));
  });

  test('is told of at once where nothing else stays', () => {
    const { counts, held } = createCounted();
    for (let i = 0; i < 3; i += 1) {
      counts.add(b, all);
      counts.removeAll(b);
      counts.add(b, all);
      expect(held.take(9)).toEqual(['{"action":"subscribe","symbol":"*"}']);
      counts.removeAll(b);
      expect(held.take(9)).toEqual(['{"action":"unsubscribe","symbol":"*"}']);
    }
  });

  test('is told of after what begins in the same turn, whichever was asked first', () => {
    const { counts, held } = createCounted();
    counts.add(b, all);
    held.take(9);
    counts.removeAll(b);
    counts.add(a, apple);
    expect(held.take(9)).toEqual([
      '{"action":"subscribe","symbol":"AAPL","type":"quote"}',
      '{"action":"unsubscribe","symbol":"*"}',
      '{"action":"subscribe","symbol":"AAPL","type":"quote"}',
    ]);
  });
});
