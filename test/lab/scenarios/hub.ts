// Hub mode under load: many browsers on one upstream connection, and one of them that does not read.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Simulator } from '../../../simulator/simulator.ts';
import { cpuSeconds, residentBytes, TICKS_PER_SECOND } from '../../support/process-usage.ts';
import { until } from '../../support/until.ts';
import type { GatewayProcess } from '../gateway-process.ts';
import { inParallel, logIn } from '../load.ts';
import { createVerdict, FULL, type Lab, type Scale, type Scenario, withConfig, withLab } from '../scenario.ts';
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
      // Neither the gateway's code nor this process's is compiled yet; what is late now is only not counted as late.
      await quote(simulator, load, isFull(scale) ? 10 : 1);
      load.takeDelays();
      const { seconds, cpu, othersPercent, count, p50, p99, max, peakMib } = await observe(
        simulator,
        gateway,
        load,
        isFull(scale) ? 20 : 3,
      );
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
        'CPU of anything else on the machine': `${othersPercent} %`,
        'CPU µs a delivery': Math.round((cpu / count) * 1e7) / 10,
        'memory MiB at most': peakMib,
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
      await quote(simulator, load, isFull(scale) ? 10 : 1);
      load.takeDelays();
      const alone = await observe(simulator, gateway, load, isFull(scale) ? 60 : 2);
      const everything = createStreamLoad();
      const stalled = await everything.open(gateway.url, cookies[0] ?? '', simulator.symbols());
      stalled.socket.pause();
      const beside = await observe(simulator, gateway, load, isFull(scale) ? 60 : 3);
      stalled.socket.resume();
      if (isFull(scale)) await until('the end of the stalled reader', () => stalled.code() !== undefined, LONG_MS);
      everything.close();
      const after = await observe(simulator, gateway, load, isFull(scale) ? 20 : 2);
      const { expect, violations } = createVerdict();
      const missing = missed(simulator, load);
      expect(load.faults.count === 0, `${load.faults.count} messages too many or out of order: ${load.faults.first}`);
      expect(missing === 0, `${missing} symbols not complete`);
      if (isFull(scale)) {
        const noise = Math.max(alone.p99, after.p99) + MAX_P99_MS / 5;
        expect(beside.p99 <= noise, `p99 ${beside.p99} ms beside it, ${alone.p99} and ${after.p99} ms without`);
        const growth = beside.peakMib - alone.peakMib;
        expect(growth <= MAX_GROWTH_MIB, `memory grew by ${growth} MiB`);
      }
      const numbers = {
        browsers: load.readers.length,
        'p50 ms before, beside it, after': [alone, beside, after].map(({ p50 }) => p50).join(', '),
        'p99 ms before, beside it, after': [alone, beside, after].map(({ p99 }) => p99).join(', '),
        'CPU % of anything else on the machine': [alone, beside, after].map((each) => each.othersPercent).join(', '),
        'memory MiB at most, before, beside it, after': [alone, beside, after].map(({ peakMib }) => peakMib).join(', '),
        'the stalled one saw the code': stalled.code() ?? 'none',
      };
      return { numbers, violations };
    }),
};

const isFull = ({ storm }: Scale) => storm >= FULL.storm;

async function withHub<T>(scale: Scale, browsers: number, work: (hub: Hub) => Promise<T>): Promise<T> {
  const load = createStreamLoad();
  try {
    return await withConfig('streams: {mode: hub, credential: api-key}\n', (GATEWAY_CONFIG) =>
      withLab({ apiKey: KEY, streamSymbols: SYMBOLS }, async (lab) => {
        const { simulator, start } = lab;
        const FINVERA_STREAM_URL = simulator.url.replace('http', 'ws');
        const gateway = await start({ GATEWAY_CONFIG, FINVERA_API_KEY: KEY, FINVERA_STREAM_URL });
        if (isFull(scale)) pin(gateway.pid);
        const cookies = await openAll(lab, gateway, load, browsers);
        return await work({ simulator, gateway, load, cookies });
      }),
    );
  } finally {
    load.close();
    if (isFull(scale)) runOn(`0-${cpus().length - 1}`, process.pid);
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

/** Delays, memory and CPU while quotes are sent. */
async function observe(simulator: Simulator, gateway: GatewayProcess, load: StreamLoad, seconds: number) {
  let peakMib = 0;
  const watch = setInterval(() => {
    peakMib = Math.max(peakMib, Math.round(residentBytes(gateway.pid) / 2 ** 20));
  }, 250);
  const before = { gateway: cpuSeconds(gateway.pid), here: cpuSeconds(process.pid), all: machineSeconds() };
  const elapsed = await quote(simulator, load, seconds);
  clearInterval(watch);
  const cpu = cpuSeconds(gateway.pid) - before.gateway;
  const others = machineSeconds() - before.all - cpu - (cpuSeconds(process.pid) - before.here);
  return { ...load.takeDelays(), peakMib, cpu, seconds: elapsed, othersPercent: Math.round((others / elapsed) * 100) };
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

/** All cores together, what a hypervisor took of them too. */
function machineSeconds(): number {
  const [user, nice, system, , , irq, softirq, steal] = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const ticks = [user, nice, system, irq, softirq, steal].reduce((sum: number, each) => sum + (each ?? 0), 0);
  return ticks / TICKS_PER_SECOND;
}
