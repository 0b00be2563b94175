// States in which Redis is there and will not serve: loading its data, or a replica after a failover. Nobody is logged out.
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { json } from '../support/http-client.ts';
import { startRedis } from '../support/redis-server.ts';
import { closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

async function expectHonestRefusals(gateway: TestGateway, cookie: string): Promise<void> {
  const browser = gateway.browser();
  for (const path of [EVENT, '/bff/session', '/bff/sessions']) {
    browser.cookie = cookie;
    const answer = await browser.fetch(path);
    expect([path, answer.status, json(answer).code, answer.setCookies]).toEqual([path, 503, 'store_unavailable', []]);
  }
  expect(simulator.requests('data')).toEqual([]);
}

/** Says to every command what a Redis says that has not read its data yet. */
function startLoadingRedis(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      const commands = String(bytes).match(/\*\d+\r\n/g)?.length ?? 0;
      socket.write('-LOADING Redis is loading the dataset in memory\r\n'.repeat(commands));
    });
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

test('answers 503 while redis loads its data', async () => {
  const loading = await startLoadingRedis();
  const { port } = loading.address() as { port: number };
  const gateway = await startGateway(simulator, { env: { REDIS_URL: `redis://127.0.0.1:${port}` } });
  await expectHonestRefusals(gateway, `__Host-finvera_session=${'A'.repeat(43)}`);
  expect((await gateway.browser().login()).status).toBe(503);
  await closeGateways();
  loading.close();
});

test('serves reads from a redis that became read-only, refuses what must be written, and recovers when it is promoted', async () => {
  const redis = await startRedis();
  try {
    const gateway = await startGateway(simulator, { env: { REDIS_URL: redis.url } });
    const browser = gateway.browser();
    await browser.login();
    const { cookie } = browser;
    // A replica of nobody that answers: it keeps its data, serves reads and takes no writes.
    await redis.client.call('REPLICAOF', '127.0.0.1', '1');
    const logout = await browser.fetch('/bff/logout', { method: 'POST' });
    expect([logout.status, json(logout).code, logout.setCookies]).toEqual([503, 'store_unavailable', []]);
    expect((await gateway.browser().login()).status).toBe(503);
    const read = await browser.fetch('/bff/session');
    expect([200, 503]).toContain(read.status);
    expect(read.setCookies).toEqual([]);
    await redis.client.call('REPLICAOF', 'NO', 'ONE');
    await until('the gateway is back', async () => (await browser.fetch(EVENT)).status === 200);
    expect(browser.cookie).toBe(cookie);
    expect((await browser.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
  } finally {
    await redis.close();
  }
});
