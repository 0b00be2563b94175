// The gateway as a child process of the demo, with a clean environment. Knows nothing of the simulator or the page.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface GatewayProcess {
  /** Resolves when the gateway listens; rejects where it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when the process is over, however it ended. */
  readonly ended: Promise<string>;
  /** Asks it to finish, and makes it where it does not. Safe to call again. */
  stop(): Promise<void>;
}

/** What a process needs to run at all. Nothing else: a variable such as FINVERA_URL of the user's own must not reach the demo. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'LANG', 'TZ', 'SystemRoot', 'USERPROFILE'];
const STOP_LIMIT_MS = 5_000;

/**
 * @param settings the gateway's environment variables.
 * @param onLine gets each line of its log, once it is ready.
 */
export function startGatewayProcess(
  settings: Readonly<Record<string, string>>,
  onLine: (line: Readonly<Record<string, unknown>>) => void,
): GatewayProcess {
  const inherited = Object.fromEntries(
    INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../dist/main.js', import.meta.url))], {
    env: { ...inherited, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
    // A group of its own: Ctrl-C in a terminal reaches every process of a group, and the demo's SIGTERM would be the second one.
    detached: true,
  });
  const ended = endOf(child);
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = parseLine(text);
      if (line.event === 'ready') resolve();
      else onLine(line);
    });
    void ended.then((how) => reject(new Error(`The gateway ended before it was ready: ${how}.`)));
  });
  // Whoever stops it before it is ready waits for nothing more.
  ready.catch(() => undefined);
  return {
    ready,
    ended,
    async stop() {
      child.kill('SIGTERM');
      const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      await ended;
      clearTimeout(limit);
    },
  };
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
  });
}

function parseLine(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text);
  } catch {
    return { message: text };
  }
}
