import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogControl, type LogControl } from '../../../src/observability/log-control.ts';
import { createManagementHandler } from '../../../src/observability/management.ts';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { call, json } from '../../support/http-client.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';

let server: Server;
let url: string;
let logControl: LogControl;
beforeAll(async () => {
  logControl = createLogControl({
    log: createRecordedLog('info').log,
    audit: { record: () => undefined },
    configured: { level: 'info', sampling: 1 },
  });
  const handle = createManagementHandler({
    metrics: createMetrics({ withProcess: false }),
    health: {
      live: () => ({ status: 200, body: { status: 'ok' } }),
      ready: async () => ({ status: 503, body: { status: 'unavailable' } }),
    },
    healthPaths: ['/health', '/health/live', '/health/ready'],
    logControl,
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

  test('tells which log lines are written, and changes it', async () => {
    expect(json(await call(`${url}/log`))).toEqual({ level: 'info', sampling: 1 });
    expect(json(await putLog('{"level":"debug","sampling":0.1}'))).toEqual({ level: 'debug', sampling: 0.1 });
    expect(json(await putLog('{"sampling":0}'))).toEqual({ level: 'debug', sampling: 0 });
    expect(logControl.current()).toEqual({ level: 'debug', sampling: 0 });
    expect(json(await putLog('{"level":"info","sampling":1}'))).toEqual({ level: 'info', sampling: 1 });
  });

  test.each([
    ['', 400, 'invalid_request'],
    ['{', 400, 'invalid_request'],
    ['{}', 400, 'invalid_request'],
    ['[]', 400, 'invalid_request'],
    ['null', 400, 'invalid_request'],
    ['{"level":"loud"}', 400, 'invalid_request'],
    ['{"level":"debug","sampling":1.1}', 400, 'invalid_request'],
    ['{"level":"debug","sampling":"1"}', 400, 'invalid_request'],
    ['{"level":"debug","other":1}', 400, 'invalid_request'],
    [`{"level":"debug"}${' '.repeat(2_000)}`, 413, 'body_too_large'],
  ])('refuses %j with %i, and changes nothing', async (body, status, code) => {
    const reply = await putLog(body);
    expect(reply.status).toBe(status);
    expect(reply.headers['content-type']).toContain('application/problem+json');
    expect(json(reply)).toMatchObject({ status, code, error: { code: status } });
    expect(logControl.current()).toEqual({ level: 'info', sampling: 1 });
  });

  test.each([
    [{ Origin: 'http://127.0.0.1:9090' }, 403],
    [{ 'Sec-Fetch-Site': 'same-origin' }, 403],
    [{ 'Content-Type': 'text/plain' }, 415],
    [{ 'Content-Type': 'application/x-www-form-urlencoded' }, 415],
  ])('lets no page of a browser change it: %j', async (headers, status) => {
    expect((await putLog('{"level":"silent"}', headers)).status).toBe(status);
    expect(logControl.current().level).toBe('info');
  });

  test('takes no other method there', async () => {
    const reply = await call(`${url}/log`, { method: 'POST' });
    expect(reply.status).toBe(405);
    expect(reply.headers.allow).toBe('GET, HEAD, PUT');
  });
});

const putLog = (body: string, headers: Record<string, string> = {}) =>
  call(`${url}/log`, { method: 'PUT', headers: { 'Content-Type': 'application/json', ...headers }, body });
