// `npm run demo` as a process of the test's own, on free ports.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from './built-gateway.ts';

export interface DemoProcess {
  readonly child: ChildProcess;
  /** The page's address, without a slash at the end. */
  readonly url: string;
  readonly simulatorUrl: string;
  readonly managementUrl: string;
  /** Everything it printed so far. */
  output(): string;
  /** @returns the exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface EndedProcess {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const FREE_PORTS = { DEMO_PORT: '0', DEMO_FINVERA_PORT: '0', DEMO_MANAGEMENT_PORT: '0' };
export const START = fileURLToPath(new URL('../../examples/demo/start.ts', import.meta.url));

/** Resolves when the demo has printed its addresses. */
export async function startDemo(
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<DemoProcess> {
  const { child, ended, output } = launch(env, args);
  const addresses = new Promise<{ url: string; simulatorUrl: string; managementUrl: string }>((resolve) => {
    child.stdout?.on('data', () => {
      const url = /The demo is at\s+(\S+)\//.exec(output())?.[1];
      const simulatorUrl = /Finvera at (http:\S+),/.exec(output())?.[1];
      const managementUrl = /metrics at (http:\S+)\/metrics/.exec(output())?.[1];
      if (url && simulatorUrl && managementUrl) resolve({ url, simulatorUrl, managementUrl });
    });
  });
  const failed = ended.then(({ stderr }) => Promise.reject(new Error(`The demo ended early: ${stderr}`)));
  const found = await Promise.race([addresses, failed]);
  failed.catch(() => undefined);
  return {
    child,
    ...found,
    output,
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      return (await ended).code;
    },
  };
}

/** Runs the demo to its end: for where it cannot start. */
export function runDemo(env: Readonly<Record<string, string>>): Promise<EndedProcess> {
  return launch(env).ended;
}

function launch(env: Readonly<Record<string, string>>, args: readonly string[] = []) {
  ensureBuilt();
  const child = spawn(process.execPath, [START, ...args], {
    env: { ...process.env, ...FREE_PORTS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const ended = new Promise<EndedProcess>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended, output: () => stdout };
}
