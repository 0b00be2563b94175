/** Many deadlines with one timer: a timer for each of a request's waits would cost more than the look at all of them. */

import { createPlaceList, type Placed } from '../kernel/place-list.ts';

/** One wait. Owned by who waits; it is on the list while it waits. */
export interface Deadline extends Placed {
  /** Milliseconds, monotonic. */
  dueAt: number;
  onDue(): void;
}

export interface Deadlines {
  /** Waits from now; for one that waits already from now anew. */
  set(deadline: Deadline, ms: number): void;
  clear(deadline: Deadline): void;
}

/** The most that a deadline is late, where the event loop is free. */
const TICK_MS = 50;

/** The timer runs only while somebody waits, and never holds the process. */
export function createDeadlines(): Deadlines {
  const waiting = createPlaceList<Deadline>();
  let timer: NodeJS.Timeout | undefined;

  const look = () => {
    if (waiting.size === 0) {
      clearInterval(timer);
      timer = undefined;
      return;
    }
    const now = performance.now();
    waiting.visitAll((deadline) => {
      if (deadline.dueAt > now) return;
      waiting.delete(deadline);
      deadline.onDue();
    });
  };

  return {
    set(deadline, ms) {
      deadline.dueAt = performance.now() + ms;
      waiting.add(deadline);
      timer ??= setInterval(look, TICK_MS).unref();
    },
    clear(deadline) {
      waiting.delete(deadline);
    },
  };
}
