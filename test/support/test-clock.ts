// A clock that stands still until it is moved.
import type { Clock } from '../../src/kernel/clock.ts';

export interface TestClock extends Clock {
  /** Milliseconds. */
  advance(ms: number): void;
}

export function createTestClock(startAt = Date.now()): TestClock {
  let now = startAt;
  return {
    now: () => now,
    advance(ms) {
      now += ms;
    },
  };
}
