// POST /bff/login: every answer of the contract, and what is stored, sent, set and told each time.
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import { type CallOptions, cookieIn, json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { freePort } from '../support/redis-server.ts';
import { arrangeScene } from '../support/scene.ts';
import { expectNothingTold } from '../support/secrets.ts';
import { type Browser, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const COOKIE = '__Host-finvera_session';
const CREDENTIALS = JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' });

const scene = arrangeScene({ redis: true, env: { FINVERA_AUTH_TIMEOUT: '15s' } });

const post = (browser: Browser, body: string | Buffer, headers: Record<string, string> = {}): Promise<Reply> =>
  browser.fetch('/bff/login', {
    method: 'POST',
    body,
    headers: { 'Content-Type': 'application/json', ...headers },
  } satisfies CallOptions);

const from = (ip: string) => ({ 'X-Forwarded-For': ip });
const wrong = (email = 'demo@finvera.test') => JSON.stringify({ email, password: 'not the password' });

/** The counters of the login throttle apart. */
const storedKeys = async () => (await scene.redis.client.keys('*')).filter((key) => !key.includes('throttle'));

async function expectNoSession(reply: Reply, gateway: TestGateway): Promise<void> {
  expect(reply.setCookies).toEqual([]);
  expect(await storedKeys()).toEqual([]);
  await expectNothingTold(gateway, scene.simulator, ['not the password']);
}

/** The line of the one request to the login. */
async function requestLine(gateway: TestGateway): Promise<Record<string, unknown>> {
  const find = () => gateway.logLines().find((line) => line.event === 'request' && line.path === '/bff/login');
  await until('the log line of the login', () => find() !== undefined);
  return find() ?? {};
}

const count = async (gateway: TestGateway, metric: string): Promise<number> => {
  const line = (await gateway.metrics()).split('\n').find((each) => each.startsWith(metric));
  return line === undefined ? 0 : Number(line.split(' ').at(-1));
};

describe('a login that succeeds', () => {
  test('answers user and times, sets the cookie, stores a sealed session and tells no secret', async () => {
    const gateway = await scene.start();
    const browser = gateway.browser();
    const reply = await browser.login();

    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(json(reply)).toEqual({
      user: {
        user_id: expect.any(String),
        email: 'demo@finvera.test',
        username: 'demo',
        licensing_tier_id: 'enterprise',
      },
      session: {
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
        expires_in: expect.any(Number),
        idle_expires_in: expect.any(Number),
        access_token_expires_in: expect.any(Number),
      },
    });
    expect(reply.setCookies).toEqual([
      expect.stringMatching(
        /^__Host-finvera_session=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=2(592000|591999)$/,
      ),
    ]);
    expect(scene.simulator.requests().map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /kms/api/v1/auth/token',
      'GET /kms/api/v1/auth/validate',
    ]);

    const id = cookieIn(reply, COOKIE) ?? '';
    const dump = await scene.redis.dump();
    expect(await storedKeys()).toHaveLength(2);
    expect(dump).not.toContain(id);
    expect(dump).not.toContain('demo-password');
    expect(reply.text).not.toContain(id);
    await expectNothingTold(gateway, scene.simulator, [id]);
    expect(await requestLine(gateway)).toMatchObject({ status: 200, method: 'POST', route: 'bff', level: 'info' });
    expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_started' }));
    expect(await count(gateway, 'finvera_gateway_logins_total{outcome="accepted"}')).toBe(1);
    expect(await count(gateway, 'finvera_gateway_sessions_started_total')).toBe(1);
  });

  test.each([
    [{ COOKIE_SECURE: 'false' }, /^finvera_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/],
    [
      { COOKIE_SAMESITE: 'Lax' },
      /^__Host-finvera_session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=\d+$/,
    ],
    [
      { COOKIE_SECURE: 'false', COOKIE_SAMESITE: 'Lax' },
      /^finvera_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; /,
    ],
  ])('sets the cookie as %j asks for', async (env, form) => {
    const gateway = await scene.start(env);
    const browser = gateway.browser();
    expect((await browser.login()).setCookies).toEqual([expect.stringMatching(form)]);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
  });

  test('sends the password exactly as it came', async () => {
    const password = ' p\u0061\u0308ss "w\\ord\u200b🙂\t Ångström ';
    const email = 'Müller+x@Finvera.test';
    await scene.replaceSimulator({ users: [{ email, password }] });
    const gateway = await scene.start();
    const reply = await gateway.browser().login(email, password);
    expect(reply.status).toBe(200);
    const [sent] = scene.simulator.requests('token');
    expect(JSON.parse(sent?.body ?? '')).toEqual({ email, password });
  });

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset="UTF-8"'])(
    'takes the media type %s',
    async (type) => {
      const gateway = await scene.start();
      expect((await post(gateway.browser(), CREDENTIALS, { 'Content-Type': type })).status).toBe(200);
    },
  );

  test('takes a chunked body', async () => {
    const gateway = await scene.start();
    expect((await post(gateway.browser(), CREDENTIALS, { 'Transfer-Encoding': 'chunked' })).status).toBe(200);
  });
});

