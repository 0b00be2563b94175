/**
 * Waits until a replica has what was just written, where there are replicas: a failover right after a logout or a
 * refresh would otherwise undo it. It narrows the gap and does not close it: replication stays asynchronous.
 */
import type { Redis } from 'ioredis';
import type { RedisConnection } from './redis-client.ts';

/** A connection that waits can do nothing else: the limit is short. */
const WAIT_LIMIT_MS = 50;
/** How long the number of replicas is believed, and how long a replica that lags is not waited for. */
const RECHECK_MS = 5_000;

/** @returns a function to be called after a write; it never throws, the write has happened. */
export function createReplicaWait(redis: RedisConnection): () => Promise<void> {
  let hasReplicas = false;
  let nextCheckAt = Number.NEGATIVE_INFINITY;
  let pauseUntil = Number.NEGATIVE_INFINITY;
  return async () => {
    // A Cluster spreads commands over its nodes: a WAIT of its own would ask any of them.
    if (redis.isCluster) return;
    try {
      const now = performance.now();
      if (now > nextCheckAt) {
        nextCheckAt = now + RECHECK_MS;
        hasReplicas = (await countReplicas(redis as Redis)) > 0;
      }
      if (!hasReplicas || now < pauseUntil) return;
      if ((await redis.wait(1, WAIT_LIMIT_MS)) < 1) pauseUntil = performance.now() + RECHECK_MS;
    } catch {
      // Not allowed, or the connection broke after the write: nothing more can be done here.
    }
  };
}

async function countReplicas(redis: Redis): Promise<number> {
  const [role, , replicas] = (await redis.role()) as [string, unknown, unknown];
  return role === 'master' && Array.isArray(replicas) ? replicas.length : 0;
}
