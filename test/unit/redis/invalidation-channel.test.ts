import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Secret } from '../../../src/kernel/secret.ts';
import {
  createInvalidationChannel,
  createLocalChannel,
  ECHO_MAX_AGE_MS,
  type InvalidationChannel,
  type SessionEvent,
} from '../../../src/redis/invalidation-channel.ts';
import { createRedisSubscriber, type RedisConnection } from '../../../src/redis/redis-client.ts';
import { sessionKey } from '../../../src/redis/redis-keys.ts';
import { createRedisSessionStore } from '../../../src/session/redis-session-store.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';
import { connectTo } from '../../support/redis-connection.ts';
import { startRedis, type TestRedis } from '../../support/redis-server.ts';
import { HOUR, storedSession } from '../../support/session-fixtures.ts';

let redis: TestRedis;
let publisher: RedisConnection;
let channel: InvalidationChannel;
let healthyCalls: number;
const events: SessionEvent[] = [];
const waiting = new Set<() => void>();

beforeEach(async () => {
  redis = await startRedis();
  publisher = await connectTo(redis);
  const { log } = createRecordedLog('silent');
  channel = createInvalidationChannel(createRedisSubscriber(new Secret(redis.url), log), publisher, log);
  healthyCalls = 0;
  events.length = 0;
  channel.onEvent((event) => {
    events.push(event);
    for (const check of waiting) check();
  });
  channel.onHealthy(() => {
    healthyCalls += 1;
    for (const check of waiting) check();
  });
  await until(() => channel.isHealthy());
});
afterEach(async () => {
  channel.close();
  publisher.disconnect();
  await redis.close();
});

/** Resolves when `condition` holds, asked at each event and every few milliseconds. */
function until(condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => check(), 10);
    const check = () => {
      if (!condition()) return;
      clearInterval(timer);
      waiting.delete(check);
      resolve();
    };
    waiting.add(check);
    check();
  });
}
const heard = (wanted: SessionEvent) =>
  until(() => events.some((event) => JSON.stringify(event) === JSON.stringify(wanted)));

describe('the invalidation channel', () => {
  test('hears within moments that a session ended or was renewed elsewhere, and why', async () => {
    const other = await connectTo(redis);
    const store = createRedisSessionStore(other);
    const session = storedSession(Date.now());
    await store.create(session, HOUR, 1);
    await store.writeSeal(session.hash, {
      version: 1,
      seal: 's',
      absoluteExpiresAt: session.absoluteExpiresAt,
      ttlMs: HOUR,
    });
    await heard({ kind: 'refreshed', hash: session.hash });
    await store.end(session, 'logout');
    await heard({ kind: 'ended', hash: session.hash, reason: 'logout' });
    other.disconnect();
  });

  test('hears of a session that somebody deletes by hand', async () => {
    const { hash } = storedSession(0);
    await redis.client.hset(sessionKey(hash), 'v', '1');
    await heard({ kind: 'changed', hash });
    events.length = 0;
    await redis.client.del(sessionKey(hash));
    await heard({ kind: 'changed', hash });
  });

  test('hears of a session that was sealed anew, also where Redis itself tells nothing', async () => {
    const { hash } = storedSession(0);
    await redis.client.publish('finvera:events', `resealed ${hash}`);
    await heard({ kind: 'changed', hash });
  });

  test('hears of several sessions that change in one step', async () => {
    const hashes = [storedSession(0).hash, storedSession(0).hash];
    await redis.client.mset(Object.fromEntries(hashes.map((hash) => [sessionKey(hash), '1'])));
    for (const hash of hashes) await heard({ kind: 'changed', hash });
  });

  test('hears that the store was emptied', async () => {
    await redis.client.flushall();
    await heard({ kind: 'flushed' });
  });

  test('hears nothing of other keys', async () => {
    await redis.client.set('finvera:user:{x}', '1');
    await redis.client.set('other', '1');
    await redis.client.publish('finvera:events', 'nonsense of others');
    await redis.client.flushall();
    await heard({ kind: 'flushed' });
    expect(events).toEqual([{ kind: 'flushed' }]);
  });

  test('is not healthy any more once it hears nothing, and tells when it hears again', async () => {
    expect(healthyCalls).toBe(1);
    redis.pause();
    const pausedAt = performance.now();
    await until(() => !channel.isHealthy());
    expect(performance.now() - pausedAt).toBeLessThan(ECHO_MAX_AGE_MS + 1_000);
    redis.resume();
    await until(() => channel.isHealthy() && healthyCalls === 2);
  });

  test('is not healthy while redis is gone, and hears again after it came back, without a restart', async () => {
    await redis.stop();
    await until(() => !channel.isHealthy());
    await redis.restart();
    await until(() => healthyCalls === 2);
    expect(channel.isHealthy()).toBe(true);
    await redis.client.flushall();
    await heard({ kind: 'flushed' });
  });

  test('is not healthy where only its own connection is cut', async () => {
    const lines = String(await redis.client.client('LIST', 'TYPE', 'PUBSUB'));
    const id = /\bid=(\d+)/.exec(lines)?.[1] ?? '';
    await redis.client.client('KILL', 'ID', id);
    await until(() => healthyCalls === 2);
    await redis.client.flushall();
    await heard({ kind: 'flushed' });
  });
});

describe('the local channel', () => {
  test('is always healthy and has nothing to tell', () => {
    const local = createLocalChannel();
    local.onEvent(() => {
      throw new Error('told');
    });
    local.onHealthy(() => {
      throw new Error('told');
    });
    expect(local.isHealthy()).toBe(true);
    local.close();
  });
});