describe('a request that is no login', () => {
  test.each([
    ['nothing', ''],
    ['half an object', '{"email":"a@b.test"'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a text', '"demo@finvera.test"'],
    ['an empty object', '{}'],
    ['no password', '{"email":"demo@finvera.test"}'],
    ['no email', '{"password":"demo-password"}'],
    ['an empty email', '{"email":"","password":"x"}'],
    ['an empty password', '{"email":"demo@finvera.test","password":""}'],
    ['a number for a password', '{"email":"demo@finvera.test","password":1}'],
    ['an object for an email', '{"email":{"$ne":""},"password":"x"}'],
    ['a list for an email', '{"email":["demo@finvera.test"],"password":"demo-password"}'],
    ['null for a password', '{"email":"demo@finvera.test","password":null}'],
    ['an email that is too long', JSON.stringify({ email: `${'a'.repeat(400)}@finvera.test`, password: 'x' })],
    ['a password that is too long', JSON.stringify({ email: 'demo@finvera.test', password: 'x'.repeat(5_000) })],
    ['a form', 'email=demo%40finvera.test&password=demo-password'],
  ])('answers 400 to %s and asks nobody', async (_what, body) => {
    const gateway = await scene.start();
    const reply = await post(gateway.browser(), body);
    expectProblem(reply, 400, 'invalid_request');
    await expectNoSession(reply, gateway);
    expect(scene.simulator.requests()).toEqual([]);
    expect(await requestLine(gateway)).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test.each([
    'text/plain',
    'text/plain;application/json',
    'text/plain; charset=application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'text/json',
    'application/json, text/plain',
    '',
  ])('answers 415 to the media type %j', async (type) => {
    const gateway = await scene.start();
    const reply = await post(gateway.browser(), CREDENTIALS, { 'Content-Type': type });
    expectProblem(reply, 415, 'unsupported_media_type');
    await expectNoSession(reply, gateway);
    expect(scene.simulator.requests()).toEqual([]);
  });

  test('answers 415 without a media type, and to a compressed body', async () => {
    const gateway = await scene.start();
    const untyped = await gateway.browser().fetch('/bff/login', { method: 'POST', body: CREDENTIALS });
    expectProblem(untyped, 415, 'unsupported_media_type');
    const packed = await post(gateway.browser(), gzipSync(CREDENTIALS), { 'Content-Encoding': 'gzip' });
    expectProblem(packed, 415, 'unsupported_media_type');
    expect(scene.simulator.requests()).toEqual([]);
  });

  test.each([
    ['announced', {}],
    ['chunked', { 'Transfer-Encoding': 'chunked' }],
  ])('answers 413 to more than 8 KiB, %s', async (_how, headers: Record<string, string>) => {
    const gateway = await scene.start();
    const body = JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password', filler: 'x'.repeat(8_192) });
    const reply = await post(gateway.browser(), body, headers);
    expectProblem(reply, 413, 'body_too_large');
    await expectNoSession(reply, gateway);
    expect(scene.simulator.requests()).toEqual([]);
  });

  test('answers 405 with Allow to other methods', async () => {
    const gateway = await scene.start();
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const reply = await gateway.browser().fetch('/bff/login', { method });
      expectProblem(reply, 405, 'method_not_allowed');
      expect(reply.headers.allow).toBe('POST');
    }
  });
});

describe('a login that Finvera refuses', () => {
  test.each([400, 401, 403, 422])('answers 401 login_rejected to Finvera’s %d', async (status) => {
    const gateway = await scene.start();
    scene.simulator.addFault({
      fault: 'status',
      status,
      match: { call: 'token' },
      body: '{"reason":"locked account"}',
    });
    const reply = await gateway.browser().login();
    expectProblem(reply, 401, 'login_rejected');
    expect(reply.text).not.toContain('locked');
    await expectNoSession(reply, gateway);
    expect(scene.simulator.requests().map(({ call }) => call)).toEqual(['token']);
    expect(await requestLine(gateway)).toMatchObject({ status: 401, code: 'login_rejected' });
    expect(await count(gateway, 'finvera_gateway_logins_total{outcome="rejected"}')).toBe(1);
  });

  test('answers the same whether the account or the password is wrong', async () => {
    const gateway = await scene.start();
    const withoutId = (reply: Reply) => ({ ...json(reply), request_id: '' });
    const password = await post(gateway.browser(), wrong());
    const account = await post(gateway.browser(), wrong('nobody@finvera.test'));
    expect(withoutId(password)).toEqual(withoutId(account));
    expectProblem(password, 401, 'login_rejected');
  });

  test('keeps the session the browser already has', async () => {
    const gateway = await scene.start();
    const browser = gateway.browser();
    await browser.login();
    const reply = await post(browser, wrong());
    expectProblem(reply, 401, 'login_rejected');
    expect(reply.setCookies).toEqual([]);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
  });
});

interface Trouble {
  readonly fault: FaultSpec;
  readonly status: number;
  readonly code: string;
  readonly retryAfter?: string;
}

const TROUBLES: readonly Trouble[] = [
  { fault: { fault: 'rate_limited', retryAfter: 17 }, status: 429, code: 'rate_limited', retryAfter: '17' },
  { fault: { fault: 'no_tokens' }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'html' }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'empty' }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'malformed_json' }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'half_body' }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'garbage' }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'redirect' }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'status', status: 404 }, status: 502, code: 'upstream_invalid' },
  { fault: { fault: 'status', status: 500 }, status: 503, code: 'upstream_unavailable' },
  { fault: { fault: 'status', status: 502 }, status: 503, code: 'upstream_unavailable' },
  {
    fault: { fault: 'status', status: 503, retryAfter: 9 },
    status: 503,
    code: 'upstream_unavailable',
    retryAfter: '9',
  },
  { fault: { fault: 'reset_before' }, status: 503, code: 'upstream_unavailable' },
  { fault: { fault: 'reset_after' }, status: 503, code: 'upstream_unavailable' },
  { fault: { fault: 'hang' }, status: 504, code: 'upstream_timeout' },
  { fault: { fault: 'stall_body' }, status: 504, code: 'upstream_timeout' },
];

