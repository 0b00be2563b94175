// Liveness, readiness and metrics, on both listeners.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { call, json } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { freePort, startRedis } from '../support/redis-server.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const OK = { status: 'ok', checks: { store: 'ok', finvera: 'ok' } };
const READINESS = ['/health', '/health/ready'];

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

describe('health', () => {
  test('is ok while store and Finvera are there, on both listeners', async () => {
    const { url, managementUrl } = await startGateway(simulator);
    for (const base of [url, managementUrl]) {
      const live = await call(`${base}/health/live`);
      expect([live.status, json(live)]).toEqual([200, { status: 'ok' }]);
      for (const path of READINESS) {
        const ready = await call(base + path);
        expect([ready.status, json(ready)]).toEqual([200, OK]);
        expect(ready.headers['cache-control']).toBe('no-store');
        expect(ready.headers['content-type']).toMatch(/^application\/json/);
      }
      const head = await call(`${base}/health`, { method: 'HEAD' });
      expect([head.status, head.text]).toEqual([200, '']);
    }
    expect(simulator.requests()).toEqual([]);
  });

  test('is degraded, and still 200, while Finvera cannot be reached', async () => {
    const { url } = await startGateway(`http://127.0.0.1:${await freePort()}`);
    for (const path of READINESS) {
      const reply = await call(url + path);
      expect([reply.status, json(reply)]).toEqual([
        200,
        { status: 'degraded', checks: { store: 'ok', finvera: 'unavailable' } },
      ]);
    }
    expect((await call(`${url}/health/live`)).status).toBe(200);
  });

  test('follows Finvera as it comes and goes', async () => {
    const { url } = await startGateway(simulator);
    expect(json(await call(`${url}/health`)).status).toBe('ok');
    const { port } = simulator;
    await simulator.close();
    await until('degraded', async () => json(await call(`${url}/health`)).status === 'degraded');
    simulator = await createSimulator({ port });
    await until('ok', async () => json(await call(`${url}/health`)).status === 'ok');
  });

  test('is unavailable while the process drains, which is alive all the same', async () => {
    const { url, managementUrl, gateway } = await startGateway(simulator);
    gateway.beginDrain();
    for (const base of [url, managementUrl]) {
      for (const path of READINESS) {
        const reply = await call(base + path);
        expect([reply.status, json(reply).status]).toEqual([503, 'unavailable']);
      }
      expect((await call(`${base}/health/live`)).status).toBe(200);
    }
  });

  test('is unavailable while the store is down, and ok again by itself', async () => {
    const redis = await startRedis();
    try {
      const { url, managementUrl, close } = await startGateway(simulator, { env: { REDIS_URL: redis.url } });
      expect(json(await call(`${url}/health`))).toEqual(OK);
      await redis.stop();
      await until('unavailable', async () => (await call(`${url}/health/ready`)).status === 503);
      const reply = await call(`${managementUrl}/health`);
      expect([reply.status, json(reply)]).toEqual([
        503,
        { status: 'unavailable', checks: { store: 'unavailable', finvera: 'ok' } },
      ]);
      expect((await call(`${url}/health/live`)).status).toBe(200);
      await redis.restart();
      await until('ok', async () => (await call(`${url}/health/ready`)).status === 200);
      redis.pause();
      await until('unavailable again', async () => (await call(`${url}/health/ready`)).status === 503);
      redis.resume();
      await until('ok again', async () => (await call(`${url}/health/ready`)).status === 200);
      await close();
    } finally {
      await redis.close();
    }
  });

  test('takes no other method, and has no other path', async () => {
    const { url, managementUrl } = await startGateway(simulator);
    for (const path of ['/health', '/health/live', '/health/ready']) {
      const reply = await call(url + path, { method: 'POST' });
      expectProblem(reply, 405, 'method_not_allowed');
      expect(reply.headers.allow).toBe('GET, HEAD');
      expect((await call(managementUrl + path, { method: 'POST' })).status).toBe(405);
    }
    for (const path of ['/health/', '/health/x', '/healthz', '/Health']) {
      expectProblem(await call(url + path), 404, 'not_found');
    }
  });
});

describe('the management listener', () => {
  test('has metrics in the format of Prometheus', async () => {
    const gateway = await startGateway(simulator);
    const browser = gateway.browser();
    await browser.login();
    await browser.fetch('/delivery/api/v1/events/evt-0001?token=secret-in-a-query');
    await browser.fetch('/nothing/here');
    const reply = await call(`${gateway.managementUrl}/metrics`);
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(reply.text).toMatch(
      /^finvera_gateway_requests_total\{route="\/delivery",method="GET",status="200",code=""\} 1$/m,
    );
    expect(reply.text).toMatch(/^finvera_gateway_request_seconds_bucket\{.*route="\/delivery".*\} 1$/m);
    expect(reply.text).toMatch(/^process_cpu_seconds_total/m);
    expect(reply.text).not.toMatch(/nothing\/here|evt-0001|secret-in-a-query/);
  });

  test('has nothing else', async () => {
    const { managementUrl } = await startGateway(simulator);
    for (const path of ['/', '/bff/session', '/delivery/api/v1/events', '/kms/api/v1/auth/token', '/metrics/x']) {
      expect((await call(managementUrl + path)).status).toBe(404);
    }
    expect(simulator.requests()).toEqual([]);
  });

  test('is not reached on the public port', async () => {
    const { url } = await startGateway(simulator);
    for (const path of ['/metrics', '/metrics/', '//metrics', '/%6detrics', '/health/../metrics']) {
      const reply = await call(url + path);
      expect([400, 404]).toContain(reply.status);
      expect(reply.text).not.toContain('finvera_gateway_');
    }
  });
});
