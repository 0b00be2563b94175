// Tokens are renewed once per expiry: on demand, ahead of time, when Finvera refuses one; and what becomes of the session each time.
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import { json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { arrangeScene, loggedIn } from '../support/scene.ts';
import { expectNothingTold } from '../support/secrets.ts';
import { expectSessionExpired, expectSessionGone } from '../support/session-end.ts';
import type { Browser, TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const ECHO = '/delivery/api/v1/__echo';
const SECOND = 1_000;
const EXPIRED = 3_601 * SECOND;

const scene = arrangeScene({ redis: true, clock: true, env: { FINVERA_AUTH_TIMEOUT: '15s' } });

const refresh = (browser: Browser): Promise<Reply> => browser.fetch('/bff/refresh', { method: 'POST' });
const exchanges = (): number => scene.simulator.counters().refresh.received;
const headerOf = (rawHeaders: readonly string[], name: string): string | undefined =>
  rawHeaders.find((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
/** The bearers that data calls bore, in order. */
const bearers = () => scene.simulator.requests('data').map(({ rawHeaders }) => headerOf(rawHeaders, 'authorization'));

function expectUnavailable(reply: Reply): void {
  expectProblem(reply, 503, 'upstream_unavailable');
  expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/);
  expect(reply.setCookies).toEqual([]);
}

/** The faults that end with a time-out meet a short one, the rest none on the busiest machine. */
const startFor = ({ fault }: FaultSpec): Promise<TestGateway> =>
  scene.start(fault === 'hang' || fault === 'stall_body' ? { FINVERA_AUTH_TIMEOUT: '3s' } : {});

/** Everything that is neither tokens nor a rejection; `attempts` where a lost reply is asked for once more. */
const UNAVAILABLE: readonly FaultSpec[] = [
  { fault: 'status', status: 500 },
  { fault: 'status', status: 502 },
  { fault: 'status', status: 503, retryAfter: 7 },
  { fault: 'status', status: 404 },
  { fault: 'status', status: 418 },
  { fault: 'status', status: 422 },
  { fault: 'rate_limited', retryAfter: 5 },
  { fault: 'redirect' },
  { fault: 'html' },
  { fault: 'empty' },
  { fault: 'malformed_json' },
  { fault: 'no_tokens' },
  { fault: 'garbage' },
  { fault: 'hang' },
  { fault: 'reset_before' },
];

describe('POST /bff/refresh', () => {
  test('renews the tokens and answers the session’s times', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.clock.advance(600 * SECOND);
    const reply = await refresh(browser);
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.setCookies).toEqual([]);
    expect(json(reply)).toEqual({
      session: {
        created_at: expect.any(String),
        expires_in: 30 * 24 * 3_600 - 600,
        idle_expires_in: 12 * 3_600,
        access_token_expires_in: 3_600,
      },
    });
    const [sent] = scene.simulator.requests('refresh');
    expect(headerOf(sent?.rawHeaders ?? [], 'cookie')).toMatch(/^DT_REFRESH_TOKEN=[^;]+$/);
    expect(headerOf(sent?.rawHeaders ?? [], 'authorization')).toBeUndefined();
    expect(headerOf(sent?.rawHeaders ?? [], 'x-request-id')).toBe(reply.headers['x-request-id']);
    await browser.fetch(EVENT);
    await expectNothingTold(gateway, scene.simulator, [browser.cookie?.split('=')[1]]);
    expect(await gateway.metrics()).toContain('finvera_gateway_refreshes_total{outcome="refreshed",why="granted"} 1');
    expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'refresh', outcome: 'refreshed' }));
  });

  test('exchanges at most once in 30 s a session; the last result stands meanwhile', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    for (let i = 0; i < 4; i += 1) expect((await refresh(browser)).status).toBe(200);
    expect(exchanges()).toBe(1);
    scene.clock.advance(29 * SECOND);
    expect(json(await refresh(browser)).session.access_token_expires_in).toBe(3_571);
    expect(exchanges()).toBe(1);
    scene.clock.advance(2 * SECOND);
    expect(json(await refresh(browser)).session.access_token_expires_in).toBe(3_600);
    expect(exchanges()).toBe(2);

    const other = await loggedIn(gateway);
    expect((await refresh(other)).status).toBe(200);
    expect(exchanges()).toBe(3);
  });

  test('exchanges once for twenty at the same time, on two instances', async () => {
    const env = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };
    const [one, two] = [await scene.start(env), await scene.start(env)];
    const browser = await loggedIn(one);
    const callers = Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).browser());
    const replies = await Promise.all(
      callers.map((caller) => {
        caller.cookie = browser.cookie;
        return refresh(caller);
      }),
    );
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    expect(exchanges()).toBe(1);
  });

  test('needs a session', async () => {
    const gateway = await scene.start();
    const reply = await refresh(gateway.browser());
    expectProblem(reply, 401, 'session_required');
    expect(reply.setCookies).toEqual([]);
    expect(exchanges()).toBe(0);
  });

  test('answers 405 with Allow to other methods', async () => {
    const gateway = await scene.start();
    const reply = await gateway.browser().fetch('/bff/refresh');
    expectProblem(reply, 405, 'method_not_allowed');
    expect(reply.headers.allow).toBe('POST');
  });

  test.each(UNAVAILABLE)('keeps the session and answers 503 to $fault $status', async (fault) => {
    const gateway = await startFor(fault);
    const browser = await loggedIn(gateway);
    scene.simulator.addFault({ ...fault, match: { call: 'refresh' } });
    const reply = await refresh(browser);
    expectUnavailable(reply);
    if (fault.retryAfter) expect(reply.headers['retry-after']).toBe(String(fault.retryAfter));
    await expectNothingTold(gateway, scene.simulator, [browser.cookie?.split('=')[1]]);
    expect(await gateway.metrics()).toMatch(/finvera_gateway_refreshes_total\{outcome="unavailable",why="\w+"\} [12]/);

    // The token itself is still good, and so is the session.
    const asked = exchanges();
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expectUnavailable(await refresh(browser));
    expect(exchanges()).toBe(asked);

    scene.simulator.clearFaults();
    scene.clock.advance(31 * SECOND);
    expect((await refresh(browser)).status).toBe(200);
  });

  test('asks once more where the reply was lost, for a Finvera that forgives it', async () => {
    scene.simulator.configure({ reuseGraceMs: 60_000 });
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.simulator.addFault({ fault: 'reset_after', times: 1, match: { call: 'refresh' } });
    expect((await refresh(browser)).status).toBe(200);
    expect(exchanges()).toBe(2);
    expect((await browser.fetch(EVENT)).status).toBe(200);
  });

  test('keeps the session through lost replies where Finvera does not rotate', async () => {
    scene.simulator.configure({ rotation: false });
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.simulator.addFault({ fault: 'reset_after', match: { call: 'refresh' } });
    expectUnavailable(await refresh(browser));
    scene.simulator.clearFaults();
    scene.clock.advance(31 * SECOND);
    expect((await refresh(browser)).status).toBe(200);
  });

  test('ends the session where a lost reply took the only good token with it', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const { cookie } = browser;
    scene.simulator.addFault({ fault: 'reset_after', times: 1, match: { call: 'refresh' } });
    expectSessionExpired(await refresh(browser));
    await expectSessionGone(scene.redis, gateway, cookie, 'refresh_reply_lost');
  });

  test.each(['half_body', 'stall_body'] as const)(
    'takes the tokens of the head of an answer with %s',
    async (fault) => {
      const gateway = await startFor({ fault });
      const browser = await loggedIn(gateway);
      scene.simulator.addFault({ fault, match: { call: 'refresh' } });
      expect((await refresh(browser)).status).toBe(200);
      expect(exchanges()).toBe(1);
      scene.simulator.clearFaults();
      scene.clock.advance(EXPIRED);
      expect((await browser.fetch(EVENT)).status).toBe(200);
    },
  );

  test('cannot renew what has no refresh token; the session ends with the access token', async () => {
    const headers = { 'Set-Cookie': 'DT_REFRESH_TOKEN=; Path=/; Max-Age=0' };
    scene.simulator.addFault({ fault: 'headers', headers, match: { call: 'token' } });
    const gateway = await scene.start();
    const browser = gateway.browser();
    const login = await browser.login();
    expect(login.setCookies[0]).toMatch(/; Max-Age=3600$/);
    expectUnavailable(await refresh(browser));
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(exchanges()).toBe(0);
    scene.clock.advance(3_600 * SECOND);
    expectSessionExpired(await browser.fetch(EVENT));
  });
});

