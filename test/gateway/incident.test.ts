// Four incidents, as docs/operations.md tells of them: each shows in metrics, alerts, log, traces and the audit trail.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { expectAlerts, expectNoAlert } from '../support/promtool.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { createTestClock, type TestClock } from '../support/test-clock.ts';
import { type Browser, closeGateways, type TestGateway } from '../support/test-gateway.ts';
import { type CollectedSpan, startTraceCollector, type TraceCollector } from '../support/trace-collector.ts';
import { startTraced } from '../support/traced-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const FROM = '192.0.2.7';

let redis: TestRedis;
let simulator: Simulator;
let collector: TraceCollector;
let clock: TestClock;
let gateway: TestGateway;

beforeEach(async () => {
  clock = createTestClock();
  [redis, simulator, collector] = await Promise.all([
    startRedis(),
    createSimulator({ anyUser: true }),
    startTraceCollector(),
  ]);
  gateway = await startTraced(simulator, collector.url, {
    clock,
    env: { REDIS_URL: redis.url, TRUST_PROXY: '127.0.0.1', FINVERA_HEADERS_TIMEOUT: '300ms' },
  });
});
afterEach(async () => {
  redis.resume();
  await closeGateways();
  await Promise.all([redis.close(), simulator.close(), collector.close()]);
});

async function loggedIn(email = 'demo@finvera.test'): Promise<Browser> {
  const browser = gateway.browser();
  expect((await browser.login(email)).status).toBe(200);
  return browser;
}

const linesOf = (event: string) => gateway.logLines().filter((line) => line.event === event);
const auditOf = (event: string) => gateway.auditLines().filter((line) => line.event === event);

/** The lines of requests that ended so: all of them, once they are written. */
async function requestLines(code: string, count: number): Promise<Record<string, unknown>[]> {
  const found = () => linesOf('request').filter((line) => line.code === code);
  await until(`${count} lines ${code}`, () => found().length >= count);
  expect(found()).toHaveLength(count);
  return found();
}

/** Once they have come. */
async function spansNamed(name: string, count = 1): Promise<CollectedSpan[]> {
  const found = () => collector.spans().filter((span) => span.name === name);
  await until(`${count} spans ${name}`, () => found().length >= count);
  return found();
}

async function sample(series: string): Promise<number> {
  const line = (await gateway.metrics()).split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1));
}

describe('everyday life', () => {
  test('raises no alert', async () => {
    const browser = await loggedIn();
    const before = await gateway.metrics();
    for (let i = 0; i < 20; i += 1) expect((await browser.fetch(EVENT)).status).toBe(200);
    expectNoAlert({ before, during: await gateway.metrics() });
  });
});

