// Hub mode under load: many browsers on one upstream connection, and one of them that does not read.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Simulator } from '../../../simulator/simulator.ts';
import { until } from '../../support/until.ts';
import type { GatewayProcess } from '../gateway-process.ts';
import { inParallel, logIn } from '../load.ts';
import { createVerdict, FULL, type Lab, type Scale, type Scenario, withLab } from '../scenario.ts';
import { createStreamLoad, type StreamLoad } from '../stream-load.ts';

const KEY = 'sk_lab';
const SYMBOLS = 100;
const SYMBOLS_EACH = 10;
/** Of all symbols together. */
const MESSAGES_PER_SECOND = 200;
const STREAMS_PER_SESSION = 20;
const MAX_P99_MS = 100;
const PADDING_BYTES = 2_000;
const MAX_GROWTH_MIB = 64;
const LONG_MS = 60_000;

interface Hub {
  readonly simulator: Simulator;
  readonly gateway: GatewayProcess;
  readonly load: StreamLoad;
  readonly cookies: readonly string[];
}

export const hubFanOut: Scenario = {
  name: `hub: browsers with ${SYMBOLS_EACH} of ${SYMBOLS} symbols, ${MESSAGES_PER_SECOND} messages/s upstream, the gateway on one core`,
  run: (scale) =>
    withHub(scale, scale.storm * 2, async ({ simulator, gateway, load }) => {
      const before = cpuSeconds(gateway.pid);
      const seconds = await quote(simulator, load, isFull(scale) ? 20 : 3);
      const cpu = cpuSeconds(gateway.pid) - before;
      const { count, p50, p99, max } = load.takeDelays();
      const { expect, violations } = createVerdict();
      const upstreams = simulator.requests('stream').length;
      const missing = missed(simulator, load);
      expect(load.faults.count === 0, `${load.faults.count} messages too many or out of order: ${load.faults.first}`);
      expect(missing === 0, `${missing} symbols not complete`);
      expect(upstreams === 1, `${upstreams} upstream connections`);
      if (isFull(scale)) expect(p99 <= MAX_P99_MS, `p99 ${p99} ms`);
      const numbers = {
        browsers: load.readers.length,
        deliveries: count,
        'deliveries/s': Math.round(count / seconds),
        'p50 ms': p50,
        'p99 ms': p99,
        'longest ms': max,
        'CPU of the gateway': `${Math.round((cpu / seconds) * 100)} %`,
        'CPU µs a delivery': Math.round((cpu / count) * 1e7) / 10,
        'memory MiB': memoryMib(gateway.pid),
        'upstream connections': upstreams,
      };
      return { numbers, violations };
    }),
};

export const hubStalledReader: Scenario = {
  name: 'hub: one reader does not read for 60 s, the others do',
  run: (scale) =>
    withHub(scale, scale.storm, async ({ simulator, gateway, load, cookies }) => {
      simulator.configure({ streamPaddingBytes: PADDING_BYTES });
      const alone = isFull(scale) ? 20 : 2;
      await quote(simulator, load, alone);
      const without = load.takeDelays();
      const before = memoryMib(gateway.pid);
      const everything = createStreamLoad();
      const [stalled] = await Promise.all([everything.open(gateway.url, cookies[0] ?? '', ['*'])]);
      let code: number | undefined;
      stalled.socket.on('close', (closed) => {
        code = closed;
      });
      stalled.socket.pause();
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, memoryMib(gateway.pid));
      }, 250);
      await quote(simulator, load, isFull(scale) ? 60 : 3);
      clearInterval(watch);
      const beside = load.takeDelays();
      stalled.socket.resume();
      if (isFull(scale)) await until('the end of the stalled reader', () => code !== undefined, LONG_MS);
      everything.close();
      const { expect, violations } = createVerdict();
      const missing = missed(simulator, load);
      expect(load.faults.count === 0, `${load.faults.count} messages too many or out of order: ${load.faults.first}`);
      expect(missing === 0, `${missing} symbols not complete`);
      if (isFull(scale)) {
        expect(beside.p99 <= without.p99 + MAX_P99_MS / 4, `p99 ${beside.p99} ms beside, ${without.p99} ms without`);
        expect(peak - before <= MAX_GROWTH_MIB, `memory grew by ${peak - before} MiB`);
      }
      const numbers = {
        browsers: load.readers.length,
        'p50 ms without': without.p50,
        'p50 ms beside it': beside.p50,
        'p99 ms without': without.p99,
        'p99 ms beside it': beside.p99,
        'memory MiB before': before,
        'memory MiB at most': peak,
        'the stalled one was closed with': String(code),
      };
      return { numbers, violations };
    }),
};

