// Going on after the end: a session that is over opens nothing and keeps nothing open, on no instance and by no connection.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { closeEventClients, openEvents } from '../support/event-client.ts';
import { operate } from '../support/operator.ts';
import { expectProblem } from '../support/problem.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { openStream, refusedStream } from '../support/stream-client.ts';
import {
  closeStreamScenes,
  onRedis,
  type StreamSceneOptions,
  startStreamPair,
  startStreamScene,
} from '../support/stream-scene.ts';
import { type Browser, createBrowser, createTestClock } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const DOWNLOAD = '/delivery/api/v1/__bytes/1000';

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
  closeEventClients();
  await closeStreamScenes();
  await simulator.close();
});

const startScene = (options: StreamSceneOptions = {}) => startStreamScene(simulator, options);
const startPair = () => startStreamPair(simulator, redis);

/** What a thief with a copy of the cookie holds open at the other instance. */
async function thiefAt(url: string, cookie: string) {
  const stream = await openStream({ url, cookie });
  const events = await openEvents(url, cookie);
  simulator.addFault({ fault: 'stall_body', match: { path: DOWNLOAD } });
  const download = createBrowser(url)
    .fetch(DOWNLOAD, { headers: { Cookie: cookie } })
    .then(
      () => 'whole',
      () => 'cut',
    );
  await simulator.waitForRequests('data', 1);
  let downloaded: string | undefined;
  void download.then((end) => {
    downloaded = end;
  });
  return {
    hasLost: () => stream.closed() !== undefined && events.ended() !== undefined && downloaded === 'cut',
    stream,
    events,
  };
}

const userIdOf = async (browser: Browser) => JSON.parse((await browser.fetch('/bff/session')).text).user.user_id;
const operator = (command: string) => operate(command, onRedis(redis).env);

describe('a stolen cookie is worth nothing, and all that is open by it ends, within a second at every instance', () => {
  const ENDS: readonly (readonly [string, (browser: Browser) => Promise<unknown>])[] = [
    ['the user logs out', (browser) => browser.fetch('/bff/logout', { method: 'POST' })],
    ['the user ends all sessions', (browser) => browser.fetch('/bff/sessions', { method: 'DELETE' })],
    ['the user logs in again', (browser) => browser.login()],
    ['an operator ends the user’s', async (browser) => operator(`sessions end --user ${await userIdOf(browser)}`)],
    ['an operator ends everybody’s', () => operator('sessions end --all --yes')],
  ];

  test.each(ENDS)('once %s', async (_who, end) => {
    const { browser, other } = await startPair();
    const { cookie = '' } = browser;
    const thief = other.browser();
    const probe = () => thief.fetch(EVENT, { headers: { Cookie: cookie } });
    // Kept in the memory of the other instance, where it would live on if nobody told it.
    await until('the session in the cache', async () => {
      expect((await probe()).status).toBe(200);
      return /^finvera_gateway_cached_sessions 1$/m.test(await other.metrics());
    });
    const held = await thiefAt(other.url, cookie);
    await end(browser);
    await until('the end of it', async () => (await probe()).status === 401 && held.hasLost(), 1_000);
    expect(held.stream.closed()?.code).toBe(4401);
    expect(held.events.events.at(-1)?.data).toMatchObject({ type: 'ended' });
    const asked = simulator.requests('data').length;
    for (const path of ['/bff/session', '/bff/sessions', EVENT, '/kms/api/v1/auth/validate']) {
      const reply = await thief.fetch(path, { headers: { Cookie: cookie } });
      expectProblem(reply, 401, 'session_expired');
    }
    expectProblem(
      await thief.fetch('/bff/refresh', { method: 'POST', headers: { Cookie: cookie } }),
      401,
      'session_expired',
    );
    expect(simulator.requests('data')).toHaveLength(asked);
  });

  test('and nobody else loses theirs by what a user ends', async () => {
    const { browser, other } = await startPair();
    const stranger = other.browser();
    await stranger.login('second@finvera.test');
    const stream = await openStream({ url: other.url, cookie: stranger.cookie });
    expect((await browser.fetch('/bff/sessions', { method: 'DELETE' })).status).toBe(204);
    await until('the end', async () => (await browser.fetch(EVENT)).status === 401, 1_000);
    expect((await stranger.fetch(EVENT)).status).toBe(200);
    expect(stream.closed()).toBeUndefined();
  });
});

