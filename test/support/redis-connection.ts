// The gateway's own connection to a Redis of the test's, ready when it is returned.
import { Secret } from '../../src/kernel/secret.ts';
import { createRedisConnection, type RedisConnection, whenReady } from '../../src/redis/redis-client.ts';
import { createRecordedLog } from './recorded-log.ts';
import type { TestRedis } from './redis-server.ts';

export async function connectTo(redis: Pick<TestRedis, 'url'>): Promise<RedisConnection> {
  const connection = createRedisConnection(new Secret(redis.url), createRecordedLog('silent').log);
  if (!(await whenReady(connection, 10_000))) throw new Error('redis does not answer');
  return connection;
}
