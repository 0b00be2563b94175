// What a gateway adds to the time of a request when it is half busy: latencies at one fixed rate, beside a bare proxy and the direct path.
import { direct } from '../contenders/direct.ts';
import { bareProxy } from '../contenders/node-peers.ts';
import { thisGateway } from '../contenders/this-gateway.ts';
import type { Header } from '../job.ts';
import { type LoadResult, runLoad } from '../load.ts';
import { median } from '../rounds.ts';
import { startStage } from '../stage.ts';
import { type Part, type Section, table } from './part.ts';

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 8;
const SECONDS = 6;
const ROUNDS = 5;

export const latency: Part = { name: 'latency', run };

async function run(): Promise<Section> {
  await using stack = new AsyncDisposableStack();
  const stage = await startStage();
  stack.defer(() => stage.end());
  const entries: {
    label: string;
    load: (seconds: number, rate?: number) => Promise<LoadResult>;
    results: LoadResult[];
  }[] = [];
  for (const contender of [direct, bareProxy, thisGateway]) {
    const running = await contender.start(stage);
    stack.defer(() => running.end());
    const { port, credential } = running;
    const users: Header[] = credential ? [credential] : [];
    const load = (seconds: number, rate?: number) =>
      runLoad(users, { port, connections: CONNECTIONS, seconds, ...(rate === undefined ? {} : { rate }) });
    entries.push({ label: contender.label, load, results: [] });
  }
  // The last one's is the rate of all: this gateway's.
  let highest = 0;
  for (const { load } of entries) {
    await load(WARM_UP_SECONDS);
    const { requests, seconds } = await load(SECONDS);
    highest = requests / seconds;
  }
  const rate = Math.round(highest / 2);
  for (let round = 0; round < ROUNDS; round += 1)
    for (const { load, results } of entries) results.push(await load(SECONDS, rate));

  const measured = entries.map(({ label, results }) => ({
    label,
    rate: median(results.map(({ requests, seconds }) => requests / seconds)),
    p50: median(results.map(({ p50Ms }) => p50Ms)),
    p99: median(results.map(({ p99Ms }) => p99Ms)),
    failed: results.reduce((sum, one) => sum + one.requests - (one.statuses['200'] ?? 0) + one.failures, 0),
  }));
  const [reference] = measured;
  const added = (value: number, from: number | undefined) => (from === undefined ? Number.NaN : value - from);
  const rows = measured.map((one) => [
    one.label,
    one.rate,
    one.p50,
    one.p99,
    ...(one === reference ? ['–', '–'] : [added(one.p50, reference?.p50), added(one.p99, reference?.p99)]),
  ]);
  const failed = measured.reduce((sum, one) => sum + one.failed, 0);
  return {
    title: 'Latency at half of the maximum',
    text: `${Math.round(highest).toLocaleString('en-GB')} requests/s are this gateway's most on one core; here ${rate.toLocaleString('en-GB')} a second arrive at random moments, as those of independent users
do. A request's time counts from when it was due.

${table(['path', 'requests/s', 'p50 ms', 'p99 ms', 'p50 added', 'p99 added'], rows)}`,
    violations: failed > 0 ? [`${failed} requests were not answered with 200`] : [],
  };
}