const isFull = ({ storm }: Scale) => storm >= FULL.storm;

async function withHub<T>(scale: Scale, browsers: number, work: (hub: Hub) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'hub-'));
  const config = join(folder, 'gateway.yaml');
  writeFileSync(config, 'streams: {mode: hub, credential: api-key}\n');
  const load = createStreamLoad();
  try {
    return await withLab({ apiKey: KEY, streamSymbols: SYMBOLS }, async (lab) => {
      const { simulator, start } = lab;
      const FINVERA_STREAM_URL = simulator.url.replace('http', 'ws');
      const gateway = await start({ GATEWAY_CONFIG: config, FINVERA_API_KEY: KEY, FINVERA_STREAM_URL });
      if (isFull(scale)) pin(gateway.pid);
      const cookies = await openAll(lab, gateway, load, browsers);
      return await work({ simulator, gateway, load, cookies });
    });
  } finally {
    load.close();
    if (isFull(scale)) runOn(`0-${cpus().length - 1}`, process.pid);
    rmSync(folder, { recursive: true });
  }
}

/** @returns the sessions; the first has room for one more stream. */
async function openAll({ client, simulator }: Lab, { url }: GatewayProcess, load: StreamLoad, browsers: number) {
  const sessions = Math.ceil((browsers + 1) / (STREAMS_PER_SESSION - 1));
  const cookies = await inParallel(Array.from({ length: sessions }), 8, (_, i) =>
    logIn(client, url, `reader-${i}@finvera.test`),
  );
  await inParallel(Array.from({ length: browsers }), 50, (_, i) => {
    // Another ten each time, every symbol equally often.
    const symbols = Array.from({ length: SYMBOLS_EACH }, (_each, k) => nameOf((i * 7 + k * 13) % SYMBOLS, simulator));
    return load.open(url, cookies[i % sessions] as string, symbols);
  });
  await until('the upstream to be told', () => simulator.streams()[0]?.subscriptions.length === SYMBOLS, LONG_MS);
  return cookies;
}

const names: string[] = [];

function nameOf(index: number, simulator: Simulator): string {
  if (names.length === 0) names.push(...simulator.symbols());
  return names[index] as string;
}

/** Quotes for so long, and until everybody has the last ones. */
async function quote(simulator: Simulator, load: StreamLoad, seconds: number): Promise<number> {
  const startedAt = performance.now();
  simulator.configure({ quoteRate: MESSAGES_PER_SECOND / SYMBOLS });
  await delay(seconds * 1_000);
  simulator.configure({ quoteRate: 0 });
  const elapsed = (performance.now() - startedAt) / 1_000;
  // Looking whether all is there takes time that the last ones would be late by.
  await delay(500);
  await until('the last messages', () => missed(simulator, load) === 0, LONG_MS).catch(() => undefined);
  return elapsed;
}

/** Symbols of readers that lack the latest quotes. */
function missed(simulator: Simulator, { readers }: StreamLoad): number {
  const made = simulator.quotesMade();
  return readers.flatMap(({ latest }) => [...latest]).filter(([symbol, seq]) => seq !== (made.get(symbol) ?? 0)).length;
}

/** The gateway on the first core, everything else on the second. */
function pin(pid: number): void {
  runOn('0', pid);
  runOn('1', process.pid);
}

function runOn(cores: string, pid: number): void {
  execFileSync('taskset', ['-apc', cores, String(pid)]);
}

const TICKS_PER_SECOND = 100;

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function memoryMib(pid: number): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib) / 1024);
}
