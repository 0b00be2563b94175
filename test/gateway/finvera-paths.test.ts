// Finvera's own auth paths: an application written against Finvera runs with the gateway's address in its place.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { expectNothingTold } from '../support/secrets.ts';
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
const JSON_TYPE = { 'Content-Type': 'application/json' };

let simulator: Simulator;
let clock: TestClock;

beforeEach(async () => {
  clock = createTestClock();
  simulator = await createSimulator({ now: clock.now });
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

const start = (env: Record<string, string> = {}): Promise<TestGateway> => startGateway(simulator, { clock, env });

const token = (browser: Browser, prefix: string, password = 'demo-password'): Promise<Reply> =>
  browser.fetch(`${prefix}/token`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ email: 'demo@finvera.test', password }),
  });

describe.each(['/kms/api/v1/auth', '/api/v1/auth'])('%s', (prefix) => {
  test('/token is the login', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    const reply = await token(browser, prefix);
    expect(reply.status).toBe(200);
    expect(json(reply)).toEqual({ message: 'Authentication successful', expires_in: 3_600 });
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.setCookies).toEqual([
      expect.stringMatching(
        /^__Host-finvera_session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=2592000$/,
      ),
    ]);
    expect(json(await browser.fetch('/bff/session')).user.email).toBe('demo@finvera.test');
    await expectNothingTold(gateway, simulator, [browser.cookie?.split('=')[1]]);
  });

  test('/token ends the earlier session of this browser', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    await token(browser, prefix);
    const { cookie = '' } = browser;
    await token(browser, prefix);
    expect(browser.cookie).not.toBe(cookie);
    const old = await gateway.browser().fetch(EVENT, { headers: { Cookie: cookie } });
    expectProblem(old, 401, 'session_expired');
  });

  test('/token refuses as the login does, in Finvera’s error format too', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    const rejected = await token(browser, prefix, 'wrong');
    expectProblem(rejected, 401, 'login_rejected');
    expect(json(rejected).error).toEqual({ code: 401, message: expect.any(String), details: expect.any(String) });
    expect(rejected.setCookies).toEqual([]);
    const post = (body: string, headers: Record<string, string>) =>
      browser.fetch(`${prefix}/token`, { method: 'POST', body, headers });
    expectProblem(await post('{}', JSON_TYPE), 400, 'invalid_request');
    expectProblem(
      await post('a=b', { 'Content-Type': 'application/x-www-form-urlencoded' }),
      415,
      'unsupported_media_type',
    );
    expectProblem(await post(JSON.stringify({ a: 'x'.repeat(9_000) }), JSON_TYPE), 413, 'body_too_large');
    simulator.addFault({ fault: 'rate_limited', retryAfter: 11, match: { call: 'token' }, times: 1 });
    const limited = await token(browser, prefix);
    expectProblem(limited, 429, 'rate_limited');
    expect(limited.headers['retry-after']).toBe('11');
    simulator.addFault({ fault: 'no_tokens', match: { call: 'token' }, times: 1 });
    expectProblem(await token(browser, prefix), 502, 'upstream_invalid');
  });

  test('/token shares the limit of attempts with the login', async () => {
    const gateway = await start({ LOGIN_LIMIT_ACCOUNT: '4/15m' });
    const browser = gateway.browser();
    await token(browser, prefix, 'wrong');
    await browser.login('demo@finvera.test', 'wrong');
    expectProblem(await token(browser, prefix), 429, 'too_many_attempts');
    expectProblem(await browser.login(), 429, 'too_many_attempts');
  });

  test('/refresh is the refresh', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    await token(browser, prefix);
    clock.advance(600_000);
    const reply = await browser.fetch(`${prefix}/refresh`, { method: 'POST', headers: JSON_TYPE });
    expect(reply.status).toBe(200);
    expect(json(reply)).toEqual({ message: 'Token refreshed successfully', expires_in: 3_600 });
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.setCookies).toEqual([]);
    expect(simulator.counters().refresh.received).toBe(1);
    expect((await browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    expect(simulator.counters().refresh.received).toBe(1);
  });

  test('/refresh without a session, rejected, or unavailable is what /bff/refresh is', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    const refresh = () => browser.fetch(`${prefix}/refresh`, { method: 'POST' });
    expectProblem(await refresh(), 401, 'session_required');
    await token(browser, prefix);
    simulator.addFault({ fault: 'status', status: 500, match: { call: 'refresh' } });
    const unavailable = await refresh();
    expectProblem(unavailable, 503, 'upstream_unavailable');
    expect(unavailable.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    simulator.clearFaults();
    clock.advance(31_000);
    simulator.revoke('refresh');
    const rejected = await refresh();
    expectProblem(rejected, 401, 'session_expired');
    expect(rejected.setCookies).toEqual([CLEARED]);
  });

  test('/validate is Finvera’s own answer for the session', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    expectProblem(await browser.fetch(`${prefix}/validate`), 401, 'session_required');
    await token(browser, prefix);
    simulator.addFault({ fault: 'headers', headers: { 'X-From': 'finvera' }, match: { call: 'validate' } });
    const reply = await browser.fetch(`${prefix}/validate`, { headers: { Authorization: 'Bearer mine' } });
    expect(reply.status).toBe(200);
    expect(reply.headers['x-from']).toBe('finvera');
    expect(json(reply)).toEqual({
      user_id: expect.any(String),
      email: 'demo@finvera.test',
      username: 'demo',
      licensing_tier_id: 'enterprise',
    });
    expect(simulator.requests('validate').at(-1)).toMatchObject({ url: '/kms/api/v1/auth/validate' });
  });

  test('/validate renews a token that Finvera refuses, and passes Finvera’s errors', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    await token(browser, prefix);
    simulator.revoke('access');
    expect((await browser.fetch(`${prefix}/validate`)).status).toBe(200);
    expect(simulator.counters().refresh.received).toBe(1);
    simulator.addFault({ fault: 'status', status: 500, match: { call: 'validate' } });
    const failed = await browser.fetch(`${prefix}/validate`);
    expect([failed.status, json(failed).error.code]).toEqual([500, 500]);
  });

  test('takes the documented methods only', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    await token(browser, prefix);
    for (const [path, method, allow] of [
      ['/token', 'GET', 'POST'],
      ['/token', 'DELETE', 'POST'],
      ['/refresh', 'GET', 'POST'],
      ['/validate', 'POST', 'GET, HEAD'],
    ] as const) {
      const reply = await browser.fetch(prefix + path, { method });
      expectProblem(reply, 405, 'method_not_allowed');
      expect(reply.headers.allow).toBe(allow);
    }
  });

  test('has no other call', async () => {
    const gateway = await start();
    const browser = gateway.browser();
    await token(browser, prefix);
    const asked = simulator.requests().length;
    for (const path of ['', '/', '/token/', '/Token', '/tokens', '/keys', '/refresh/x', '/logout']) {
      expectProblem(await browser.fetch(prefix + path, { method: 'POST' }), 404, 'not_found');
    }
    expect(simulator.requests()).toHaveLength(asked);
  });
});

