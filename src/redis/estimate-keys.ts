/** How many keys of a kind there are, by a sample: counting them would look at every one. */
import type { Cluster, Redis } from 'ioredis';
import type { RedisConnection } from './redis-client.ts';

/** One SCAN step goes through the key table in the order of random hashes: a fair sample; all of them where there are fewer. */
const SAMPLE_KEYS = 500;

/** @throws where Redis does not answer, or may not be asked. */
export async function estimateKeys(redis: RedisConnection, isOfKind: (key: string) => boolean): Promise<number> {
  const nodes = redis.isCluster ? (redis as Cluster).nodes('master') : [redis as Redis];
  const counts = await Promise.all(
    nodes.map(async (node) => {
      const [[, sample], size] = await Promise.all([node.scan('0', 'COUNT', SAMPLE_KEYS), node.dbsize()]);
      return sample.length === 0 ? 0 : (sample.filter(isOfKind).length / sample.length) * size;
    }),
  );
  return Math.round(counts.reduce((sum, count) => sum + count, 0));
}