describe.each(['token', 'validate'] as const)('trouble with %s', (call) => {
  test.each(TROUBLES)('answers $status $code to $fault', async ({ fault, status, code, retryAfter }) => {
    const gateway = await scene.start(status === 504 ? { FINVERA_AUTH_TIMEOUT: '3s' } : {});
    scene.simulator.addFault({ ...fault, match: { call } });
    const reply = await gateway.browser().login();
    expectProblem(reply, status, code);
    if (retryAfter !== undefined) expect(reply.headers['retry-after']).toBe(retryAfter);
    await expectNoSession(reply, gateway);
    expect(scene.simulator.counters()[call].received).toBe(1);
    expect(await requestLine(gateway)).toMatchObject({ status, code, level: status >= 500 ? 'warn' : 'info' });
  });

  test('passes a Retry-After that is a date on as seconds', async () => {
    const gateway = await scene.start();
    const retryAfter = new Date(Date.now() + 120_000).toUTCString();
    scene.simulator.addFault({ fault: 'rate_limited', retryAfter, match: { call } });
    const reply = await gateway.browser().login();
    expectProblem(reply, 429, 'rate_limited');
    expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(118);
    expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(120);
  });
});

test.each([400, 401, 403, 422])('answers 401 login_rejected where validate says %d', async (status) => {
  const gateway = await scene.start();
  scene.simulator.addFault({ fault: 'status', status, match: { call: 'validate' } });
  const reply = await gateway.browser().login();
  expectProblem(reply, 401, 'login_rejected');
  await expectNoSession(reply, gateway);
});

test('answers 503 where Finvera is not there', async () => {
  const gateway = await startGateway(`http://127.0.0.1:${await freePort()}`, { env: { REDIS_URL: scene.redis.url } });
  const reply = await gateway.browser().login();
  expectProblem(reply, 503, 'upstream_unavailable');
  expect(reply.headers['retry-after']).toMatch(/^\d+$/);
  await expectNoSession(reply, gateway);
});

