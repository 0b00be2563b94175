// `npm run bench`: checks every contender, measures them in turn, writes docs/benchmarks.*. With `--smoke` it only checks, briefly, and writes nothing.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { getuid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runProgram } from '../.ci/run-program.ts';
import type { Contender } from './contender.ts';
import { direct } from './contenders/direct.ts';
import { hasNginx, NGINX_PACKAGES, nginxLua } from './contenders/nginx.ts';
import { bareProxy, expressSession, fastifySession } from './contenders/node-peers.ts';
import { thisGateway } from './contenders/this-gateway.ts';
import { faultsOf } from './correctness.ts';
import { describeMachine } from './machine.ts';
import { toChart, toJson, toPage } from './report.ts';
import { type Entry, measure, type Plan, type Round } from './rounds.ts';
import { endOnSignal, type RunningStage, startStage } from './stage.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DOCS = fileURLToPath(new URL('../docs', import.meta.url));

const { values: options } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '32' },
  },
});
const FULL: Plan = {
  connections: Number(options.connections),
  warmUpRequests: 30_000,
  rounds: Number(options.rounds),
  seconds: Number(options.seconds),
};
const SMOKE: Plan = { connections: 8, warmUpRequests: 0, rounds: 1, seconds: 0.5 };

/** The packages of the peers, as their lock file names them. */
function installPeers(): boolean {
  if (existsSync(`${HERE}node_modules`)) return true;
  console.log('installing the peers: npm ci in bench/');
  const npm = process.env.npm_execpath;
  const [file, ...before] = npm ? [process.execPath, npm] : ['npm'];
  const args = [...before, 'ci', '--no-audit', '--no-fund', '--ignore-scripts'];
  return spawnSync(file as string, args, { cwd: HERE, stdio: 'inherit' }).status === 0;
}

/** nginx only where it is there with everything it needs, or can be had from Debian's or Ubuntu's packages. */
async function provideNginx(folder: string): Promise<boolean> {
  if (hasNginx(folder)) return true;
  if (options.smoke || getuid?.() !== 0) return false;
  console.log(`installing ${NGINX_PACKAGES.join(' ')}`);
  const args = ['DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '--yes', '--no-install-recommends'];
  await runProgram('env', [...args, ...NGINX_PACKAGES]);
  return hasNginx(folder);
}

interface Field {
  readonly contenders: readonly Contender[];
  readonly notes: readonly string[];
}

async function chooseContenders(folder: string): Promise<Field> {
  const hasPeers = installPeers();
  const isNginxThere = await provideNginx(folder);
  const notes = [
    ...(hasPeers ? [] : ['Left out: both stacks of packages; bench/node_modules is not installed.']),
    ...(isNginxThere ? [] : [`Left out: nginx with Lua; Debian's packages are ${NGINX_PACKAGES.join(', ')}.`]),
  ];
  const contenders = [
    thisGateway,
    ...(hasPeers ? [expressSession, fastifySession] : []),
    ...(isNginxThere ? [nginxLua] : []),
    bareProxy,
    direct,
  ];
  return { contenders, notes };
}

async function startAll(
  contenders: readonly Contender[],
  stage: RunningStage,
  stack: AsyncDisposableStack,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const contender of contenders) {
    const running = await contender.start(stage);
    stack.defer(() => running.end());
    entries.push({ contender, running });
  }
  return entries;
}

async function findFaults(entries: readonly Entry[], stage: RunningStage): Promise<string[]> {
  const faults: string[] = [];
  for (const { contender, running } of entries) {
    const found = await faultsOf(contender, running, stage);
    console.log(`${found.length === 0 ? 'correct' : 'WRONG  '}  ${contender.label}`);
    faults.push(...found);
  }
  return faults;
}

function showRound({ label }: Contender, round: Round): void {
  const cpu = round.cpuMicroseconds === undefined ? '' : `${round.cpuMicroseconds.toFixed(1)} µs CPU, `;
  const rate = `${Math.round(round.requestsPerSecond)} requests/s`;
  const failed = round.failed > 0 ? `, ${round.failed} FAILED` : '';
  console.log(`${label}: ${cpu}${rate}, p50 ${round.p50Ms.toFixed(2)} ms, p99 ${round.p99Ms.toFixed(2)} ms${failed}`);
}

/** @returns what was wrong. */
async function run(): Promise<readonly string[]> {
  await using stack = new AsyncDisposableStack();
  endOnSignal(stack);
  const stage = await startStage();
  stack.defer(() => stage.end());
  const { contenders, notes } = await chooseContenders(stage.folder);
  for (const note of notes) console.log(note);
  const entries = await startAll(contenders, stage, stack);
  const faults = await findFaults(entries, stage);
  if (faults.length > 0) return faults;
  const plan = options.smoke ? SMOKE : FULL;
  const measured = await measure(entries, plan, showRound);
  if (!options.smoke) {
    const results = { machine: describeMachine(), plan, measured, notes };
    mkdirSync(`${DOCS}/images`, { recursive: true });
    writeFileSync(`${DOCS}/benchmarks.json`, toJson(results));
    writeFileSync(`${DOCS}/images/benchmark.svg`, toChart(results));
    writeFileSync(`${DOCS}/benchmarks.md`, toPage(results));
    console.log('written: docs/benchmarks.md, docs/benchmarks.json, docs/images/benchmark.svg');
  }
  return measured
    .filter(({ median }) => median.failed > 0)
    .map(({ contender, median }) => `${contender.label}: ${median.failed} requests failed under load`);
}

const faults = await run();
for (const fault of faults) console.error(fault);
console.log(faults.length === 0 ? 'the benchmark is sound' : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
