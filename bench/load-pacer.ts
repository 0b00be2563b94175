// Says when the next request is due, in a thread of its own: timers of the event loop know whole milliseconds only, and would send in bursts.
import { parentPort, workerData } from 'node:worker_threads';

const { rate } = workerData as { rate: number };
const sleeper = new Int32Array(new SharedArrayBuffer(4));

const now = () => performance.timeOrigin + performance.now();

let dueAt = now();
for (;;) {
  // Independent users arrive at random: the gaps are exponentially distributed.
  dueAt += (-Math.log(1 - Math.random()) / rate) * 1_000;
  const waitMs = dueAt - now();
  if (waitMs > 0) Atomics.wait(sleeper, 0, 0, waitMs);
  parentPort?.postMessage(dueAt);
}
