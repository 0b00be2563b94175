/**
 * Counters and histograms for what happens on every request: plain numbers, found by a short key, turned into
 * prom-client's form only when somebody scrapes. prom-client itself hashes its labels at each sample.
 */
import type { Metric, Registry } from 'prom-client';
import { systemClock } from '../kernel/clock.ts';

/** Upper bounds in seconds. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

export interface FastHistogram {
  /**
   * @param label a value of a closed list.
   * @param traceId of a recorded trace: the last one of each bucket is its exemplar, where the format has room for one.
   */
  observe(label: string, seconds: number, traceId?: string): void;
}

type Labels = readonly [string, string, number, string];

/** By the label's value; below the last one the count. */
type Branch<T> = Map<string | number, T>;

export interface FastCounter {
  /** @param labels values of closed lists, in the order of the counter's label names. */
  increment(...labels: Labels): void;
}

interface Exemplar {
  readonly labelSet: { readonly trace_id: string };
  readonly value: number;
  /** Seconds since the Unix epoch. */
  readonly timestamp: number;
}

interface Samples {
  readonly buckets: Float64Array;
  /** By bucket, the last for what is above all of them. Undefined until there is a trace. */
  exemplars: (Exemplar | undefined)[] | undefined;
  count: number;
  sum: number;
}

export function createFastHistogram(registry: Registry, name: string, help: string, label: string): FastHistogram {
  const byLabel = new Map<string, Samples>();
  const values = () =>
    [...byLabel].flatMap(([value, { buckets, exemplars, count, sum }]) => {
      const labels = { [label]: value };
      let below = 0;
      const cumulated = SECONDS.map((le, i) => {
        below += buckets[i] ?? 0;
        return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below, exemplar: exemplars?.[i] };
      });
      return [
        ...cumulated,
        {
          metricName: `${name}_bucket`,
          labels: { ...labels, le: '+Inf' },
          value: count,
          exemplar: exemplars?.[SECONDS.length],
        },
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ];
    });
  register(registry, name, help, 'histogram', values, () => byLabel.clear());
  return {
    observe(value, seconds, traceId) {
      let samples = byLabel.get(value);
      if (!samples) {
        samples = { buckets: new Float64Array(SECONDS.length), exemplars: undefined, count: 0, sum: 0 };
        byLabel.set(value, samples);
      }
      samples.count += 1;
      samples.sum += seconds;
      let i = 0;
      while (i < SECONDS.length && seconds > (SECONDS[i] as number)) i += 1;
      if (i < SECONDS.length) samples.buckets[i] = (samples.buckets[i] as number) + 1;
      if (traceId === undefined) return;
      samples.exemplars ??= [];
      samples.exemplars[i] = { labelSet: { trace_id: traceId }, value: seconds, timestamp: systemClock.now() / 1_000 };
    },
  };
}

export function createFastCounter(
  registry: Registry,
  name: string,
  help: string,
  names: readonly [string, string, string, string],
): FastCounter {
  const counts: { readonly labels: Record<string, string>; value: number }[] = [];
  /** Found label by label: one key of all four would be put together, and hashed, at every request. */
  const tree: Branch<Branch<Branch<Branch<(typeof counts)[number]>>>> = new Map();
  register(
    registry,
    name,
    help,
    'counter',
    () => counts,
    () => {
      counts.length = 0;
      tree.clear();
    },
  );
  return {
    increment(first, second, third, fourth) {
      const count = tree.get(first)?.get(second)?.get(third)?.get(fourth);
      if (count) {
        count.value += 1;
        return;
      }
      const labels = [first, second, third, fourth];
      const made = { labels: Object.fromEntries(names.map((each, i) => [each, String(labels[i])])), value: 1 };
      counts.push(made);
      branchOf(branchOf(branchOf(tree, first), second), third).set(fourth, made);
    },
  };
}

function branchOf<T>(tree: Branch<Branch<T>>, label: string | number): Branch<T> {
  let branch = tree.get(label);
  if (!branch) {
    branch = new Map();
    tree.set(label, branch);
  }
  return branch;
}

/** A counter that somebody else keeps: it is read when somebody scrapes. */
export function createReadCounter(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  read: () => Readonly<Record<string, number>>,
): void {
  const values = () => Object.entries(read()).map(([each, value]) => ({ labels: { [label]: each }, value }));
  register(registry, name, help, 'counter', values, () => undefined);
}

/** A registry takes whatever answers `get`; its types ask for one of its own classes. */
function register(
  registry: Registry,
  name: string,
  help: string,
  type: 'counter' | 'histogram',
  values: () => unknown[],
  reset: () => void,
): void {
  const metric = {
    name,
    help,
    type,
    aggregator: 'sum',
    get: async () => ({ name, help, type, aggregator: 'sum', values: values() }),
    reset,
  };
  registry.registerMetric(metric as unknown as Metric);
}
