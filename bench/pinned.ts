// Processes on one core each, and what the operating system says they used of it. Knows nothing of what runs in them.
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpuSeconds, statFields } from '../test/support/process-usage.ts';

/** Every contender runs here, alone while it is measured. */
export const CONTENDER_CORE = 0;
/** Load generator, upstream and Redis. */
export const LOAD_CORE = 1;

const KILL_AFTER_MS = 3_000;

/** Moves this process, and with it what it starts without a core of its own. */
export function pinThisProcess(core: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(process.pid)], {
    stdio: 'ignore',
  });
}

/** `taskset` becomes the program: the pid is the program's own. */
export function spawnPinned(core: number, file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn('taskset', ['--cpu-list', String(core), file, ...args], options);
}

/** Runs a program to its end. @returns its standard output. @throws with its standard error where it fails. */
export function runPinned(core: number, file: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawnPinned(core, file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout?.on('data', (chunk) => {
      output += String(chunk);
    });
    child.stderr?.on('data', (chunk) => {
      errors += String(chunk);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${args[0]} ended with ${code}: ${errors}`));
    });
  });
}

/** SIGTERM, then SIGKILL; resolves when it is gone. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  await ended;
  clearTimeout(timer);
}

/** Seconds of processor time, user and system, of a process with all its threads and of its children. */
export function familyCpuSeconds(pid: number): number {
  return familyOf(pid).reduce((sum, member) => sum + cpuSeconds(member), 0);
}

function familyOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => parentOf(other) === pid);
  return [pid, ...children];
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(statFields(pid)[1]);
  } catch {
    return undefined; // it ended meanwhile
  }
}

/** Ticks that a core was busy and in all since the machine started. */
export function coreTicks(core: number): { busy: number; total: number } {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/\s+/)
    .map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + wait };
}

/** Open files and sockets. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
