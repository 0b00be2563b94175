/** Walks over the keys of a whole Redis, of every master of a Cluster, without holding it up. For operators: no request needs it. */
import type { RedisConnection } from './redis-client.ts';
import { mastersOf, whenNodeReady } from './redis-masters.ts';

/** Redis looks at about so many keys a step, and answers others in between. */
const STEP_KEYS = 500;

/**
 * Keys that were there from the beginning to the end come at least once, a few of them twice; those that came or went
 * meanwhile may come or not.
 * @throws Error where a node does not answer: what came until then is not all.
 */
export async function* scanKeys(redis: RedisConnection, pattern: string): AsyncGenerator<readonly string[]> {
  for (const node of mastersOf(redis)) {
    if (!(await whenNodeReady(node))) throw new Error('a node of the store does not answer');
    let cursor = '0';
    do {
      const [next, keys] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', STEP_KEYS);
      cursor = next;
      if (keys.length > 0) yield keys;
    } while (cursor !== '0');
  }
}
