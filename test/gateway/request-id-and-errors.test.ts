// One id for each request on its whole way, errors in one form, and one log line a request that tells no secret.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { call, json } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw, rawRequest } from '../support/raw-http.ts';
import { expectNothingTold } from '../support/secrets.ts';
import { closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

const requestLines = (gateway: TestGateway) => gateway.logLines().filter(({ event }) => event === 'request');

async function lineOf(gateway: TestGateway, requestId: unknown): Promise<Record<string, unknown>> {
  const find = () => requestLines(gateway).find((line) => line.request_id === requestId);
  await until('the log line of the request', () => find() !== undefined);
  return find() ?? {};
}

const idAtFinvera = () => {
  const raw = simulator.requests().at(-1)?.rawHeaders ?? [];
  return raw.flatMap((value, i) => (raw[i - 1]?.toLowerCase() === 'x-request-id' ? [value] : []));
};

describe('the request id', () => {
  test('is made, answered, forwarded and logged', async () => {
    const gateway = await startGateway(simulator);
    const browser = gateway.browser();
    const login = await browser.login();
    expect(idAtFinvera()).toEqual([login.headers['x-request-id']]);
    const ids = new Set<unknown>();
    for (const path of [EVENT, '/bff/session', '/bff/nothing', '/health', '/nothing', '/bff/client.js']) {
      const id = (await browser.fetch(path)).headers['x-request-id'];
      expect(id).toMatch(UUID);
      if (path === EVENT) expect(idAtFinvera()).toEqual([id]);
      expect(await lineOf(gateway, id)).toMatchObject({ path });
      ids.add(id);
    }
    expect(ids.size).toBe(6);
  });

  test('of an untrusted client is only a claim', async () => {
    const gateway = await startGateway(simulator);
    const browser = gateway.browser();
    await browser.login();
    const reply = await browser.fetch(EVENT, { headers: { 'X-Request-Id': 'claimed-1' } });
    expect(reply.headers['x-request-id']).toMatch(UUID);
    expect(idAtFinvera()).toEqual([reply.headers['x-request-id']]);
    expect(gateway.logText()).not.toContain('claimed-1');
  });

  test('of a trusted proxy is kept', async () => {
    const gateway = await startGateway(simulator, { env: { TRUST_PROXY: '127.0.0.0/8' } });
    const browser = gateway.browser();
    await browser.login();
    const reply = await browser.fetch(EVENT, { headers: { 'X-Request-Id': 'edge-7f3a.1' } });
    expect(reply.headers['x-request-id']).toBe('edge-7f3a.1');
    expect(idAtFinvera()).toEqual(['edge-7f3a.1']);
    await lineOf(gateway, 'edge-7f3a.1');
    const problem = await call(`${gateway.url}${EVENT}`, { headers: { 'X-Request-Id': 'edge-2' } });
    expectProblem(problem, 401, 'session_required');
    expect(json(problem).request_id).toBe('edge-2');
  });

  test.each(['', 'a b', 'x'.repeat(500), '<script>', 'a"b', 'ä'])(
    'of a trusted proxy is made anew where it is %j',
    async (sent) => {
      const gateway = await startGateway(simulator, { env: { TRUST_PROXY: '127.0.0.1' } });
      const reply = await call(`${gateway.url}/health/live`, {
        headers: { 'X-Request-Id': Buffer.from(sent).toString('latin1') },
      });
      expect(reply.headers['x-request-id']).toMatch(UUID);
    },
  );
});

describe('the log', () => {
  test('has one line a request, with what is needed to follow it', async () => {
    const gateway = await startGateway(simulator);
    const browser = gateway.browser();
    await browser.login();
    const { headers } = await browser.fetch(`${EVENT}?limit=1`);
    const line = await lineOf(gateway, headers['x-request-id']);
    expect(line).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'request',
      msg: expect.any(String),
      request_id: headers['x-request-id'],
      method: 'GET',
      path: EVENT,
      route: '/delivery',
      status: 200,
      duration_ms: expect.any(Number),
      upstream_ms: expect.any(Number),
      session: expect.any(String),
      user_id: expect.any(String),
      ip: '127.0.0.1',
    });
    expect(requestLines(gateway)).toHaveLength(2);
  });

  test('tells no secret, whatever is sent and whatever goes wrong', async () => {
    const gateway = await startGateway(simulator, { env: { FINVERA_AUTH_TIMEOUT: '3s' } });
    const browser = gateway.browser();
    await browser.login();
    const id = browser.cookie?.split('=')[1];
    const secret = 'secret-in-the-request';
    for (const fault of ['reset_before', 'garbage', 'half_body', 'status'] as const) {
      const { remove } = simulator.addFault({ fault, match: { call: 'data' } });
      const headers = { Authorization: `Bearer ${secret}`, 'X-Anything': secret };
      await browser.fetch(`${EVENT}?token=${secret}`, { method: 'POST', body: secret, headers }).catch(() => undefined);
      remove();
    }
    for (const fault of ['reset_after', 'hang', 'html'] as const) {
      const { remove } = simulator.addFault({ fault, match: { call: 'token' } });
      await gateway.browser().login('demo@finvera.test', secret);
      remove();
    }
    await exchangeRaw(gateway.port, `${secret} ${secret}\r\n\r\n`);
    await exchangeRaw(gateway.port, rawRequest('GET', EVENT, [`Cookie: ${browser.cookie}`, `X-Bad\u0001: ${secret}`]));
    await until('all log lines', () => requestLines(gateway).length >= 8);
    await expectNothingTold(gateway, simulator, [secret, id, browser.cookie]);
  });

  test('cannot be forged by a path', async () => {
    const gateway = await startGateway(simulator);
    await exchangeRaw(gateway.port, rawRequest('GET', '/x%0a{"level":"fatal"}'));
    await exchangeRaw(gateway.port, rawRequest('GET', '/x%0d%0a%7b%22level%22:%22fatal%22%7d'));
    await until('the log lines', () => requestLines(gateway).length === 2);
    for (const { level } of gateway.logLines()) expect(level).toBe('info');
  });

  test('is silent where LOG_LEVEL says so', async () => {
    const gateway = await startGateway(simulator, { env: { LOG_LEVEL: 'silent' } });
    await gateway.browser().login();
    expect(gateway.logText()).toBe('');
  });
});
