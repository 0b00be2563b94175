// The audit trail of a running gateway: every event of a login and a session, whole lines, and nothing in them that a client could abuse.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { createAuditVerification } from '../../src/observability/audit-verification.ts';
import { expectProblem } from '../support/problem.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { createTestClock } from '../support/test-clock.ts';
import { type Browser, closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const FROM = '192.0.2.7';
const AGENT = 'agent/1';

let redis: TestRedis;
let simulator: Simulator;

beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
  await redis.client.flushall();
});
afterAll(() => redis.close());

const start = (env: Record<string, string> = {}) =>
  startGateway(simulator, { env: { REDIS_URL: redis.url, TRUST_PROXY: '127.0.0.1', ...env } });

const HEADERS = { 'X-Forwarded-For': FROM, 'User-Agent': AGENT, 'X-Request-Id': 'request-1' };

const login = (browser: Browser, credentials: object = {}, headers: Record<string, string> = {}) =>
  browser.fetch('/bff/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...HEADERS, ...headers },
    body: JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password', ...credentials }),
  });

async function loggedIn(gateway: TestGateway): Promise<Browser> {
  const browser = gateway.browser();
  expect((await login(browser)).status).toBe(200);
  return browser;
}

const post = (browser: Browser, path: string, headers: Record<string, string> = {}) =>
  browser.fetch(path, { method: 'POST', headers: { ...HEADERS, ...headers } });

const REQUEST = { ip: FROM, request_id: 'request-1', user_agent: AGENT };
const SESSION = { session: expect.stringMatching(/^[\w-]{43}$/), user_id: expect.any(String) };
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const eventsOf = (gateway: TestGateway) => gateway.auditLines().map(({ event }) => event);
const find = (gateway: TestGateway, event: string) => gateway.auditLines().filter((line) => line.event === event);

describe('a login', () => {
  test('that is accepted is told with its session, whose beginning is told too', async () => {
    const gateway = await start();
    await loggedIn(gateway);
    expect(eventsOf(gateway)).toEqual(['session_started', 'login_accepted']);
    const [started, accepted] = gateway.auditLines();
    expect(started).toMatchObject({ log: 'audit', time: TIME, ...SESSION, ...REQUEST });
    expect(accepted).toMatchObject({
      time: TIME,
      ...SESSION,
      ...REQUEST,
      account: expect.stringMatching(/^[\w-]{22}$/),
    });
    expect([accepted?.session, accepted?.user_id]).toEqual([started?.session, started?.user_id]);
  });

  test('that is rejected is told with the account, which no line names', async () => {
    const gateway = await start();
    await login(gateway.browser(), { password: 'wrong' });
    await login(gateway.browser(), { email: ' DEMO@finvera.test', password: 'wrong' });
    const [first, second] = find(gateway, 'login_rejected');
    expect(first).toMatchObject({ time: TIME, ...REQUEST, reason: 'credentials', by: 'finvera' });
    expect(second?.account).toBe(first?.account);
    expect(gateway.auditText()).not.toMatch(/finvera\.test/i);
  });

  test('that is throttled is told with the limit that did it', async () => {
    const gateway = await start({ LOGIN_LIMIT_ACCOUNT: '4/15m' });
    for (let i = 0; i < 2; i += 1) await login(gateway.browser(), { password: 'wrong' });
    expectProblem(await login(gateway.browser()), 429, 'too_many_attempts');
    expect(find(gateway, 'login_throttled')).toMatchObject([{ ...REQUEST, reason: 'pair' }]);
  });

  test('that fails at Finvera is told with what went wrong', async () => {
    const gateway = await start();
    simulator.addFault({ fault: 'status', status: 500, match: { call: 'token' } });
    expect((await login(gateway.browser())).status).toBe(503);
    expect(eventsOf(gateway)).toEqual(['login_failed']);
    expect(find(gateway, 'login_failed')).toMatchObject([{ ...REQUEST, reason: 'upstream_unavailable' }]);
  });

  test('that replaces a session ends that one, by the user', async () => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    await login(browser);
    expect(find(gateway, 'session_ended')).toMatchObject([{ ...SESSION, ...REQUEST, reason: 'replaced', by: 'user' }]);
  });

  test('beyond the sessions a user may have ends the oldest, by the gateway', async () => {
    const gateway = await start({ SESSION_MAX_PER_USER: '1' });
    await loggedIn(gateway);
    await loggedIn(gateway);
    expect(find(gateway, 'session_ended')).toMatchObject([{ ...SESSION, reason: 'limit', by: 'gateway' }]);
  });

  test('on many accounts from one address is suspected once, and others are not', async () => {
    const gateway = await start();
    for (let i = 0; i < 14; i += 1) await login(gateway.browser(), { email: `user${i}@finvera.test` });
    await login(gateway.browser(), { password: 'wrong' }, { 'X-Forwarded-For': '192.0.2.8' });
    expect(find(gateway, 'login_rejected')).toHaveLength(15);
    expect(find(gateway, 'login_stuffing_suspected')).toMatchObject([{ ip: FROM, count: 10 }]);
    expect(await gateway.metrics()).toContain('finvera_gateway_login_stuffing_suspected_total 1');
  });
});