describe('an incident', () => {
  test('the store is paused: shows as errors of the store, in traces too, and ends nobody’s session', async () => {
    const browser = await loggedIn();
    const before = await gateway.metrics();
    redis.pause();
    const unknown = gateway.browser();
    const answers = await Promise.all(
      ['A', 'B', 'C'].map((letter) => {
        unknown.cookie = `__Host-finvera_session=${letter.repeat(42)}A`;
        return unknown.fetch(EVENT);
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
    const during = await gateway.metrics();
    redis.resume();
    expect(await sample('finvera_gateway_store_errors_total{operation="read"}')).toBe(3);
    expectAlerts({ before, during }, ['GatewayStoreErrors', 'GatewayErrors']);
    const failed = await requestLines('store_unavailable', 3);
    expect(failed[0]).toMatchObject({ level: 'warn', status: 503 });
    const [span] = await spansNamed('store read', 3);
    expect(span).toMatchObject({ hasFailed: true, fields: { 'error.type': 'store_unavailable' } });
    expect(failed.map(({ trace_id }) => trace_id)).toContain(span?.traceId);
    await until('the store to answer', async () => (await browser.fetch('/bff/session')).status === 200);
    expect(auditOf('session_ended')).toEqual([]);
  });

  test('Finvera is slow: shows as time-outs, opens the breaker, and ends nobody’s session', async () => {
    const browsers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => loggedIn(`${name}@finvera.test`)));
    const before = await gateway.metrics();
    const slow = simulator.addFault({ fault: 'hang', match: { call: 'data' } });
    const each = browsers.flatMap((browser) => Array.from({ length: 6 }, () => browser));
    const statuses = (await Promise.all(each.map((browser) => browser.fetch(EVENT)))).map(({ status }) => status);
    expect(statuses.filter((status) => status === 504).length).toBeGreaterThanOrEqual(20);
    expect((await browsers[0]?.fetch(EVENT))?.status).toBe(503);
    const during = await gateway.metrics();
    slow.remove();
    expect(during).toContain('finvera_gateway_breaker_state{upstream="data"} 2\n');
    expectAlerts({ before, during }, ['GatewayBreakerOpen', 'GatewayErrors']);
    expect(linesOf('breaker')).toContainEqual(
      expect.objectContaining({ level: 'warn', reason: 'data', outcome: 'open' }),
    );
    const [late] = await requestLines('upstream_timeout', 24);
    const spans = await spansNamed('upstream GET', 24);
    expect(spans.find(({ traceId }) => traceId === late?.trace_id)).toMatchObject({
      hasFailed: true,
      fields: { 'error.type': 'upstream_timeout' },
    });
    expect(auditOf('session_ended')).toEqual([]);
  });

  test('passwords are tried out: shows in the audit trail with the address, and as an alert', async () => {
    const before = await gateway.metrics();
    const attacker = gateway.browser();
    for (let i = 0; i < 10; i += 1) {
      const reply = await attacker.fetch('/bff/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': FROM },
        body: JSON.stringify({ email: `victim-${i}@finvera.test`, password: 'guess' }),
      });
      expect(reply.status).toBe(401);
    }
    const during = await gateway.metrics();
    expect(await sample('finvera_gateway_logins_total{outcome="rejected"}')).toBe(10);
    expectAlerts({ before, during }, ['GatewayLoginAbuse']);
    expect(auditOf('login_stuffing_suspected')).toEqual([expect.objectContaining({ ip: FROM, count: 10 })]);
    expect(auditOf('login_rejected')).toHaveLength(10);
    await requestLines('login_rejected', 10);
    const [exchange] = await spansNamed('exchange login', 10);
    expect(exchange).toMatchObject({ hasFailed: false, fields: { 'finvera_gateway.outcome': 'rejected' } });
    expect(collector.text()).not.toContain('victim-');
  });

  test('a refresh lock is lost: shows once everywhere, and the session is none the worse', async () => {
    const browser = await loggedIn();
    const before = await gateway.metrics();
    clock.advance(2 * 3_600_000);
    const hold = simulator.addFault({ fault: 'hold', match: { call: 'refresh' } });
    const answer = browser.fetch(EVENT);
    await simulator.waitForRequests('refresh', 1);
    const locks = async () => (await redis.client.keys('finvera:*')).filter((key) => key.includes('lock'));
    const [lock = ''] = await locks();
    expect(lock).not.toBe('');
    const monitor = await redis.client.monitor();
    // The holder learns of it when it renews, each third of the lock's life.
    const renewal = new Promise<void>((resolve) => {
      monitor.on('monitor', (_time: string, [command = '', ...args]: string[]) => {
        if (/^eval/i.test(command) && args.includes(lock)) resolve();
      });
    });
    await redis.client.set(lock, 'another', 'PX', 60_000);
    await renewal;
    monitor.disconnect();
    await redis.client.ping();
    hold.remove();
    expect((await answer).status).toBe(200);
    const during = await gateway.metrics();
    expect(during).toContain('finvera_gateway_refresh_lock_lost_total 1\n');
    expectAlerts({ before, during }, ['GatewayRefreshLockLost']);
    expect(linesOf('refresh_lock_lost')).toEqual([expect.objectContaining({ level: 'warn' })]);
    expect(auditOf('session_refreshed')).toHaveLength(1);
    const [exchange] = await spansNamed('exchange refresh');
    expect(exchange?.fields).toMatchObject({ 'finvera_gateway.outcome': 'granted' });
    expect((await browser.fetch('/bff/session')).status).toBe(200);
  });
});
