// What a scrape tells after real requests: the store's part, the cache's, the upstream's connections, replays.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const KEYS = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };
const EVENT = '/delivery/api/v1/events/evt-0001';

let redis: TestRedis;
let simulator: Simulator;

beforeAll(async () => {
  redis = await startRedis();
  simulator = await createSimulator();
});
afterEach(closeGateways);
afterAll(async () => {
  await simulator.close();
  await redis.close();
});

const sampleOf = (text: string, name: string): number => {
  const line = text.split('\n').find((each) => each.startsWith(`finvera_gateway_${name} `));
  return line === undefined ? Number.NaN : Number(line.split(' ').at(-1));
};

describe('metrics', () => {
  test('tell of the store: times by operation, failures, its connection', async () => {
    const gateway = await startGateway(simulator, { env: { REDIS_URL: redis.url, ...KEYS } });
    const browser = gateway.browser();
    await browser.login();
    await browser.fetch(EVENT);
    const up = await gateway.metrics();
    expect(sampleOf(up, 'store_connected')).toBe(1);
    expect(sampleOf(up, 'store_seconds_count{operation="create"}')).toBe(1);
    expect(sampleOf(up, 'store_reconnects_total')).toBe(0);

    await redis.stop();
    await until(
      'the end of the connection is seen',
      async () => sampleOf(await gateway.metrics(), 'store_connected') === 0,
    );
    expect((await gateway.browser().fetch('/health/ready')).status).toBe(503);
    expect(sampleOf(await gateway.metrics(), 'store_errors_total{operation="ping"}')).toBeGreaterThan(0);

    await redis.restart();
    await until('it is back', async () => sampleOf(await gateway.metrics(), 'store_reconnects_total') === 1, 10_000);
    expect(sampleOf(await gateway.metrics(), 'store_connected')).toBe(1);
  });

  test('tell of sessions: about how many there are, and how many look-ups needed the store', async () => {
    const gateway = await startGateway(simulator, { env: { REDIS_URL: redis.url, ...KEYS } });
    const browser = gateway.browser();
    await browser.login();
    await until(
      'events are heard',
      async () => sampleOf(await gateway.metrics(), 'invalidation_healthy') === 1,
      10_000,
    );
    await browser.fetch(EVENT);
    await browser.fetch(EVENT);
    const text = await gateway.metrics();
    expect(sampleOf(text, 'session_lookups_total{result="miss"}')).toBeGreaterThan(0);
    expect(sampleOf(text, 'session_lookups_total{result="hit"}')).toBeGreaterThan(0);
    const later = await startGateway(simulator, { env: { REDIS_URL: redis.url, ...KEYS } });
    await until('the estimate is there', async () => sampleOf(await later.metrics(), 'sessions_active') === 1);
  });

  test('tell of the upstream: connections, and what became of its 401', async () => {
    const gateway = await startGateway(simulator, { env: { REDIS_URL: redis.url, ...KEYS } });
    const browser = gateway.browser();
    await browser.login();
    simulator.addFault({ fault: 'status', status: 401, match: { path: '/delivery' }, times: 1 });
    expect((await browser.fetch(EVENT)).status).toBe(200);
    const text = await gateway.metrics();
    expect(sampleOf(text, 'upstream_replays_total{outcome="replayed"}')).toBe(1);
    expect(sampleOf(text, 'upstream_connections{state="open"}')).toBeGreaterThan(0);
    expect(sampleOf(text, 'upstream_connections{state="busy"}')).toBe(0);
  });
});
