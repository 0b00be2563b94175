// Waits for what happens a moment after an answer: a log line, a metric, a connection that ends. Never a fixed pause.
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 5;

/** Resolves once the condition holds; rejects, naming what was waited for, where it does not within `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(POLL_MS);
  }
}
