// The session store is gone, or says nothing: 503 and never a verdict, nothing is cleared, and all is well again by itself.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import {
  type Browser,
  closeGateways,
  createTestClock,
  startGateway,
  type TestClock,
  type TestGateway,
} from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const CALLS: readonly (readonly [string, string])[] = [
  ['GET', '/bff/session'],
  ['GET', '/bff/session?slide=false'],
  ['POST', '/bff/refresh'],
  ['GET', '/bff/sessions'],
  ['DELETE', '/bff/sessions'],
  ['DELETE', '/bff/sessions/abc'],
  ['POST', '/bff/logout'],
  ['GET', EVENT],
  ['POST', '/delivery/api/v1/__echo'],
  ['GET', '/kms/api/v1/auth/validate'],
  ['POST', '/api/v1/auth/refresh'],
];

let redis: TestRedis;
let simulator: Simulator;
let clock: TestClock;
let gateway: TestGateway;
let browser: Browser;

beforeEach(async () => {
  redis = await startRedis();
  clock = createTestClock();
  simulator = await createSimulator({ now: clock.now });
  gateway = await startGateway(simulator, { clock, env: { REDIS_URL: redis.url } });
  browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
});
afterEach(async () => {
  redis.resume();
  await closeGateways();
  await simulator.close();
  await redis.close();
});

function expectStoreDown(reply: Reply): void {
  expectProblem(reply, 503, 'store_unavailable');
  expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(reply.setCookies).toEqual([]);
  expect(reply.text).not.toMatch(/redis|127\.0\.0\.1|ECONN/i);
}

/** Sessions may be served from memory for the moment in which the loss is not yet noticed. */
const untilNoticed = (): Promise<void> =>
  until('the loss being noticed', async () => (await browser.fetch('/bff/session')).status === 503, 10_000);

describe('a store that is gone', () => {
  test('is 503 with Retry-After on every call with a session, and the cookie stays', async () => {
    const asked = simulator.requests().length;
    await redis.stop();
    await untilNoticed();
    for (const [method, path] of CALLS) expectStoreDown(await browser.fetch(path, { method }));
    expect(simulator.requests()).toHaveLength(asked);
    expect(browser.cookie).toBeDefined();
    await until(
      'the log lines',
      () => gateway.logLines().filter((line) => line.code === 'store_unavailable').length >= CALLS.length,
    );
    expect(await gateway.metrics()).toMatch(/requests_total\{.*status="503",code="store_unavailable"\} \d+/);
  });

  test('changes nothing for who has no session, or no well-formed cookie', async () => {
    await redis.stop();
    for (const cookie of [undefined, '__Host-finvera_session=x']) {
      const headers = cookie ? { Cookie: cookie } : {};
      expectProblem(await gateway.browser().fetch(EVENT, { headers }), 401, 'session_required');
      expect((await gateway.browser().fetch('/bff/logout', { method: 'POST', headers })).status).toBe(204);
    }
  });

  test('lets nobody log in, and no password leaves', async () => {
    await redis.stop();
    const asked = simulator.requests().length;
    const reply = await gateway.browser().login();
    expectStoreDown(reply);
    expect(simulator.requests()).toHaveLength(asked);
  });

  test('is noticed by a login between its exchange and its session: 503 and no cookie', async () => {
    const hold = simulator.addFault({ fault: 'hold', match: { call: 'validate' } });
    const login = gateway.browser().login('second@finvera.test');
    await simulator.waitForRequests('validate', 2);
    await redis.stop();
    hold.remove();
    expectStoreDown(await login);
    expect(gateway.logLines().filter(({ event }) => event === 'session_started')).toHaveLength(1);
  });

  test('comes back without a restart of the gateway', async () => {
    await redis.stop();
    await untilNoticed();
    expectStoreDown(await browser.fetch(EVENT));
    await redis.restart();
    await until('the store being back', async () => (await gateway.browser().login()).status === 200);
    // The new Redis is empty: only now is the session over.
    const reply = await browser.fetch(EVENT);
    expectProblem(reply, 401, 'session_expired');
    expect(reply.setCookies).toEqual([expect.stringContaining('Max-Age=0')]);
  });

  test('does not keep the gateway from starting', async () => {
    await redis.stop();
    const late = await startGateway(simulator, { env: { REDIS_URL: redis.url } });
    expectStoreDown(await late.browser().login());
    await redis.restart();
    const caller = late.browser();
    await until('the store being there', async () => (await caller.login()).status === 200);
    expect((await caller.fetch(EVENT)).status).toBe(200);
  });
});

describe('a store that says nothing', () => {
  test('is 503 in bounded time, and the same session goes on once it speaks again', async () => {
    redis.pause();
    await untilNoticed();
    const [session, forwarded, login] = await Promise.all([
      browser.fetch('/bff/session'),
      browser.fetch(EVENT),
      gateway.browser().login(),
    ]);
    for (const reply of [session, forwarded, login]) expectStoreDown(reply as Reply);
    expect(browser.cookie).toBeDefined();
    redis.resume();
    await until('the store being back', async () => (await browser.fetch(EVENT)).status === 200);
    expect(json(await browser.fetch('/bff/session')).user.email).toBe('demo@finvera.test');
  });

  test('makes a logout a 503 that keeps the cookie, so that a retry works', async () => {
    const { cookie } = browser;
    redis.pause();
    expectStoreDown(await browser.fetch('/bff/logout', { method: 'POST' }));
    expect(browser.cookie).toBe(cookie);
    redis.resume();
    await until('the retry', async () => {
      const retry = await gateway.browser().fetch('/bff/logout', { method: 'POST', headers: { Cookie: cookie ?? '' } });
      return retry.status === 204 && retry.setCookies.length === 1;
    });
    const after = await gateway.browser().fetch('/bff/session', { headers: { Cookie: cookie ?? '' } });
    expectProblem(after, 401, 'session_expired');
  });

  test('while new tokens arrive loses none of them', async () => {
    clock.advance(3_601_000);
    const hold = simulator.addFault({ fault: 'hold', computed: true, match: { call: 'refresh' } });
    const waiting = browser.fetch(EVENT);
    await simulator.waitForRequests('refresh', 1);
    redis.pause();
    hold.remove();
    expect((await waiting).status).toBe(200);
    redis.resume();
    const settled = () => gateway.logLines().filter(({ event }) => event === 'refresh_write_pending').length === 2;
    await until('the write being settled', settled, 10_000);
    const other = await startGateway(simulator, {
      clock,
      env: { REDIS_URL: redis.url },
      settings: { sessionKeys: gateway.settings.sessionKeys },
    });
    const reply = await other.browser().fetch(EVENT, { headers: { Cookie: browser.cookie ?? '' } });
    expect(reply.status).toBe(200);
    expect(simulator.counters().refresh.received).toBe(1);
  });
});

test('a store that refuses the password is 503, and the password is not told', async () => {
  const guarded = await startRedis({ password: 'right-password' });
  const url = guarded.url.replace('right-password', 'wrong-password');
  const refused = await startGateway(simulator, { env: { REDIS_URL: url } });
  expectStoreDown(await refused.browser().login());
  expect(refused.logText()).not.toMatch(/wrong-password|right-password/);
  const welcome = await startGateway(simulator, { env: { REDIS_URL: guarded.url } });
  expect((await welcome.browser().login()).status).toBe(200);
  expect(welcome.logText()).not.toContain('right-password');
  await refused.close();
  await welcome.close();
  await guarded.close();
});
