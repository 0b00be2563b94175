import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createManagementHandler } from '../../../src/observability/management.ts';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { call, json } from '../../support/http-client.ts';

let server: Server;
let url: string;
beforeAll(async () => {
  const handle = createManagementHandler({
    metrics: createMetrics({ withProcess: false }),
    health: {
      live: () => ({ status: 200, body: { status: 'ok' } }),
      ready: async () => ({ status: 503, body: { status: 'unavailable' } }),
    },
    healthPaths: ['/health', '/health/live', '/health/ready'],
  });
  server = createServer((req, res) => void handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('the management listener', () => {
  test('gives the metrics to whoever scrapes', async () => {
    const reply = await call(`${url}/metrics?x=1`);
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toContain('text/plain; version=0.0.4');
    expect(reply.text).toContain('finvera_gateway_sessions_started_total 0');
  });

  test('speaks OpenMetrics with whoever asks for it', async () => {
    const reply = await call(`${url}/metrics`, {
      headers: { Accept: 'application/openmetrics-text; version=1.0.0, */*;q=0.1' },
    });
    expect(reply.headers['content-type']).toContain('application/openmetrics-text; version=1.0.0');
    expect(reply.text).toMatch(/# EOF\n$/);
  });

  test.each([
    ['/health/live', 200, { status: 'ok' }],
    ['/health/ready', 503, { status: 'unavailable' }],
    ['/health', 503, { status: 'unavailable' }],
  ])('answers %s with %i', async (path, status, body) => {
    const reply = await call(url + path);
    expect(reply.status).toBe(status);
    expect(json(reply)).toEqual(body);
    expect(reply.headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  });

  test.each(['/', '/metrics/', '/bff/session', '/health/other'])('has nothing at %s', async (path) => {
    expect((await call(url + path)).status).toBe(404);
  });

  test('only reads', async () => {
    const reply = await call(`${url}/metrics`, { method: 'POST' });
    expect(reply.status).toBe(405);
    expect(reply.headers.allow).toBe('GET, HEAD');
    expect((await call(`${url}/metrics`, { method: 'HEAD' })).status).toBe(200);
  });
});
