/** Pauses between attempts: each about twice the one before, at random so that a thousand pages do not come back at once; over at once when the browser is online again. */
import { onPageEvent, scope } from './browser-scope.ts';

export interface Pauses {
  /** Resolves after the pause, or early: the browser is online again, or the signal came. */
  next(): Promise<void>;
  /** The last attempt went well. */
  reset(): void;
}

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

export function createPauses(signal: AbortSignal): Pauses {
  let attempts = 0;
  return {
    next: () =>
      new Promise((resolve) => {
        const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempts);
        attempts += 1;
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          stop();
          resolve();
        };
        const timer = setTimeout(end, most * (0.5 + Math.random() / 2));
        const stop = onPageEvent(scope, 'online', end);
        signal.addEventListener('abort', end);
      }),
    reset() {
      attempts = 0;
    },
  };
}
