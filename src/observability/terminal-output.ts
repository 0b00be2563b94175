/**
 * The terminal as the log writes to it, waiting for nobody. Node's own stream waits in the middle of everything for a
 * terminal whose reader has stopped (Ctrl-S, an attached client that hangs): the process then answers nothing, and no signal.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import type { LineOutput } from './line-collector.ts';
import { standardOutput } from './standard-output.ts';

const TRY_AGAIN_MS = 50;

/** @param path the terminal once more, opened so that a write never waits. Where it cannot be opened: standard output. */
export function terminalOutput(path = '/dev/fd/1'): LineOutput {
  let terminal: number;
  try {
    terminal = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return standardOutput();
  }
  const output = new Writable({
    write(bytes: Buffer, _encoding, done) {
      const go = (from: number): void => {
        let at = from;
        try {
          while (at < bytes.length) at += writeSync(terminal, bytes, at);
        } catch (error) {
          // Held for it, and not by it: the process may end meanwhile.
          if ((error as NodeJS.ErrnoException).code === 'EAGAIN') setTimeout(go, TRY_AGAIN_MS, at).unref();
          else done(error as Error);
          return;
        }
        done();
      };
      go(0);
    },
  });
  // A terminal that went away must not end the gateway.
  output.on('error', () => undefined);
  return output;
}
