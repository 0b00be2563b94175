/**
 * Asks Redis and hardly waits: what takes longer counts as not there, and after a few of these nobody asks until Redis
 * answers a probe again. A Redis that answered the last time is given 100 ms, which a busy event loop may need by itself;
 * one that did not, 5 ms. So a Redis that stalls or is gone costs those who ask first the one, and nobody more than that.
 */
import type { RedisConnection } from '../redis/redis-client.ts';

const PATIENT_MS = 100;
const IMPATIENT_MS = 5;
export const LATE = Symbol('late');

export interface QuickRedis {
  /** False while nobody should ask. */
  isUsable(): boolean;
  /** When an operation that begins now must be done, on `performance.now`. */
  deadline(): number;
  /** Runs within what is left of `deadline` (on `performance.now`); LATE where it took longer or failed. */
  within<T>(deadline: number, operation: () => Promise<T>): Promise<T | typeof LATE>;
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
    const answer = await race(redis.echo('cache'), IMPATIENT_MS * 4);
    if (answer === LATE || performance.now() - startedAt > PROBE_MS) return;
    clearInterval(probing);
    probing = undefined;
    failures = 0;
    onChange(true);
  };
  return {
    isUsable: () => probing === undefined,
    deadline: () => performance.now() + (failures === 0 ? PATIENT_MS : IMPATIENT_MS),
    async within(deadline, operation) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0 || probing) return LATE;
      const answer = await race(operation(), leftMs);
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
