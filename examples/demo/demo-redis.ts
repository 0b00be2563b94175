// A Redis of the demo's own that a visitor can stop and start again, with its data. Needs redis-server in PATH.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface DemoRedis {
  readonly url: string;
  readonly isRunning: boolean;
  start(): Promise<void>;
  /** It keeps its data for the next start. */
  stop(): Promise<void>;
  /** Ends it for good, data and all. */
  close(): Promise<void>;
}

/** @returns undefined where redis-server is not installed. */
export async function startDemoRedis(port: number): Promise<DemoRedis | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'finvera-demo-'));
  let child: ChildProcess | undefined;
  const redis: DemoRedis = {
    url: `redis://127.0.0.1:${port}`,
    get isRunning() {
      return child !== undefined;
    },
    async start() {
      child ??= await launch(port, folder);
    },
    async stop() {
      const ending = child;
      child = undefined;
      if (ending) await endProcess(ending);
    },
    async close() {
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await redis.start();
    return redis;
  } catch (error) {
    await redis.close();
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function launch(port: number, folder: string): Promise<ChildProcess> {
  // A save point, however rare, is what makes it write its data when it is asked to end.
  const args = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '86400 1'];
  // A group of its own: Ctrl-C must not reach it before the gateway has ended.
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
  return new Promise((resolve, reject) => {
    let output = '';
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${output}`)));
    child.stdout.on('data', (chunk) => {
      if (output.length < 100_000) output += String(chunk);
      if (output.includes('Ready to accept connections')) resolve(child);
    });
  });
}

function endProcess(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
