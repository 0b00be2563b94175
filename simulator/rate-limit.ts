// Finvera's requests-a-minute limit, one count per caller. Does not know what a tier or a request is.

/** Counts requests in fixed windows of one minute, each begun by a caller's first request. */
export interface RateLimiter {
  /** Counts one request; 0 where it is within the limit, else the seconds until the window ends. */
  take(caller: string, perMinute: number): number;
  clear(): void;
}

const WINDOW_MS = 60_000;
// Windows that ended are dropped when the table reaches this size, so that many callers do not pile up.
const SWEEP_AT = 50_000;

/** Builds a limiter on the given clock. */
export function createRateLimiter(now: () => number): RateLimiter {
  const windows = new Map<string, { endsAtMs: number; used: number }>();

  function sweep(): void {
    for (const [caller, window] of windows) if (window.endsAtMs <= now()) windows.delete(caller);
  }

  return {
    take(caller, perMinute) {
      let window = windows.get(caller);
      if (window === undefined || window.endsAtMs <= now()) {
        if (windows.size >= SWEEP_AT) sweep();
        window = { endsAtMs: now() + WINDOW_MS, used: 0 };
        windows.set(caller, window);
      }
      window.used++;
      return window.used <= perMinute ? 0 : Math.max(1, Math.ceil((window.endsAtMs - now()) / 1000));
    },
    clear() {
      windows.clear();
    },
  };
}
