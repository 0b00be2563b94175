// How often Redis was asked for something: shows that a request was answered without a look-up.
import type { TestRedis } from './redis-server.ts';

/** Since the last `CONFIG RESETSTAT`, whatever was asked for. */
export async function lookUps(redis: TestRedis): Promise<number> {
  const stats = await redis.client.info('commandstats');
  const calls = [...stats.matchAll(/^cmdstat_(\w+)[^:]*:calls=(\d+)/gm)];
  return calls
    .filter(([, name]) => /^(h|get|mget|eval|fcall|z|set|exists|del|ttl|pttl|scan|keys)/.test(name ?? ''))
    .reduce((sum, [, , number]) => sum + Number(number), 0);
}
