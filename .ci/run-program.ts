/** Runs one program to its end without a shell and without input, and keeps what it prints. */
import { spawn } from 'node:child_process';

/** How a program ended. */
export interface Ended {
  /** The exit code; undefined where it could not be started, was killed, or took too long. */
  readonly code: number | undefined;
  /** Standard output and standard error in the order they came. */
  readonly output: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A step that hangs must not hold the check for ever. */
const LIMIT_MINUTES = 30;

export function runProgram(file: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (text: string) => {
      output += text;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const timer = setTimeout(() => {
      keep(`\nNot over after ${LIMIT_MINUTES} minutes: ended.\n`);
      child.kill('SIGKILL');
    }, LIMIT_MINUTES * 60_000);
    const end = (code: number | undefined) => {
      clearTimeout(timer);
      resolve({ code, output });
    };
    child.once('error', ({ message }) => {
      keep(`${message}\n`);
      end(undefined);
    });
    child.once('close', (code) => end(code ?? undefined));
  });
}
