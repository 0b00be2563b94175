// A refresh token that Finvera takes no more: the session is over at once, everywhere, and nothing goes on with the old tokens.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import type { Reply } from '../support/http-client.ts';
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

const CLEARED = '__Host-finvera_session=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0';
const EVENT = '/delivery/api/v1/events/evt-0001';
const EXPIRED = 3_601_000;
const KEYS = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };

let redis: TestRedis;
let simulator: Simulator;
let clock: TestClock;

beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  clock = createTestClock();
  simulator = await createSimulator({ now: clock.now });
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
  await redis.client.flushall();
});
afterAll(() => redis.close());

const start = (env: Record<string, string> = {}): Promise<TestGateway> =>
  startGateway(simulator, { clock, env: { REDIS_URL: redis.url, FINVERA_AUTH_TIMEOUT: '15s', ...env } });

async function loggedIn(gateway: TestGateway): Promise<Browser> {
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  return browser;
}

const refresh = (browser: Browser): Promise<Reply> => browser.fetch('/bff/refresh', { method: 'POST' });
const exchanges = (): number => simulator.counters().refresh.received;
const storedSessions = async () =>
  (await redis.client.keys('*')).filter((key) => !key.includes('throttle') && !key.includes(':user:'));

function expectSessionExpired(reply: Reply): void {
  expectProblem(reply, 401, 'session_expired');
  expect(reply.setCookies).toEqual([CLEARED]);
}

async function expectSessionGone(gateway: TestGateway, cookie: string | undefined, reason: string): Promise<void> {
  const browser = gateway.browser();
  browser.cookie = cookie;
  expectSessionExpired(await browser.fetch('/bff/session'));
  expect(await storedSessions()).toEqual([]);
  expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_ended', reason }));
  expect(await gateway.metrics()).toContain(`finvera_gateway_sessions_ended_total{reason="${reason}"} 1`);
}

describe('a refresh token that is rejected', () => {
  test('ends the session of a request that needs it', async () => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    const { cookie } = browser;
    simulator.revoke('refresh');
    clock.advance(EXPIRED);
    const replies = await Promise.all([1, 2, 3].map(() => browser.fetch(EVENT, { headers: { Cookie: cookie ?? '' } })));
    for (const reply of replies) expectSessionExpired(reply);
    expect(simulator.counters().data.received).toBe(0);
    await expectSessionGone(gateway, cookie, 'refresh_rejected');
  });

  test.each([400, 401, 403])('ends the session that asks for a refresh, whether Finvera says %d', async (status) => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    const { cookie } = browser;
    simulator.addFault({ fault: 'status', status, match: { call: 'refresh' } });
    expectSessionExpired(await refresh(browser));
    expect(exchanges()).toBe(1);
    await expectSessionGone(gateway, cookie, 'refresh_rejected');
    expect(await gateway.metrics()).toContain('finvera_gateway_refreshes_total{outcome="rejected",why="rejected"} 1');
  });

  test('ends the session where Finvera refused the access token first', async () => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    const { cookie } = browser;
    simulator.revoke('all');
    expectSessionExpired(await browser.fetch(EVENT));
    expect(simulator.requests('data')).toHaveLength(1);
    await expectSessionGone(gateway, cookie, 'refresh_rejected');
  });

  test('ends the session on the instance that did not ask, too, and Finvera is not asked again', async () => {
    const [one, two] = [await start(KEYS), await start(KEYS)];
    const browser = await loggedIn(one);
    const { cookie = '' } = browser;
    expect((await two.browser().fetch(EVENT, { headers: { Cookie: cookie } })).status).toBe(200);
    simulator.revoke('refresh');
    clock.advance(EXPIRED);
    expectSessionExpired(await browser.fetch(EVENT));
    const asked = simulator.requests().length;
    for (const path of [EVENT, '/bff/session', '/bff/sessions', '/kms/api/v1/auth/validate'])
      expectSessionExpired(await two.browser().fetch(path, { headers: { Cookie: cookie } }));
    expect(simulator.requests()).toHaveLength(asked);
  });
});
