/** The one source of time. Not a timer: whoever waits uses `node:timers`; whoever reads the time takes a Clock. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
