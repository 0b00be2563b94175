// One redis-server process, in whatever role its arguments give it.
import { type ChildProcess, spawn } from 'node:child_process';

export interface RedisProcess {
  kill(signal: NodeJS.Signals): void;
  /** SIGKILL; resolves when it is gone. */
  end(): Promise<void>;
}

/**
 * Resolves when the server says that it is ready.
 * @throws where redis-server is not installed or ends at once.
 */
export function launchRedis(args: readonly string[], readyText = 'Ready to accept connections'): Promise<RedisProcess> {
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new Error('redis-server cannot be started: is it installed?', { cause })));
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${output}`)));
    let output = '';
    child.stdout?.on('data', (chunk) => {
      if (output.length > 100_000) return;
      output += String(chunk);
      if (output.includes(readyText))
        resolve({ kill: (signal) => void child.kill(signal), end: () => endProcess(child) });
    });
  });
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}
