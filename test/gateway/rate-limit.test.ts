// Finvera's 429: passed once, then remembered for the credential it was said to and answered here until its Retry-After.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import type { RouteSettings } from '../../src/config/settings.ts';
import type { Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { closeGateways, createTestClock, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const SECURITIES = '/search/api/v1/securities?search=AAPL';
const VALIDATE = '/kms/api/v1/auth/validate';
const START = Date.parse('2026-11-24T12:00:00Z');

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator({ apiKey: 'finvera_server_key' });
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

const limit = (changes: Partial<FaultSpec> = {}) =>
  simulator.addFault({ fault: 'rate_limited', retryAfter: 20, match: { call: 'data' }, times: 1, ...changes });

const asked = () => simulator.counters().data.received;

async function loggedIn(gateway: TestGateway, email?: string) {
  const browser = gateway.browser();
  expect((await browser.login(email)).status).toBe(200);
  return browser;
}

function expectLimited(reply: Reply, seconds: number): void {
  expectProblem(reply, 429, 'rate_limited');
  expect([reply.headers['retry-after'], reply.headers.ratelimit]).toEqual([
    String(seconds),
    `"finvera";r=0;t=${seconds}`,
  ]);
}

describe('after a 429', () => {
  test('every route answers here, with what is left of the time, until it is over', async () => {
    const clock = createTestClock(START);
    const gateway = await startGateway(simulator, { clock });
    const browser = await loggedIn(gateway);
    limit();
    const first = await browser.fetch(EVENT);
    expect([first.status, first.headers['retry-after'], first.headers.ratelimit]).toEqual([429, '20', undefined]);
    expect(JSON.parse(first.text).error.message).toBe('Too Many Requests');
    const before = asked();
    clock.advance(7_500);
    expectLimited(await browser.fetch(SECURITIES), 13);
    expectLimited(await browser.fetch(EVENT, { method: 'POST', body: 'x'.repeat(100) }), 13);
    expect(asked()).toBe(before);
    clock.advance(12_500);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(asked()).toBe(before + 1);
    expect(await gateway.metrics()).toMatch(/rate_limits_total\{event="answered"\} 2/);
  });

  test('other users are served, and another session of the same user is not', async () => {
    const gateway = await startGateway(simulator);
    const browser = await loggedIn(gateway);
    const second = await loggedIn(gateway);
    const other = await loggedIn(gateway, 'enterprise@finvera.test');
    limit();
    await browser.fetch(EVENT);
    expectProblem(await second.fetch(EVENT), 429, 'rate_limited');
    expect((await other.fetch(EVENT)).status).toBe(200);
  });

  test('a renewed token is no new allowance', async () => {
    const gateway = await startGateway(simulator);
    const browser = await loggedIn(gateway);
    limit();
    await browser.fetch(EVENT);
    expect((await browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    const before = asked();
    expectProblem(await browser.fetch(EVENT), 429, 'rate_limited');
    expect(asked()).toBe(before);
  });

  test('who has no session is told so, not of the limit', async () => {
    const gateway = await startGateway(simulator);
    const browser = await loggedIn(gateway);
    limit();
    await browser.fetch(EVENT);
    await browser.fetch('/bff/logout', { method: 'POST' });
    expectProblem(await browser.fetch(EVENT), 401, 'session_required');
  });

  test('Finvera’s own identity call is still asked', async () => {
    const gateway = await startGateway(simulator);
    const browser = await loggedIn(gateway);
    limit();
    await browser.fetch(EVENT);
    expect((await browser.fetch(VALIDATE)).status).toBe(200);
  });
});

describe('Retry-After', () => {
  test('as a date is counted on Finvera’s clock', async () => {
    const clock = createTestClock(START);
    const gateway = await startGateway(simulator, { clock });
    const browser = await loggedIn(gateway);
    const finverasNow = START + 3_600_000;
    limit({ retryAfter: new Date(finverasNow + 30_000).toUTCString() });
    simulator.addFault({ fault: 'headers', headers: { Date: new Date(finverasNow).toUTCString() } });
    await browser.fetch(EVENT);
    expectLimited(await browser.fetch(EVENT), 30);
  });

  test.each([null, '0', 'soon', '-5', new Date(0).toUTCString()])('%j is nothing to remember', async (retryAfter) => {
    const gateway = await startGateway(simulator);
    const browser = await loggedIn(gateway);
    limit({ retryAfter });
    expect((await browser.fetch(EVENT)).status).toBe(429);
    expect((await browser.fetch(EVENT)).status).toBe(200);
  });
});

describe('the server’s key', () => {
  const routes: readonly RouteSettings[] = [
    { path: '/delivery', methods: ['GET'], credential: 'api-key', apiKeyIn: 'query' },
    { path: '/search', methods: ['GET'], credential: 'session', apiKeyIn: 'bearer' },
    { path: '/public', methods: ['GET'], credential: 'none', apiKeyIn: 'bearer' },
  ];

  test('is limited for all users, and only on its routes', async () => {
    const gateway = await startGateway(simulator, {
      env: { FINVERA_API_KEY: 'finvera_server_key' },
      settings: { routes },
    });
    const browser = await loggedIn(gateway);
    const other = await loggedIn(gateway, 'enterprise@finvera.test');
    limit();
    await browser.fetch(EVENT);
    expectProblem(await other.fetch(EVENT), 429, 'rate_limited');
    expect((await other.fetch(SECURITIES)).status).toBe(200);
  });

  test('and a 429 of a public route is passed each time', async () => {
    const gateway = await startGateway(simulator, {
      env: { FINVERA_API_KEY: 'finvera_server_key' },
      settings: { routes },
    });
    limit({ times: 2, match: { path: '/public' } });
    const browser = gateway.browser();
    const replies = [];
    for (let i = 0; i < 3; i += 1) replies.push((await browser.fetch('/public/api/v1/__echo')).status);
    expect(replies).toEqual([429, 429, 200]);
  });
});

describe('with two instances', () => {
  let redis: TestRedis;
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await closeGateways();
    await redis.close();
  });

  test('the other one hears of it', async () => {
    const env = { REDIS_URL: redis.url, SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };
    const [a, b] = await Promise.all([startGateway(simulator, { env }), startGateway(simulator, { env })]);
    const browser = await loggedIn(a);
    const there = b.browser();
    there.cookie = browser.cookie;
    const healthy = async (gateway: TestGateway) => (await gateway.metrics()).includes('invalidation_healthy 1');
    await until('both hear', async () => (await healthy(a)) && (await healthy(b)), 10_000);
    limit();
    expect((await browser.fetch(EVENT)).status).toBe(429);
    await until('the other one knows', async () => (await there.fetch(EVENT)).status === 429, 10_000);
    expect(await b.metrics()).not.toMatch(/rate_limits_total\{event="learned"\}/);
  });
});