describe('the limit of attempts', () => {
  test('counts no attempt that an outage of Finvera ended: nobody is locked out by it', async () => {
    const browser = (await scene.start({ LOGIN_LIMIT_ACCOUNT: '4/15m' })).browser();
    const outage = scene.simulator.addFault({ match: { call: 'token' }, fault: 'status', status: 500 });
    for (let i = 0; i < 5; i += 1) expect((await post(browser, CREDENTIALS)).status).toBe(503);
    outage.remove();
    expect((await post(browser, CREDENTIALS)).status).toBe(200);
  });

  test('lets one address spend half of an account’s attempts, and the right password in from elsewhere', async () => {
    const gateway = await scene.start({ TRUST_PROXY: '127.0.0.1' });
    const browser = gateway.browser();
    for (let i = 0; i < 5; i += 1) {
      expectProblem(await post(browser, wrong(), from('192.0.2.1')), 401, 'login_rejected');
    }
    const refused = await post(browser, CREDENTIALS, from('192.0.2.1'));
    expectProblem(refused, 429, 'too_many_attempts');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(880);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(900);
    await expectNoSession(refused, gateway);
    expect(scene.simulator.counters().token.received).toBe(5);
    expect(await count(gateway, 'finvera_gateway_logins_total{outcome="throttled"}')).toBe(1);

    const elsewhere = await post(gateway.browser(), CREDENTIALS, from('192.0.2.2'));
    expect(elsewhere.status).toBe(200);
  });

  test('stops at the account’s limit wherever the attempts come from', async () => {
    const gateway = await scene.start({ TRUST_PROXY: '127.0.0.1', LOGIN_LIMIT_ACCOUNT: '4/15m' });
    for (const ip of ['192.0.2.1', '192.0.2.1', '192.0.2.2', '192.0.2.2']) {
      expectProblem(await post(gateway.browser(), wrong(), from(ip)), 401, 'login_rejected');
    }
    expectProblem(await post(gateway.browser(), wrong(), from('192.0.2.3')), 429, 'too_many_attempts');
    expect(scene.simulator.counters().token.received).toBe(4);
  });

  test('counts spellings of one account together', async () => {
    const gateway = await scene.start({ LOGIN_LIMIT_ACCOUNT: '4/15m' });
    await post(gateway.browser(), wrong('demo@finvera.test'));
    await post(gateway.browser(), wrong(' DEMO@Finvera.Test '));
    expectProblem(await post(gateway.browser(), wrong('Demo@finvera.test')), 429, 'too_many_attempts');
  });

  test('gives an attempt that succeeded back', async () => {
    const gateway = await scene.start({ LOGIN_LIMIT_ACCOUNT: '4/15m', LOGIN_LIMIT_ADDRESS: '3/15m' });
    for (let i = 0; i < 6; i += 1) expect((await gateway.browser().login()).status).toBe(200);
    expectProblem(await post(gateway.browser(), wrong()), 401, 'login_rejected');
    expect((await gateway.browser().login()).status).toBe(200);
  });

  test('counts attempts that are still pending', async () => {
    const gateway = await scene.start({ LOGIN_LIMIT_ACCOUNT: '6/15m' });
    const hold = scene.simulator.addFault({ fault: 'hold', match: { call: 'token' } });
    const pending = [1, 2, 3].map(() => post(gateway.browser(), wrong()));
    await scene.simulator.waitForRequests('token', 3);
    expectProblem(await post(gateway.browser(), CREDENTIALS), 429, 'too_many_attempts');
    hold.remove();
    for (const reply of await Promise.all(pending)) expectProblem(reply, 401, 'login_rejected');
  });

  test('counts by address, for IPv6 by its /64', async () => {
    const gateway = await scene.start({ TRUST_PROXY: '127.0.0.1', LOGIN_LIMIT_ADDRESS: '2/15m' });
    const attempt = (n: number, ip: string) => post(gateway.browser(), wrong(`user${n}@finvera.test`), from(ip));
    expectProblem(await attempt(1, '2001:db8::1'), 401, 'login_rejected');
    expectProblem(await attempt(2, '2001:db8:0:0:ffff::2'), 401, 'login_rejected');
    expectProblem(await attempt(3, '2001:db8::3'), 429, 'too_many_attempts');
    expectProblem(await attempt(4, '2001:db8:0:1::1'), 401, 'login_rejected');
    expectProblem(await attempt(5, '192.0.2.1'), 401, 'login_rejected');
    expectProblem(await attempt(6, '192.0.2.1'), 401, 'login_rejected');
    expectProblem(await attempt(7, '192.0.2.1'), 429, 'too_many_attempts');
  });

  test('does not believe an address that no trusted proxy names', async () => {
    const gateway = await scene.start({ LOGIN_LIMIT_ADDRESS: '2/15m' });
    for (const n of [1, 2]) await post(gateway.browser(), wrong(`user${n}@finvera.test`), from(`192.0.2.${n}`));
    const reply = await post(gateway.browser(), wrong('user3@finvera.test'), from('192.0.2.3'));
    expectProblem(reply, 429, 'too_many_attempts');
  });

  test('holds across instances that share a Redis', async () => {
    const [one, two] = [
      await scene.start({ LOGIN_LIMIT_ACCOUNT: '4/15m' }),
      await scene.start({ LOGIN_LIMIT_ACCOUNT: '4/15m' }),
    ];
    await post(one.browser(), wrong());
    await post(two.browser(), wrong());
    expectProblem(await post(one.browser(), wrong()), 429, 'too_many_attempts');
    expectProblem(await post(two.browser(), wrong()), 429, 'too_many_attempts');
  });

  test('is gone where it is off', async () => {
    const gateway = await scene.start({ LOGIN_LIMIT_ACCOUNT: 'off', LOGIN_LIMIT_ADDRESS: 'off' });
    for (let i = 0; i < 12; i += 1) expectProblem(await post(gateway.browser(), wrong()), 401, 'login_rejected');
  });
});
