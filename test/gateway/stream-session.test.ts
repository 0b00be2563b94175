// A stream lives as long as its session: on every instance, through refreshes, and not a second longer.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { openStream } from '../support/stream-client.ts';
import {
  closeStreamScenes,
  onRedis,
  type StreamSceneOptions,
  startStreamPair,
  startStreamScene,
} from '../support/stream-scene.ts';
import { createTestClock } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

let simulator: Simulator;
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  await redis.client.flushall();
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeStreamScenes();
  await simulator.close();
});

const startScene = (options: StreamSceneOptions = {}) => startStreamScene(simulator, options);
const startPair = () => startStreamPair(simulator, redis);

describe('a session that goes on', () => {
  test('by a refresh keeps its streams open, here and on other instances', async () => {
    const { gateway, browser, target, upstream } = await startPair();
    const there = await openStream(target);
    const here = await openStream({ ...target, url: gateway.url });
    expect((await browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    await upstream.next(2);
    for (const { socket } of upstream.streams) socket.send('still there');
    await until('both', () => there.messages.length + here.messages.length === 2);
    expect([there.closed(), here.closed()]).toEqual([undefined, undefined]);
  });

  test('by messages of the user does not become idle; what the upstream says and pongs are no activity', async () => {
    const clock = createTestClock();
    const { browser, target, upstream } = await startScene({
      gateway: { env: { SESSION_IDLE_TIMEOUT: '10m' }, clock },
      streams: { heartbeat: 200 },
    });
    const client = await openStream(target);
    const stream = await upstream.next();
    for (let minute = 0; minute < 20; minute += 5) {
      clock.advance(300_000);
      client.socket.send('here');
      await until('the message', () => stream.messages.length === minute / 5 + 1);
    }
    expect((await browser.fetch('/bff/session?slide=false')).status).toBe(200);
    clock.advance(661_000);
    stream.socket.send('quote');
    expect(await client.code()).toBe(4401);
  });
});

describe('what is not heard', () => {
  test('while the subscription is lost, an end is found by reading', async () => {
    const { browser, target, other } = await startPair();
    const client = await openStream(target);
    await until('hearing', () => other.logText().includes('session events are heard'));
    // From now on nobody may subscribe: it stays lost, and is not heard for a moment in between.
    await redis.client.call('ACL', 'SETUSER', 'default', '-subscribe');
    try {
      await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await until('the loss', () => other.logText().includes('invalidation_lost'));
      await browser.fetch('/bff/logout', { method: 'POST' });
      expect(await client.code()).toBe(4401);
      expect(other.logText().split('session events are heard')).toHaveLength(2);
    } finally {
      await redis.client.call('ACL', 'SETUSER', 'default', '+subscribe');
    }
  });

  test('a session that cannot be verified for 30 s closes its streams with 1011; before that they stay', async () => {
    const clock = createTestClock();
    const { target, upstream, gateway } = await startScene({ gateway: { ...onRedis(redis), clock } });
    const client = await openStream(target);
    const { socket } = await upstream.next();
    await until('hearing', () => gateway.logText().includes('session events are heard'));
    redis.pause();
    try {
      await until('the loss', () => gateway.logText().includes('invalidation_lost'), 10_000);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      clock.advance(28_000);
      socket.send('still there');
      await until('the message', () => client.messages.length === 1);
      expect(client.closed()).toBeUndefined();
      clock.advance(3_000);
      expect(await client.code()).toBe(1011);
    } finally {
      redis.resume();
    }
  });

  test('a short gap, with the session still there, closes nothing', async () => {
    const clock = createTestClock();
    const { target, gateway, upstream } = await startScene({ gateway: { ...onRedis(redis), clock } });
    const client = await openStream(target);
    await upstream.next();
    await until('hearing', () => gateway.logText().includes('session events are heard'));
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('the loss', () => gateway.logText().includes('invalidation_lost'));
    const heard = () => gateway.logText().split('session events are heard').length > 2;
    await until('hearing again', heard, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    clock.advance(31_000);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(client.closed()).toBeUndefined();
  });
});

describe('limits of a stream', () => {
  test('a message over the limit closes with 1009, from either side', async () => {
    const { upstream, target } = await startScene({ streams: { maxMessageBytes: 1_000 }, echo: true });
    const one = await openStream(target);
    one.socket.send('x'.repeat(1_000));
    await until('the echo', () => one.messages.length === 1);
    one.socket.send('x'.repeat(1_001));
    expect(await one.code()).toBe(1009);
    await until('the end at the upstream', () => upstream.streams[0]?.closed() !== undefined);
    expect(upstream.streams[0]?.messages).toHaveLength(1);
    const two = await openStream(target);
    (await upstream.next(2)).socket.send('x'.repeat(1_001));
    expect(await two.code()).toBe(1009);
  });

  test('a reader that takes nothing is closed with 1013, and what waits for it stays small', async () => {
    const { upstream, target, gateway } = await startScene({ streams: { stallTimeout: 500 } });
    const client = await openStream(target);
    const { socket } = await upstream.next();
    client.socket.pause();
    const before = process.memoryUsage().rss;
    let sent = 0;
    const feed = setInterval(() => {
      for (; socket.readyState === socket.OPEN && socket.bufferedAmount < 1_000_000 && sent < 400; sent += 1)
        socket.send(Buffer.alloc(256 * 1024));
    }, 10);
    await until('the end at the upstream', () => socket.readyState !== socket.OPEN, 15_000);
    clearInterval(feed);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    client.socket.resume();
    expect(await client.code()).toBe(1013);
    await until('the line', () => gateway.logLines().some(({ close_code }) => close_code === 1013), 15_000);
  });

  test('an upstream that takes nothing is given up with 1011', async () => {
    const { upstream, target } = await startScene({ streams: { stallTimeout: 500 } });
    const client = await openStream(target);
    const { socket } = await upstream.next();
    socket.pause();
    const feed = setInterval(() => {
      if (client.socket.readyState === 1 && client.socket.bufferedAmount < 1_000_000)
        for (let i = 0; i < 8; i += 1) client.socket.send(Buffer.alloc(256 * 1024));
    }, 10);
    expect(await client.code(15_000)).toBe(1011);
    clearInterval(feed);
  });

  test('a browser that answers no ping is gone, one that does stays', async () => {
    const { upstream, target, gateway } = await startScene({ streams: { heartbeat: 200 } });
    const living = await openStream(target);
    const dead = await openStream(target);
    dead.socket.pause();
    await until('the end', () => gateway.logLines().some(({ close_code }) => close_code === 1006), 10_000);
    await until('the end at the upstream', () => upstream.streams.some((stream) => stream.closed()?.code === 1001));
    expect(living.closed()).toBeUndefined();
  });

  test('the end of the process closes with 1001 and waits for it', async () => {
    const { gateway, target } = await startScene();
    const clients = await Promise.all([openStream(target), openStream(target)]);
    expect(await gateway.gateway.close(5_000)).toBe(true);
    for (const client of clients) expect(await client.code()).toBe(1001);
  });
});