describe('an expired token', () => {
  test.each(UNAVAILABLE)('is a 503 while the refresh meets $fault $status, and the session stays', async (fault) => {
    const gateway = await startFor(fault);
    const browser = await loggedIn(gateway);
    scene.clock.advance(EXPIRED);
    scene.simulator.addFault({ ...fault, match: { call: 'refresh' } });
    expectUnavailable(await browser.fetch(EVENT));
    expect(scene.simulator.counters().data.received).toBe(0);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
    scene.simulator.clearFaults();
    expect((await browser.fetch(EVENT)).status).toBe(200);
  });
});

describe('a token about to expire', () => {
  test('is renewed in the background while requests go on with it', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const hold = scene.simulator.addFault({ fault: 'hold', match: { call: 'refresh' } });
    scene.clock.advance(3_539 * SECOND);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(exchanges()).toBe(0);
    scene.clock.advance(2 * SECOND);
    const replies = await Promise.all(Array.from({ length: 10 }, () => browser.fetch(EVENT)));
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    await scene.simulator.waitForRequests('refresh', 1);
    expect(new Set(bearers()).size).toBe(1);
    hold.remove();
    await until('the new token', async () => {
      await browser.fetch(EVENT);
      return new Set(bearers()).size === 2;
    });
    expect(exchanges()).toBe(1);
  });

  test('is renewed when half of a short life is over', async () => {
    scene.simulator.configure({ accessTokenLifeS: 60 });
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.clock.advance(29 * SECOND);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    scene.clock.advance(2 * SECOND);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    await scene.simulator.waitForRequests('refresh', 1);
  });

  test('is good while renewing it fails, and Finvera is not asked at every request', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.simulator.addFault({ fault: 'status', status: 500, match: { call: 'refresh' } });
    scene.clock.advance(3_550 * SECOND);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    await until('the failure in the log', () => gateway.logText().includes('refresh_ahead_failed'));
    for (let i = 0; i < 5; i += 1) expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(exchanges()).toBe(1);
    scene.simulator.clearFaults();
    scene.clock.advance(51 * SECOND);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(exchanges()).toBe(2);
  });

  test('is renewed ahead of time or not, as REFRESH_AHEAD says', async () => {
    const gateway = await scene.start({ REFRESH_AHEAD: '10m' });
    const browser = await loggedIn(gateway);
    scene.clock.advance(3_001 * SECOND);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    await scene.simulator.waitForRequests('refresh', 1);
  });
});

