/**
 * Asks Redis and does not wait: what takes longer than 4 ms counts as not there, and after a few of these nobody asks
 * until Redis answers a probe again. So a Redis that stalls or is gone costs few requests, and these 5 ms at most.
 */
import type { RedisConnection } from '../redis/redis-client.ts';

/** A millisecond less than is promised: timers fire late. */
const REDIS_BUDGET_MS = 4;
export const LATE = Symbol('late');

export interface QuickRedis {
  /** False while nobody should ask. */
  isUsable(): boolean;
  /** LATE where it took longer than the budget, or failed: nothing more should be asked for this request then. */
  run<T>(operation: () => Promise<T>): Promise<T | typeof LATE>;
  close(): void;
}

const FAILURES_UNTIL_OPEN = 3;
const PROBE_MS = 500;

/** @param onChange told when it becomes usable or stops being so. */
export function createQuickRedis(redis: RedisConnection, onChange: (usable: boolean) => void): QuickRedis {
  let failures = 0;
  let probing: NodeJS.Timeout | undefined;
  const failed = () => {
    failures += 1;
    if (failures < FAILURES_UNTIL_OPEN || probing) return;
    onChange(false);
    probing = setInterval(() => void probe(), PROBE_MS);
    probing.unref();
  };
  const probe = async () => {
    const startedAt = performance.now();
    const answer = await race(redis.echo('cache'), REDIS_BUDGET_MS * 5);
    if (answer === LATE || performance.now() - startedAt > PROBE_MS) return;
    clearInterval(probing);
    probing = undefined;
    failures = 0;
    onChange(true);
  };
  return {
    isUsable: () => probing === undefined,
    async run(operation) {
      if (probing) return LATE;
      const answer = await race(operation(), REDIS_BUDGET_MS);
      if (answer === LATE) failed();
      else failures = 0;
      return answer;
    },
    close: () => clearInterval(probing),
  };
}

/**
 * The time of a busy event loop is not Redis's: when the timer fires, what has arrived on the socket meanwhile is read
 * before it is judged.
 */
function race<T>(operation: Promise<T>, limitMs: number): Promise<T | typeof LATE> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => setImmediate(() => resolve(LATE)), limitMs);
    operation.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      () => {
        clearTimeout(timer);
        resolve(LATE);
      },
    );
  });
}
