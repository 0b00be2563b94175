#!/usr/bin/env -S node --max-semi-space-size=16 --heap-growing-percent=60
/** The process: checks the Node version, then loads the rest; start, signals, exit codes. */
import { setFlagsFromString } from 'node:v8';

const MIN_MAJOR = 24;
const [major = 0] = process.versions.node.split('.').map(Number);
if (major < MIN_MAJOR) {
  process.stderr.write(`finvera-gateway needs Node ${MIN_MAJOR} or newer; this is Node ${process.versions.node}.\n`);
  process.exit(1);
}
// Nearly all that a start allocates stays. V8 would take it for a busy process and double the young heap to its limit, 10 MB
// that an idle gateway never gives back. V8 reads this number whenever it is about to; under load it grows as it always does.
setFlagsFromString('--semi-space-growth-factor=1');
// Only now: the rest uses what an older Node does not have, and would end in a syntax error instead of a sentence.
const { startProcess } = await import('./cli/start-process.ts');
await startProcess();
setFlagsFromString('--semi-space-growth-factor=2');
