/**
 * Stops asking an upstream that does not answer: after many failures in a short time it refuses at once, lets a single
 * request try from time to time, and opens up again when one succeeds. Pure but for its own counts.
 */
export interface CircuitBreaker {
  /** A permit for one request, or the time after which it is worth asking again. */
  enter(): Permit | { readonly kind: 'open'; readonly retryAfterMs: number };
  readonly state: 'closed' | 'open' | 'half-open';
}

export interface Permit {
  readonly kind: 'permit';
  /** Exactly one is called, once the outcome is known. `abandon`: it says nothing about the upstream. */
  succeed(): void;
  fail(): void;
  abandon(): void;
}

export interface CircuitBreakerOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly onChange?: (state: CircuitBreaker['state']) => void;
}

/** Failures only count together: a few among many successes are the upstream's everyday life. */
const WINDOW_MS = 10_000;
const MIN_FAILURES = 20;
const FAILURE_RATIO = 0.5;
/** How long it stays open before a single request may try. */
const OPEN_MS = 2_000;

export function createCircuitBreaker({ now, onChange }: CircuitBreakerOptions): CircuitBreaker {
  let state: CircuitBreaker['state'] = 'closed';
  let openedAt = 0;
  let probing = false;
  let windowStartedAt = now();
  let failures = 0;
  let successes = 0;

  const become = (next: CircuitBreaker['state']) => {
    if (state === next) return;
    state = next;
    onChange?.(next);
  };
  const startWindow = () => {
    windowStartedAt = now();
    failures = 0;
    successes = 0;
  };
  const open = () => {
    openedAt = now();
    become('open');
  };
  const count = (failed: boolean) => {
    if (now() - windowStartedAt > WINDOW_MS) startWindow();
    if (failed) failures += 1;
    else successes += 1;
    if (failures >= MIN_FAILURES && failures / (failures + successes) >= FAILURE_RATIO) open();
  };

  const permit = (isProbe: boolean): Permit => {
    let settled = false;
    const once = (settle: () => void) => () => {
      if (settled) return;
      settled = true;
      if (isProbe) probing = false;
      settle();
    };
    return {
      kind: 'permit',
      succeed: once(() => {
        if (isProbe) {
          startWindow();
          become('closed');
        } else if (state === 'closed') count(false);
      }),
      fail: once(() => {
        if (isProbe) open();
        else if (state === 'closed') count(true);
      }),
      abandon: once(() => undefined),
    };
  };

  return {
    get state() {
      return state;
    },
    enter() {
      if (state === 'closed') return permit(false);
      const waitMs = openedAt + OPEN_MS - now();
      if (waitMs > 0) return { kind: 'open', retryAfterMs: waitMs };
      if (probing) return { kind: 'open', retryAfterMs: OPEN_MS };
      probing = true;
      become('half-open');
      return permit(true);
    },
  };
}