describe('the end of a session', () => {
  test.each([
    ['logout', '/bff/logout', 'POST'],
    ['the end of all of the user’s', '/bff/sessions', 'DELETE'],
  ])(
    'by %s closes its streams with 4401 and cuts the upstream’s, and no other session’s',
    async (_what, path, method) => {
      const { upstream, gateway, browser, target } = await startScene();
      const client = await openStream(target);
      const other = gateway.browser();
      await other.login('standard@finvera.test');
      const stranger = await openStream({ ...target, cookie: other.cookie });
      expect((await browser.fetch(path, { method })).status).toBe(204);
      await client.code(1_000);
      expect(client.closed()).toEqual({ code: 4401, reason: 'session ended' });
      await until('the end at the upstream', () => upstream.streams[0]?.closed() !== undefined);
      expect(stranger.closed()).toBeUndefined();
      expect((await refusedStream(target)).status).toBe(401);
    },
  );

  test('a login again in the same browser ends the streams of the session before', async () => {
    const { browser, target } = await startScene();
    const client = await openStream(target);
    await browser.login();
    expect(await client.code()).toBe(4401);
  });

  test('on one instance closes on the other within a second, each of five times', async () => {
    const { browser, target, other } = await startPair();
    for (let i = 0; i < 5; i += 1) {
      const client = await openStream({ ...target, cookie: browser.cookie });
      const startedAt = performance.now();
      await browser.fetch('/bff/logout', { method: 'POST' });
      expect(await client.code()).toBe(4401);
      expect(performance.now() - startedAt).toBeLessThan(1_000);
      await browser.login();
    }
    expect((await other.metrics()).match(/streams_closed_total\{code="4401",by="gateway"\} (\d+)/)?.[1]).toBe('5');
  });

  test('by a rejected refresh, by its key deleted from Redis, by an emptied Redis', async () => {
    const clock = createTestClock();
    const { browser, target } = await startScene({ gateway: { ...onRedis(redis), clock } });
    const one = await openStream(target);
    clock.advance(3_601_000);
    simulator.revoke('refresh');
    expect((await browser.fetch('/bff/session')).status).toBe(401);
    expect(await one.code()).toBe(4401);
    await browser.login();
    const two = await openStream({ ...target, cookie: browser.cookie });
    const keys = await redis.client.keys('*');
    await redis.client.del(...keys);
    expect(await two.code()).toBe(4401);
    await browser.login();
    const three = await openStream({ ...target, cookie: browser.cookie });
    await redis.client.flushall();
    expect(await three.code()).toBe(4401);
  });

  test('while the upstream is dialled refuses the stream as plain HTTP', async () => {
    const { upstream, browser, target } = await startScene({ refuse: () => 'hang' });
    const refusal = refusedStream(target);
    await until('the handshake', () => upstream.handshakes.length === 1);
    await browser.fetch('/bff/logout', { method: 'POST' });
    expect(await refusal).toMatchObject({ status: 401, body: expect.stringContaining('session_expired') });
  });

  test('that nobody asks for comes by its times: absolute, and idle', async () => {
    for (const [env, ms] of [
      [{ SESSION_ABSOLUTE_TIMEOUT: '10m', SESSION_IDLE_TIMEOUT: '10m' }, 600_000],
      [{ SESSION_IDLE_TIMEOUT: '10m' }, 661_000],
    ] as const) {
      const clock = createTestClock();
      const { target, upstream } = await startScene({ gateway: { env, clock } });
      const client = await openStream(target);
      await upstream.next();
      clock.advance(ms - 2_000);
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      expect(client.closed()).toBeUndefined();
      clock.advance(2_000);
      expect(await client.code()).toBe(4401);
    }
  });
});