describe('a session', () => {
  test('that is refreshed is told with the request behind it', async () => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    expect((await post(browser, '/bff/refresh')).status).toBe(200);
    const { ip, request_id } = REQUEST;
    expect(find(gateway, 'session_refreshed')).toMatchObject([{ ...SESSION, ip, request_id }]);
  });

  test('whose refresh is refused ends by Finvera', async () => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    simulator.revoke('refresh');
    expectProblem(await post(browser, '/bff/refresh'), 401, 'session_expired');
    const { ip, request_id } = REQUEST;
    expect(gateway.auditLines().slice(2)).toMatchObject([
      { event: 'session_refresh_refused', ...SESSION, ip, request_id, reason: 'rejected', by: 'finvera' },
      { event: 'session_ended', ...SESSION, ip, request_id, reason: 'refresh_rejected', by: 'finvera' },
    ]);
  });

  test('that is logged out, or ended from another one, ends by the user', async () => {
    const gateway = await start();
    const [one, two] = [await loggedIn(gateway), await loggedIn(gateway)];
    await two.fetch('/bff/sessions?except=current', { method: 'DELETE', headers: HEADERS });
    await post(two, '/bff/logout');
    await post(one, '/bff/logout');
    expect(find(gateway, 'session_ended')).toMatchObject([
      { ...SESSION, ...REQUEST, reason: 'ended_by_user', by: 'user' },
      { ...SESSION, ...REQUEST, reason: 'logout', by: 'user' },
    ]);
  });

  test('that nobody uses any more ends by the gateway', async () => {
    const clock = createTestClock();
    const gateway = await startGateway(simulator, { clock, env: { SESSION_IDLE_TIMEOUT: '10m' } });
    const browser = await loggedIn(gateway);
    clock.advance(12 * 60_000);
    expectProblem(await browser.fetch(EVENT), 401, 'session_expired');
    expect(find(gateway, 'session_ended').every(({ reason, by }) => reason === 'idle' && by === 'gateway')).toBe(true);
  });
});

describe('an attack', () => {
  test('from a foreign origin is told with what it claims', async () => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    const headers = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.test' };
    expectProblem(await post(browser, '/bff/logout', headers), 403, 'origin_forbidden');
    expect(find(gateway, 'origin_refused')).toMatchObject([
      { ...REQUEST, origin: 'https://evil.test', reason: 'cross_site' },
    ]);
  });

  test.each([
    ['malformed', '__Host-finvera_session=abc'],
    ['there twice', `__Host-finvera_session=${'A'.repeat(43)}; __Host-finvera_session=${'B'.repeat(43)}`],
  ])('with a session cookie that is %s is told without it', async (_, Cookie) => {
    const gateway = await start();
    expectProblem(await gateway.browser().fetch(EVENT, { headers: { ...HEADERS, Cookie } }), 401, 'session_required');
    expect(find(gateway, 'session_cookie_refused')).toMatchObject([{ ...REQUEST, reason: 'malformed_or_twice' }]);
    expect(gateway.auditText()).not.toMatch(/=abc|A{20}|B{20}/);
  });

  test('on the lines themselves changes neither their number nor their form', async () => {
    const gateway = await start();
    const hostile = `\u009b2J"},{"event":"x\\" ${'y'.repeat(5_000)}`;
    const agent = Buffer.from(hostile, 'utf8').toString('latin1');
    await login(gateway.browser(), { email: 'a"}{\u2028\u202e@x', password: 'wrong' }, { 'User-Agent': agent });
    const lines = gateway.auditText().trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    expect(lines[1]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    expect(String(JSON.parse(lines[1] ?? '').user_agent)).toHaveLength(256);
  });
});

test('is one sound chain from the first line to the last, whose checkpoints are in the log', async () => {
  const gateway = await start();
  const browser = await loggedIn(gateway);
  await Promise.all(Array.from({ length: 20 }, () => login(gateway.browser(), { password: 'wrong' })));
  await post(browser, '/bff/logout');
  await gateway.close();
  const verification = createAuditVerification(gateway.settings.sessionKeys);
  const lines = gateway.auditText().trimEnd().split('\n');
  for (const [i, line] of lines.entries()) verification.add(line, String(i + 1));
  const checkpoints = gateway
    .logLines()
    .filter(({ event }) => event === 'audit_checkpoint')
    .map(({ seq, mac }) => ({ seq: Number(seq), mac: String(mac) }));
  expect(checkpoints).toHaveLength(2);
  expect(verification.end(checkpoints)).toEqual({ lines: lines.length, chains: 1, problems: [], openChains: [] });
});

test('of two gateways is two sound chains, also where their lines are mixed', async () => {
  const gateways = [await start(), await start()] as const;
  for (const gateway of gateways) await loggedIn(gateway);
  await closeGateways();
  const verification = createAuditVerification(gateways.flatMap(({ settings }) => settings.sessionKeys));
  const [one = [], two = []] = gateways.map((gateway) => gateway.auditText().trimEnd().split('\n'));
  for (const line of one.flatMap((each, i) => [each, two[i] ?? ''])) verification.add(line, '');
  expect(verification.end([])).toMatchObject({ chains: 2, problems: [], openChains: [] });
});
