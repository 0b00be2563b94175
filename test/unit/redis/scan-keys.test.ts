import { describe, expect, test } from '@jest/globals';
import { readRedisFacts } from '../../../src/redis/redis-facts.ts';
import { sessionKey } from '../../../src/redis/redis-keys.ts';
import { scanKeys } from '../../../src/redis/scan-keys.ts';
import { startCluster } from '../../support/redis-cluster.ts';
import { connectTo } from '../../support/redis-connection.ts';
import { startRedis } from '../../support/redis-server.ts';

async function keysOf(walk: AsyncIterable<readonly string[]>): Promise<Set<string>> {
  const keys = new Set<string>();
  for await (const batch of walk) for (const key of batch) keys.add(key);
  return keys;
}

const KEYS = Array.from({ length: 1_200 }, (_, i) => sessionKey(`session-${i}`));

describe('a walk over keys', () => {
  test('comes by every key of the pattern, in several steps, and by no other', async () => {
    const redis = await startRedis();
    const connection = await connectTo(redis);
    await redis.client.mset(...KEYS.flatMap((key) => [key, '1']), 'other', '1');
    let steps = 0;
    const walk = async function* () {
      for await (const batch of scanKeys(connection, 'finvera:*')) {
        steps += 1;
        yield batch;
      }
    };
    expect(await keysOf(walk())).toEqual(new Set(KEYS));
    expect(steps).toBeGreaterThan(1);
    connection.disconnect();
    await redis.close();
  });

  test('looks at every master of a cluster, and asks each for its facts', async () => {
    const cluster = await startCluster();
    const connection = await connectTo(cluster);
    await Promise.all(KEYS.map((key) => connection.set(key, '1')));
    expect(await keysOf(scanKeys(connection, 'finvera:*'))).toEqual(new Set(KEYS));
    const facts = await readRedisFacts(connection, { now: () => Date.now() });
    expect(facts).toHaveLength(3);
    for (const { version, replicas, clockAheadMs } of facts) {
      expect({ version, replicas }).toEqual({ version: expect.stringMatching(/^\d+\./), replicas: 1 });
      expect(Math.abs(clockAheadMs ?? Number.NaN)).toBeLessThan(1_000);
    }
    connection.disconnect();
    await cluster.close();
  }, 60_000);

  test('fails where redis goes away, rather than ending early', async () => {
    const redis = await startRedis();
    const connection = await connectTo(redis);
    await redis.stop();
    await expect(keysOf(scanKeys(connection, 'finvera:*'))).rejects.toThrow();
    connection.disconnect();
    await redis.close();
  });
});
