// The walk every user takes, on Redis and on memory, with the tokens wherever Finvera may put them.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { SimulatorOptions } from '../../simulator/settings.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { json } from '../support/http-client.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { closeGateways, createTestClock, startGateway } from '../support/test-gateway.ts';

const VARIANTS: readonly SimulatorOptions[] = [
  { tokenIn: 'cookies' },
  { tokenIn: 'json' },
  { tokenIn: 'both' },
  { tokenIn: 'cookies', rotation: false },
  { tokenIn: 'json', rotation: false, repeatRefreshToken: true },
  { tokenIn: 'cookies', tokenFormat: 'opaque' },
  { tokenIn: 'json', tokenFormat: 'opaque', expiresIn: false },
  { tokenIn: 'both', clockSkewS: 7_200, expiresIn: false },
  { tokenIn: 'cookies', cookieMaxAge: false, tokenSizes: { access: 900, refresh: 700 } },
];

let redis: TestRedis;
let simulator: Simulator;

beforeAll(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
  await redis.client.flushall();
});
afterAll(() => redis.close());

describe.each(['redis', 'memory'])('on %s', (store) => {
  test.each(VARIANTS)('logs in, forwards, refreshes, lists and logs out with %j', async (variant) => {
    const clock = createTestClock();
    simulator = await createSimulator({ ...variant, now: clock.now });
    const gateway = await startGateway(simulator, { clock, env: store === 'redis' ? { REDIS_URL: redis.url } : {} });
    const browser = gateway.browser();

    const login = await browser.login();
    expect(login.status).toBe(200);
    expect(json(login)).toEqual({
      user: {
        user_id: expect.any(String),
        email: 'demo@finvera.test',
        username: 'demo',
        licensing_tier_id: 'enterprise',
      },
      session: {
        created_at: new Date(clock.now()).toISOString(),
        expires_in: 30 * 24 * 3_600,
        idle_expires_in: 12 * 3_600,
        access_token_expires_in: 3_600,
      },
    });
    expect(login.setCookies).toEqual([
      expect.stringMatching(
        /^__Host-finvera_session=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=2592000$/,
      ),
    ]);

    for (let i = 0; i < 3; i += 1) {
      expect((await browser.fetch('/delivery/api/v1/events/evt-0001')).status).toBe(200);
    }
    expect(simulator.counters().refresh.received).toBe(0);

    clock.advance(3_601_000);
    expect((await browser.fetch('/delivery/api/v1/events/evt-0001')).status).toBe(200);
    expect(simulator.counters().refresh.received).toBe(1);
    expect((await browser.fetch('/delivery/api/v1/events/evt-0001')).status).toBe(200);
    expect(simulator.counters().refresh.received).toBe(1);

    const sessions = json(await browser.fetch('/bff/sessions')).sessions;
    expect(sessions).toEqual([expect.objectContaining({ current: true, ip: '127.0.0.1' })]);

    const cookie = browser.cookie ?? '';
    if (store === 'redis') {
      const dump = await redis.dump();
      const secrets = simulator.requests().flatMap(({ rawHeaders }) => rawHeaders.filter((value) => value.length > 60));
      for (const secret of [
        cookie.split('=')[1] ?? '',
        ...secrets.map((value) => value.replace(/^Bearer |^DT_\w+=/, '')),
      ]) {
        expect(dump).not.toContain(secret);
        expect(gateway.logText()).not.toContain(secret);
      }
    }

    const logout = await browser.fetch('/bff/logout', { method: 'POST' });
    expect(logout.status).toBe(204);
    expect(logout.setCookies).toEqual([
      '__Host-finvera_session=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0',
    ]);
    browser.cookie = cookie;
    const after = await browser.fetch('/delivery/api/v1/events/evt-0001');
    expect(after.status).toBe(401);
    expect(json(after).code).toBe('session_expired');
  });
});
