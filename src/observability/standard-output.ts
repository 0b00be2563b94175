/**
 * Standard output as the log writes to it: Node's own stream, which on a pipe waits for nobody. `pino.destination`
 * waits for ever where a synchronous flush meets a pipe whose reader has gone or stopped: the process then answers
 * nothing, and no signal.
 */
import type { LineOutput } from './line-collector.ts';

export function standardOutput(): LineOutput {
  // A reader that went away must not end the gateway.
  process.stdout.on('error', () => undefined);
  return process.stdout;
}
