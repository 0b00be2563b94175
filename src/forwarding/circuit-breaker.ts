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

  const settle = (isProbe: boolean, outcome: 'succeeded' | 'failed' | 'unknown') => {
    if (isProbe) {
      probing = false;
      if (outcome === 'failed') open();
      if (outcome !== 'succeeded') return;
      startWindow();
      become('closed');
    } else if (state === 'closed' && outcome !== 'unknown') count(outcome === 'failed');
  };

  return {
    get state() {
      return state;
    },
    enter() {
      if (state === 'closed') return new OnePermit(settle, false);
      const waitMs = openedAt + OPEN_MS - now();
      if (waitMs > 0) return { kind: 'open', retryAfterMs: waitMs };
      if (probing) return { kind: 'open', retryAfterMs: OPEN_MS };
      probing = true;
      become('half-open');
      return new OnePermit(settle, true);
    },
  };
}

/** An object without closures: there is one for every request. */
class OnePermit implements Permit {
  readonly kind = 'permit';
  readonly #settle: (isProbe: boolean, outcome: 'succeeded' | 'failed' | 'unknown') => void;
  readonly #isProbe: boolean;
  #isSettled = false;

  constructor(settle: (isProbe: boolean, outcome: 'succeeded' | 'failed' | 'unknown') => void, isProbe: boolean) {
    this.#settle = settle;
    this.#isProbe = isProbe;
  }

  succeed(): void {
    this.#once('succeeded');
  }

  fail(): void {
    this.#once('failed');
  }

  abandon(): void {
    this.#once('unknown');
  }

  #once(outcome: 'succeeded' | 'failed' | 'unknown'): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#settle(this.#isProbe, outcome);
  }
}
