// /bff/events: a page hears of its session at once, wherever it was renewed or ended; real sockets, two gateways on one Redis.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { closeEventClients, type EventClient, openEvents } from '../support/event-client.ts';
import { call, json } from '../support/http-client.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { streamSettings } from '../support/stream-settings.ts';
import { closeGateways, createTestClock, startGateway, type TestGatewayOptions } from '../support/test-gateway.ts';
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
  closeEventClients();
  await closeGateways();
  await simulator.close();
});

const KEYS = `k1:${Buffer.alloc(32, 1).toString('base64url')}`;
const onRedis = () => ({ REDIS_URL: redis.url, SESSION_KEYS: KEYS });

async function startScene(options: TestGatewayOptions = {}) {
  const gateway = await startGateway(simulator, options);
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  return { gateway, browser };
}

const over = (client: EventClient, timeoutMs = 10_000) =>
  until('the end of the events', () => client.ended() !== undefined, timeoutMs);

describe('what a page is told', () => {
  test('at first how to come back, with headers that keep the answer from being kept or held back', async () => {
    const { gateway, browser } = await startScene();
    const client = await openEvents(gateway.url, browser.cookie);
    expect(client.response.statusCode).toBe(200);
    expect(client.response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    await until('the start', () => client.text() !== '');
    expect(client.text()).toBe('retry: 1000\nid: 1\n\n');
    expect(await gateway.metrics()).toContain('finvera_gateway_open_streams{kind="events"} 1');
    client.leave();
    await until('its end', async () => (await gateway.metrics()).includes('open_streams{kind="events"} 0'));
  });

  test('a refresh, an end and its reason, within a second and from the other instance too', async () => {
    const here = await startScene({ env: onRedis() });
    const there = await startGateway(simulator, { env: onRedis() });
    const clients = await Promise.all([here.gateway.url, there.url].map((url) => openEvents(url, here.browser.cookie)));
    expect((await here.browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    await until('the refresh', () => clients.every(({ events }) => events.length === 1));
    const startedAt = performance.now();
    expect((await here.browser.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
    await Promise.all(clients.map((client) => over(client)));
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    for (const client of clients) {
      expect(client.events).toEqual([
        { id: '2', event: 'session', data: { type: 'refreshed' } },
        { id: '2', event: 'session', data: { type: 'ended', reason: 'logout' } },
      ]);
      expect(client.ended()).toBe('whole');
    }
  });

  test('nothing of other sessions', async () => {
    const { gateway, browser } = await startScene();
    const other = gateway.browser();
    await other.login();
    const client = await openEvents(gateway.url, browser.cookie);
    const stranger = await openEvents(gateway.url, other.cookie);
    await browser.fetch('/bff/logout', { method: 'POST' });
    await over(client);
    expect(stranger.events).toEqual([]);
    expect(stranger.ended()).toBeUndefined();
  });

  test('at once that it was renewed, where it comes back knowing less; nothing where it knows as much', async () => {
    const { gateway, browser } = await startScene();
    await browser.fetch('/bff/refresh', { method: 'POST' });
    for (const [lastId, count] of [
      ['1', 1],
      ['2', 0],
      ['9', 0],
      ['x', 0],
    ] as const) {
      const client = await openEvents(gateway.url, browser.cookie, { 'Last-Event-ID': lastId });
      await until('the start', () => client.text().includes('\n\n'));
      await browser.fetch('/bff/session?slide=false');
      expect([lastId, client.events.length]).toEqual([lastId, count]);
    }
  });

  test.each([
    ['idle', { SESSION_IDLE_TIMEOUT: '10m' }],
    ['absolute', { SESSION_IDLE_TIMEOUT: '10m', SESSION_ABSOLUTE_TIMEOUT: '10m' }],
  ])('two minutes ahead that it ends (%s), at once where it comes later, and then the end', async (reason, env) => {
    const clock = createTestClock();
    const { gateway, browser } = await startScene({ env, clock });
    const client = await openEvents(gateway.url, browser.cookie);
    clock.advance(470_000);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(client.events).toEqual([]);
    clock.advance(15_000);
    await until('the warning', () => client.events.length === 1);
    expect(client.events[0]?.data).toEqual({ type: 'expiring', reason });
    const late = await openEvents(gateway.url, browser.cookie);
    await until('the warning', () => late.events.length === 1);
    expect(late.events[0]?.data).toEqual({ type: 'expiring', reason });
    // Listening was no activity: an idle session's end has not moved.
    clock.advance(180_000);
    await over(client);
    expect(client.events.map(({ data }) => data)).toEqual([
      { type: 'expiring', reason },
      { type: 'ended', reason },
    ]);
  });
});

describe('who is not told', () => {
  test('is answered 401 without a session and after its end, and 405 for other methods', async () => {
    const { gateway, browser } = await startScene();
    const { cookie } = browser;
    const none = await call(`${gateway.url}/bff/events`);
    expect([none.status, json(none).code]).toEqual([401, 'session_required']);
    const post = await browser.fetch('/bff/events', { method: 'POST' });
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD']);
    await browser.fetch('/bff/logout', { method: 'POST' });
    const after = await call(`${gateway.url}/bff/events`, { headers: { Cookie: cookie ?? '' } });
    expect([after.status, json(after).code]).toEqual([401, 'session_expired']);
  });

  test('gets from HEAD the head alone, and no place is taken', async () => {
    const { gateway, browser } = await startScene();
    const head = await browser.fetch('/bff/events', { method: 'HEAD' });
    expect([head.status, head.headers['content-type'], head.text]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      '',
    ]);
    expect(await gateway.metrics()).toContain('open_streams{kind="events"} 0');
  });

  test('is one more than a session may have, until one leaves', async () => {
    const { gateway, browser } = await startScene({ settings: { streams: streamSettings({ maxPerSession: 2 }) } });
    const [first] = await Promise.all([1, 2].map(() => openEvents(gateway.url, browser.cookie)));
    const refused = await browser.fetch('/bff/events');
    expect([refused.status, json(refused).code]).toEqual([429, 'too_many_streams']);
    first?.leave();
    await until('the place', async () => (await gateway.metrics()).includes('open_streams{kind="events"} 1'));
    expect((await openEvents(gateway.url, browser.cookie)).response.statusCode).toBe(200);
  });
});

describe('when something fails', () => {
  test('a frozen store answers 503; an open answer goes on, and after 30 s ends without saying that the session did', async () => {
    const clock = createTestClock();
    const { gateway, browser } = await startScene({ env: onRedis(), clock });
    const client = await openEvents(gateway.url, browser.cookie);
    await until('hearing', () => gateway.logText().includes('session events are heard'));
    redis.pause();
    try {
      await until('the loss', () => gateway.logText().includes('invalidation_lost'), 10_000);
      const refused = await browser.fetch('/bff/events');
      expect([refused.status, json(refused).code]).toEqual([503, 'store_unavailable']);
      expect(refused.setCookies).toEqual([]);
      expect(client.ended()).toBeUndefined();
      // The doubt begins with a look at the hearing, by this clock: passed only after that.
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      clock.advance(31_000);
      await over(client);
      expect([client.ended(), client.events]).toEqual(['whole', []]);
    } finally {
      redis.resume();
    }
  });

  test('the end of the process ends every answer whole, and waits for none', async () => {
    const { gateway, browser } = await startScene();
    const clients = await Promise.all([1, 2].map(() => openEvents(gateway.url, browser.cookie)));
    gateway.gateway.beginDrain();
    const late = await openEvents(gateway.url, browser.cookie);
    expect([...clients, late].map((client) => client.ended())).toEqual([undefined, undefined, undefined]);
    expect(await gateway.gateway.close(5_000)).toBe(true);
    for (const client of [...clients, late]) {
      await over(client);
      expect([client.ended(), client.events]).toEqual(['whole', []]);
    }
  });
});