test('the browser sample of Finvera’s documentation runs with the gateway’s address', async () => {
  const gateway = await start();
  // What a browser adds to the sample's fetch calls; the sample itself sets the media type on each.
  const browser = gateway.browser();
  const sample = (path: string, init: { method?: string; body?: string } = {}) =>
    browser.fetch(path, { ...init, headers: { ...JSON_TYPE, Origin: gateway.url } });

  const login = await sample('/api/v1/auth/token', {
    method: 'POST',
    body: JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' }),
  });
  expect(json(login).message).toBe('Authentication successful');
  const event = await sample(EVENT);
  expect([event.status, json(event).event_id]).toEqual([200, 'evt-0001']);
  const found = await sample('/search/api/v1/securities?search=AAPL&search_type=symbol');
  expect(json(found).securities[0].symbol).toBe('AAPL');

  // The sample refreshes on a 401 and tries again: with the gateway it finds the token already renewed.
  clock.advance(3_601_000);
  expect((await sample(EVENT)).status).toBe(200);
  const refreshed = await sample('/api/v1/auth/refresh', { method: 'POST' });
  expect(json(refreshed).message).toBe('Token refreshed successfully');

  const missing = await sample('/delivery/api/v1/events/none');
  expect(json(missing)).toEqual({ error: { code: 404, message: 'Not found', details: 'The event does not exist' } });
  for (const reply of [login, event, found, refreshed, missing]) {
    expect(JSON.stringify([reply.headers, reply.text])).not.toMatch(/DT_AUTH_TOKEN|DT_REFRESH_TOKEN|eyJ/);
  }
});
