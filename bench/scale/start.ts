// How long the gateway takes from its start until it is ready, and what it weighs while nobody asks for anything.
import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes } from '../../test/support/process-usage.ts';
import { startGateway } from '../contenders/this-gateway.ts';
import { familyCpuSeconds } from '../pinned.ts';
import { median } from '../rounds.ts';
import { startStage } from '../stage.ts';
import { MB, type Part, type Section, table } from './part.ts';

const STARTS = 7;
const IDLE_MS = 5_000;
const PROBE_MS = 5;

export const start: Part = { name: 'start', run };

async function run(): Promise<Section> {
  await using stack = new AsyncDisposableStack();
  const stage = await startStage();
  stack.defer(() => stage.end());
  const readyMs: number[] = [];
  const cpuMs: number[] = [];
  let idle = Number.NaN;
  for (let i = 0; i < STARTS; i += 1) {
    const startedAt = performance.now();
    const gateway = await startGateway(stage);
    try {
      await untilReady(gateway.port);
      readyMs.push(performance.now() - startedAt);
      cpuMs.push(familyCpuSeconds(gateway.pid) * 1_000);
      if (i === STARTS - 1) {
        await delay(IDLE_MS);
        idle = residentBytes(gateway.pid) / MB;
      }
    } finally {
      await gateway.end();
    }
  }
  const rows = [
    ['from the start of the process to `/health/ready` 200, ms (median)', median(readyMs)],
    ['the slowest of them, ms', Math.max(...readyMs)],
    ['CPU used until then, ms', median(cpuMs)],
    ['resident memory, idle, MB', idle],
  ];
  return { title: 'Start and idle', text: table([`${STARTS} starts on one core`, ''], rows), violations: [] };
}

async function untilReady(port: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/health/ready`);
    await answer.arrayBuffer();
    if (answer.ok) return;
    await delay(PROBE_MS);
  }
}