describe('a 401 of Finvera’s', () => {
  const unauthorized = (times?: number): void => {
    scene.simulator.addFault({ fault: 'unauthorized', match: { call: 'data' }, ...(times ? { times } : {}) });
  };

  test('leads to one refresh and one replay', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    unauthorized(1);
    const reply = await browser.fetch(EVENT);
    expect(reply.status).toBe(200);
    expect(json(reply).event_id).toBe('evt-0001');
    expect(exchanges()).toBe(1);
    expect(scene.simulator.requests('data')).toHaveLength(2);
    expect(new Set(bearers()).size).toBe(2);
    await expectNothingTold(gateway, scene.simulator);
  });

  test('leads to one refresh for all requests that met it', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.simulator.revoke('access');
    const replies = await Promise.all(Array.from({ length: 20 }, () => browser.fetch(EVENT)));
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    expect(exchanges()).toBe(1);
  });

  test.each([
    ['nothing', 0, {}],
    ['a small body', 2_000, {}],
    ['a small chunked body', 2_000, { 'Transfer-Encoding': 'chunked' }],
    ['64 KiB', 65_536, {}],
  ])('is replayed with %s, byte for byte', async (_what, size, headers: Record<string, string>) => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    unauthorized(1);
    const body = randomBytes(size);
    const reply = await browser.fetch(ECHO, { method: 'POST', body, headers });
    expect(reply.status).toBe(200);
    expect(json(reply)).toMatchObject({
      method: 'POST',
      bodyBytes: size,
      bodySha256: createHash('sha256').update(body).digest('hex'),
    });
    expect(scene.simulator.requests('data').map(({ bodyBytes }) => bodyBytes)).toEqual([size, size]);
    expect(exchanges()).toBe(1);
  });

  test('passes where the body was too large to keep, and the session stays', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    unauthorized(1);
    const reply = await browser.fetch(ECHO, { method: 'POST', body: randomBytes(65_537) });
    expect(reply.status).toBe(401);
    expect(json(reply)).toEqual({ error: { code: 401, message: 'Unauthorized', details: 'Access token refused' } });
    expect(reply.setCookies).toEqual([]);
    expect(scene.simulator.requests('data')).toHaveLength(1);
    expect((await browser.fetch(EVENT)).status).toBe(200);
  });

  test('passes where the replay is refused again, and the session stays', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    unauthorized();
    for (const [exchanged, received] of [
      [1, 2],
      [1, 3],
    ]) {
      const reply = await browser.fetch(EVENT);
      expect(reply.status).toBe(401);
      expect(json(reply)).toEqual({ error: { code: 401, message: 'Unauthorized', details: 'Access token refused' } });
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.setCookies).toEqual([]);
      expect([exchanges(), scene.simulator.requests('data').length]).toEqual([exchanged, received]);
    }
    scene.simulator.clearFaults();
    expect((await browser.fetch(EVENT)).status).toBe(200);
    scene.clock.advance(31 * SECOND);
    unauthorized(1);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(exchanges()).toBe(2);
  });

  test('passes where there is no refresh token, and the session stays', async () => {
    const headers = { 'Set-Cookie': 'DT_REFRESH_TOKEN=; Path=/; Max-Age=0' };
    scene.simulator.addFault({ fault: 'headers', headers, times: 1, match: { call: 'token' } });
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    unauthorized(1);
    const reply = await browser.fetch(EVENT);
    expect(reply.status).toBe(401);
    expect(json(reply)).toEqual({ error: { code: 401, message: 'Unauthorized', details: 'Access token refused' } });
    expect(reply.setCookies).toEqual([]);
    expect([exchanges(), scene.simulator.requests('data').length]).toEqual([0, 1]);
    expect((await browser.fetch(EVENT)).status).toBe(200);
  });

  test('is a 503 where the refresh is unavailable, and the session stays', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    unauthorized(1);
    scene.simulator.addFault({ fault: 'status', status: 500, match: { call: 'refresh' } });
    expectUnavailable(await browser.fetch(EVENT));
    expect((await browser.fetch('/bff/session')).status).toBe(200);
    expect((await browser.fetch(EVENT)).status).toBe(200);
  });

  test('is waited for by nobody whose browser left', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    unauthorized(1);
    const hold = scene.simulator.addFault({ fault: 'hold', match: { call: 'refresh' } });
    const leaving = new AbortController();
    const left = browser.fetch(EVENT, { signal: leaving.signal });
    await scene.simulator.waitForRequests('refresh', 1);
    leaving.abort();
    await expect(left).rejects.toThrow();
    hold.remove();
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(exchanges()).toBe(1);
    expect(scene.simulator.requests('data')).toHaveLength(2);
  });
});
