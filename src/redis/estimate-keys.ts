/** How many keys of a kind there are, by a sample: counting them would look at every one. */
import type { RedisConnection } from './redis-client.ts';
import { mastersOf } from './redis-masters.ts';

/** One SCAN step goes through the key table in the order of random hashes: a fair sample; all of them where there are fewer. */
const SAMPLE_KEYS = 500;

/** @throws where Redis does not answer, or may not be asked. */
export async function estimateKeys(redis: RedisConnection, isOfKind: (key: string) => boolean): Promise<number> {
  const counts = await Promise.all(
    mastersOf(redis).map(async (node) => {
      const [[, sample], size] = await Promise.all([node.scan('0', 'COUNT', SAMPLE_KEYS), node.dbsize()]);
      return sample.length === 0 ? 0 : (sample.filter(isOfKind).length / sample.length) * size;
    }),
  );
  return Math.round(counts.reduce((sum, count) => sum + count, 0));
}
