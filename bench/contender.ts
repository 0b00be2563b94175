// What a contender of the benchmark is: a process that answers the one job, and how to ask it. Measures nothing.
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Header } from './job.ts';
import { CONTENDER_CORE, endChild, spawnPinned } from './pinned.ts';

/** What every contender finds when it starts. */
export interface Stage {
  readonly redisUrl: string;
  readonly redisPort: number;
  readonly upstreamPort: number;
  /** For logs and generated files; deleted when the benchmark ends. */
  readonly folder: string;
}

export interface RunningContender {
  readonly port: number;
  /** Undefined where there is no process: the direct path. */
  readonly pid: number | undefined;
  /** What authenticates a request; undefined where nothing does. */
  readonly credential: Header | undefined;
  end(): Promise<void>;
}

export interface Contender {
  /** For files and options. */
  readonly name: string;
  readonly label: string;
  /** What it is and does, for the report. */
  readonly description: string;
  start(stage: Stage): Promise<RunningContender>;
}

const READY_MS = 20_000;
const PROBE_MS = 20;

/** Starts a process on the contenders' core and waits until it listens. @throws where it ends first, or takes too long. */
export async function startProcess(
  file: string,
  args: readonly string[],
  port: number,
  options: SpawnOptions,
): Promise<{ pid: number; end(): Promise<void> }> {
  const child = spawnPinned(CONTENDER_CORE, file, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  try {
    await untilListening(child, port);
  } catch (error) {
    await endChild(child);
    throw error;
  }
  return { pid: child.pid as number, end: () => endChild(child) };
}

async function untilListening(child: ChildProcess, port: number): Promise<void> {
  let failure: Error | undefined;
  child.once('error', (error) => {
    failure = error;
  });
  const deadline = performance.now() + READY_MS;
  while (!(await isListening(port))) {
    if (failure) throw failure;
    if (child.exitCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended with ${child.exitCode}`);
    if (performance.now() > deadline) throw new Error(`${child.spawnargs.join(' ')} does not listen`);
    await delay(PROBE_MS);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const tell = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => tell(true));
    socket.once('error', () => tell(false));
  });
}
