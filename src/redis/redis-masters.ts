/** The nodes that hold the keys: one, or the masters of a Cluster. It asks them nothing. */
import type { Cluster, Redis } from 'ioredis';
import { type RedisConnection, whenReady } from './redis-client.ts';

const NODE_WAIT_MS = 2_000;

export function mastersOf(redis: RedisConnection): readonly Redis[] {
  return redis.isCluster ? (redis as Cluster).nodes('master') : [redis as Redis];
}

/** Of a Cluster's nodes only those are connected that were asked something. @returns false where it does not answer. */
export function whenNodeReady(node: Redis): Promise<boolean> {
  if (node.status === 'wait') node.connect().catch(() => undefined);
  return whenReady(node, NODE_WAIT_MS);
}
