// Gateways as processes of their own, as they run in production: started, killed, stopped and continued by signal.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from '../support/built-gateway.ts';
import { MEMORY_FLAGS } from '../support/memory-flags.ts';
import { freePort } from '../support/redis-server.ts';

export interface GatewayProcess {
  readonly url: string;
  readonly managementUrl: string;
  readonly pid: number;
  output(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
export const LAB_KEY = `lab:${Buffer.alloc(32, 5).toString('base64url')}`;

/** Resolves when the process says that it is ready. */
export async function startGatewayProcess(env: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  ensureBuilt();
  const managementPort = env.MANAGEMENT_PORT ?? String(await freePort());
  const child: ChildProcess = spawn(process.execPath, [...MEMORY_FLAGS, MAIN], {
    env: {
      PATH: process.env.PATH ?? '',
      HOST: '127.0.0.1',
      PORT: '0',
      MANAGEMENT_PORT: managementPort,
      SESSION_KEYS: LAB_KEY,
      LOG_LEVEL: 'info',
      LOGIN_LIMIT_ADDRESS: 'off',
      LOGIN_LIMIT_ACCOUNT: 'off',
      SHUTDOWN_DELAY: '300ms',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer) => {
    // The end of the log is what explains a failure; a soak must not fill the memory of who watches it.
    output = (output + String(chunk)).slice(-200_000);
  };
  child.stderr?.on('data', keep);
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
  const ready = new Promise<string>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      keep(chunk);
      const address = /"event":"ready","address":"([^"]+)"/.exec(output)?.[1];
      if (address) resolve(address);
    });
  });
  const url = await Promise.race([
    ready,
    ended.then((how) => Promise.reject(new Error(`the gateway ended with ${how}: ${output}`))),
  ]);
  return {
    url,
    managementUrl: `http://127.0.0.1:${managementPort}`,
    pid: child.pid ?? 0,
    output: () => output,
    kill: (signal) => void child.kill(signal),
    ended,
  };
}

export async function endAll(gateways: readonly GatewayProcess[]): Promise<void> {
  for (const gateway of gateways) {
    gateway.kill('SIGCONT');
    gateway.kill('SIGKILL');
  }
  await Promise.all(gateways.map(({ ended }) => ended));
}
