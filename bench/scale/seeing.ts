// What seeing costs: the gateway as shipped beside itself without metrics of requests, and with traces, round for round.
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from '../../test/support/built-gateway.ts';
import type { Contender } from '../contender.ts';
import { startGateway } from '../contenders/this-gateway.ts';
import { forgeSessions } from '../forge.ts';
import { type Measured, measure, median } from '../rounds.ts';
import { startStage } from '../stage.ts';
import { type Part, type Section, table } from './part.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PLAN = { connections: 32, warmUpRequests: 15_000, rounds: 9, seconds: 2 };

interface Variant {
  readonly source: string;
  readonly changes: readonly (readonly [from: string, to: string])[];
}

/** Counters and histograms of requests do nothing. */
const UNMETERED: Variant = {
  source: 'src/observability/request-meter.ts',
  changes: ['observe(value, seconds, traceId) {', 'increment(first, second, third, fourth) {'].map((head) => [
    head,
    `${head} return;`,
  ]),
};
/** All that is left on a request's way where tracing is off. */
const UNTRACED: Variant = {
  source: 'src/routes/begin-request.ts',
  changes: [['tracing?.current()', 'undefined']],
};

export const seeing: Part = { name: 'seeing', run };

async function run(): Promise<Section> {
  await using stack = new AsyncDisposableStack();
  const stage = await startStage();
  stack.defer(() => stage.end());
  const collector = createServer((req, res) => {
    req.resume().once('end', () => res.end('{}'));
  }).listen(0, '127.0.0.1');
  stack.defer(() => void collector.close().closeAllConnections());
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  const traces = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  const [unmetered, untraced] = [UNMETERED, UNTRACED].map(writeVariant);
  stack.defer(() => {
    for (const folder of [unmetered, untraced]) rmSync(folder ?? '', { recursive: true, force: true });
  });
  const gateway = (name: string, label: string, env: Readonly<Record<string, string>> = {}, main?: string) => ({
    name,
    label,
    description: '',
    async start() {
      const [cookie = ''] = await forgeSessions(stage.redisUrl, 1);
      return { ...(await startGateway(stage, env, main)), credential: ['Cookie', cookie] as const };
    },
  });
  const contenders: Contender[] = [
    gateway('shipped', 'as shipped: metrics on, traces off'),
    gateway('untraced', 'without the place that looks for a trace', {}, `${untraced}/main.js`),
    gateway('unmetered', 'without the metrics of requests', {}, `${unmetered}/main.js`),
    gateway('sampled', 'traces of 1 request in 100', {
      ...traces,
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.01',
    }),
    gateway('traced', 'traces of every request', traces),
  ];
  const entries = [];
  for (const contender of contenders) {
    const running = await contender.start(stage);
    stack.defer(() => running.end());
    entries.push({ contender, running });
  }
  const measured = await measure(entries, PLAN, () => undefined);
  const failed = measured.flatMap(({ rounds }) => rounds).reduce((sum, round) => sum + round.failed, 0);
  return {
    title: 'What metrics and traces cost',
    text: `${PLAN.connections} connections, one session, as fast as answers come; ${PLAN.rounds} rounds of each in turn. The difference is that to the first line in the
same round, its median and its extremes. Neither metrics nor the place that looks for a trace can be turned off: those
lines are the same build with them taken out. Spans go to a collector on the other core.

${table(
  ['the gateway', 'CPU µs/request', 'difference', 'least', 'most'],
  measured.map((one) => rowOf(one, measured[0] ?? one)),
)}`,
    violations: failed > 0 ? [`${failed} requests were not answered with 200`] : [],
  };
}

function rowOf({ contender, rounds }: Measured, shipped: Measured) {
  const costs = rounds.map(({ cpuMicroseconds = Number.NaN }) => cpuMicroseconds);
  const differences = costs.map((cost, i) => {
    const reference = shipped.rounds[i]?.cpuMicroseconds ?? Number.NaN;
    return (cost - reference) / reference;
  });
  const percent = (share: number) => `${share < 0 ? '−' : '+'}${Math.abs(share * 100).toFixed(1)} %`;
  const relative =
    rounds === shipped.rounds
      ? ['–', '–', '–']
      : [median(differences), Math.min(...differences), Math.max(...differences)].map(percent);
  return [contender.label, median(costs), ...relative];
}

/** A copy of `dist/` that is changed so. @returns its folder. @throws where the build looks otherwise by now */
function writeVariant({ source, changes }: Variant): string {
  ensureBuilt();
  const folder = mkdtempSync(`${ROOT}.dist-variant-`);
  cpSync(`${ROOT}dist`, folder, { recursive: true });
  // What a start loads is in few files, each piece of a source under a line that names it.
  const paths = readdirSync(`${folder}/cli`).map((name) => `${folder}/cli/${name}`);
  for (const [from, to] of changes) {
    const isChanged = paths.map((path) => replaceIn(path, source, from, to)).includes(true);
    if (!isChanged) throw new Error(`${source} has no ${from}`);
  }
  return folder;
}

function replaceIn(path: string, source: string, from: string, to: string): boolean {
  const pieces = readFileSync(path, 'utf8').split(/^(?=\/\/ (?:src|node_modules)\/)/m);
  const i = pieces.findIndex((piece) => piece.startsWith(`// ${source}\n`) && piece.includes(from));
  if (i < 0) return false;
  pieces[i] = pieces[i]?.replace(from, to) ?? '';
  writeFileSync(path, pieces.join(''));
  return true;
}
