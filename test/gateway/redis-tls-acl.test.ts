// Redis as production has it: TLS with a private CA, and a user that may do no more than the gateway needs.
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { makeCertificate } from '../support/certificate.ts';
import { json } from '../support/http-client.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';

let simulator: Simulator;
let redis: TestRedis;

beforeAll(async () => {
  simulator = await createSimulator();
  redis = await startRedis();
});
afterEach(closeGateways);
afterAll(async () => {
  await simulator.close();
  await redis.close();
});

/** What docs and compose files tell operators to grant. */
const GRANTED =
  '~finvera:* &finvera:* &__redis__:invalidate +@read +@write +@scripting +@pubsub +@connection +@transaction +role +wait +info';

test('works as a user who may touch nothing but the keys and channels of the gateway', async () => {
  await redis.client.call(
    'ACL',
    'SETUSER',
    'gateway',
    'on',
    '>secret',
    'resetkeys',
    'resetchannels',
    '-@all',
    ...GRANTED.split(' '),
  );
  const gateway = await startGateway(simulator, {
    env: { REDIS_URL: `redis://gateway:secret@127.0.0.1:${redis.port}` },
  });
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  expect((await browser.fetch(EVENT)).status).toBe(200);
  expect((await browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
  expect((await browser.fetch('/bff/sessions')).status).toBe(200);
  expect((await browser.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
});

test('answers 503, never 401, where the password is wrong', async () => {
  const gateway = await startGateway(simulator, {
    env: { REDIS_URL: `redis://gateway:wrong@127.0.0.1:${redis.port}` },
  });
  const browser = gateway.browser();
  browser.cookie = `__Host-finvera_session=${'A'.repeat(43)}`;
  const answer = await browser.fetch(EVENT);
  expect([answer.status, json(answer).code, answer.setCookies]).toEqual([503, 'store_unavailable', []]);
  expect((await browser.login()).status).toBe(503);
  expect(gateway.logText()).not.toContain('wrong');
});

test('speaks TLS to Redis and refuses a certificate that nobody vouches for', async () => {
  const { certFile, keyFile, remove } = makeCertificate();
  const tls = await startRedis({
    tls: { cert: certFile, key: keyFile, ca: certFile },
  });
  try {
    const gateway = await startGateway(simulator, { env: { REDIS_URL: `rediss://127.0.0.1:${tls.tlsPort}` } });
    const browser = gateway.browser();
    // The certificate is self-signed: without its CA nothing is sent, and nobody is logged out.
    const answer = await browser.login();
    expect([answer.status, json(answer).code]).toEqual([503, 'store_unavailable']);
    // Who trusts the CA (NODE_EXTRA_CA_CERTS, read when a process starts) gets through.
    const script = `
      import { Secret } from './src/kernel/secret.ts';
      import { createLogger } from './src/observability/logger.ts';
      import { createRedisConnection, whenReady } from './src/redis/redis-client.ts';
      const redis = createRedisConnection(new Secret('rediss://127.0.0.1:${tls.tlsPort}'), createLogger({ level: 'silent' }));
      console.log(await whenReady(redis, 5000) ? await redis.ping() : 'not ready');
      redis.disconnect();`;
    const trusted = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      env: { ...process.env, NODE_OPTIONS: '', NODE_EXTRA_CA_CERTS: certFile },
      encoding: 'utf8',
    });
    expect(trusted.stdout.trim()).toBe('PONG');
  } finally {
    await tls.close();
    remove();
  }
});
