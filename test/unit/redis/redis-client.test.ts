import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { Secret } from '../../../src/kernel/secret.ts';
import {
  createRedisConnection,
  type RedisConnection,
  storeOperation,
  whenReady,
} from '../../../src/redis/redis-client.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';
import { connectTo } from '../../support/redis-connection.ts';
import { startRedis, type TestRedis, type TestRedisOptions } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';

const servers: TestRedis[] = [];
const connections: RedisConnection[] = [];
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.disconnect();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const start = async (options?: TestRedisOptions) => {
  const server = await startRedis(options);
  servers.push(server);
  return server;
};

const open = (url: string, log = createRecordedLog('silent').log) => {
  const connection = createRedisConnection(new Secret(url), log);
  connections.push(connection);
  return connection;
};

/** How long a promise takes to be rejected, in milliseconds. */
async function rejectionTimeOf(promise: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await expect(promise).rejects.toThrow();
  return performance.now() - startedAt;
}

describe('the connection', () => {
  test('uses user, password and database of its address', async () => {
    const server = await start({ password: 'p@ss' });
    const connection = open(server.url.replace('p@ss', 'p%40ss').concat('/2'));
    expect(await whenReady(connection, 5_000)).toBe(true);
    await connection.set('key', 'value');
    await server.client.select(2);
    expect(await server.client.get('key')).toBe('value');
  });

  test('sends the commands of one turn in one write, also after it was opened again', async () => {
    const server = await start();
    const connection = open(server.url) as Redis;
    for (const time of ['first', 'second']) {
      expect(await whenReady(connection, 5_000)).toBe(true);
      await until('nothing is under way', () => connection.stream.writableCorked === 0, 5_000);
      const socket = connection.stream as Socket;
      const before = socket.bytesWritten;
      const replies = [connection.set('key', time), connection.get('key')];
      const written = () => socket.bytesWritten - socket.writableLength;
      expect([socket.writableCorked, written()]).toEqual([1, before]);
      await new Promise((resolve) => setImmediate(resolve));
      expect(socket.writableCorked).toBe(0);
      expect(await Promise.all(replies)).toEqual(['OK', time]);
      connection.disconnect(true);
      await until('it is away', () => connection.status !== 'ready', 5_000);
    }
  });

  test('opens again where the client ended it by itself, and not once it was disconnected', async () => {
    const connection = open((await start()).url);
    expect(await whenReady(connection, 5_000)).toBe(true);
    // What the client's own watch of failovers does, while the connection is being made anew.
    const { connector } = connection as unknown as { connector: { disconnect(): void } };
    connection.once('connecting', () => connector.disconnect());
    const ended = new Promise((resolve) => connection.once('end', resolve));
    connection.disconnect(true);
    await ended;
    expect(await whenReady(connection, 5_000)).toBe(true);
    expect(await connection.get('key')).toBeNull();
    const endedAgain = new Promise((resolve) => connection.once('end', resolve));
    connection.disconnect();
    await endedAgain;
    expect(await whenReady(connection, 300)).toBe(false);
    expect(connection.status).toBe('end');
  });

  test('fails commands at once while redis is gone, and works again without a restart', async () => {
    const server = await start();
    const connection = await connectTo(server);
    connections.push(connection);
    const closed = new Promise((resolve) => connection.once('close', resolve));
    await server.stop();
    await closed;
    expect(await rejectionTimeOf(connection.get('key'))).toBeLessThan(500);
    await server.restart();
    expect(await whenReady(connection, 5_000)).toBe(true);
    expect(await connection.get('key')).toBeNull();
  });

  test('fails a command that is not answered within two seconds', async () => {
    const server = await start();
    const connection = await connectTo(server);
    connections.push(connection);
    server.pause();
    const tookMs = await rejectionTimeOf(connection.get('key'));
    server.resume();
    expect(tookMs).toBeGreaterThan(1_900);
    expect(tookMs).toBeLessThan(4_000);
  });

  test('logs an outage once, and its end, without the password', async () => {
    const server = await start({ password: 'canary' });
    const { log, lines, text } = createRecordedLog();
    const connection = open(server.url, log);
    await whenReady(connection, 5_000);
    const failed = new Promise<void>((resolve) => {
      let errors = 0;
      connection.on('error', () => {
        errors += 1;
        if (errors === 3) resolve();
      });
    });
    await server.stop();
    await failed;
    await server.restart();
    await whenReady(connection, 5_000);
    expect(lines().map(({ level, event, msg }) => [level, event, msg])).toEqual([
      ['warn', 'redis_error', 'redis connection failed'],
      ['info', 'redis_ready', 'redis connection is back'],
    ]);
    expect(text()).not.toContain('canary');
  });

  test('knows every script', async () => {
    const server = await start();
    const connection = await connectTo(server);
    connections.push(connection);
    expect(await connection.touchSession('k', 1, 1)).toBe(0);
    expect(await connection.renewLock('k', 'owner', 1)).toBe(0);
    expect(await connection.trimUser('k', 1)).toEqual([]);
    expect(await connection.indexSession('k', 1, 'member', 1_000)).toBe(1);
  });
});

describe('whenReady', () => {
  test('is false where nobody answers in time, and leaves nothing behind', async () => {
    // Of no client that adds listeners of its own while it reconnects.
    const silent = Object.assign(new EventEmitter(), { status: 'connecting' });
    expect(await whenReady(silent as unknown as RedisConnection, 20)).toBe(false);
    expect(silent.listenerCount('ready')).toBe(0);
  });
});

describe('storeOperation', () => {
  test('gives back what the operation gives', async () => {
    expect(await storeOperation(async () => 7)).toBe(7);
  });

  test('makes every failure one of the store, with its cause', async () => {
    const cause = new Error('Connection is closed.');
    await expect(storeOperation(() => Promise.reject(cause))).rejects.toMatchObject({
      kind: 'store_unavailable',
      status: 503,
      retryAfterMs: 1_000,
      cause,
    });
  });
});
