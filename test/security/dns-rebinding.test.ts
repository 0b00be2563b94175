// A page whose name suddenly resolves to the operator's own machine: it reads neither metrics nor health nor what the log
// writes, and changes nothing there. Such a request has the page's name as its Host, and often no Origin.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { exchangeRaw, rawStatus } from '../support/raw-http.ts';
import { closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';

let simulator: Simulator;
let gateway: TestGateway;
let port: number;

beforeEach(async () => {
  simulator = await createSimulator();
  gateway = await startGateway(simulator);
  port = Number(new URL(gateway.managementUrl).port);
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

const ask = (host: string, path: string, method = 'GET', more: readonly string[] = [], body = '') =>
  exchangeRaw(
    port,
    [
      `${method} ${path} HTTP/1.1`,
      `Host: ${host}`,
      'Connection: close',
      ...more,
      ...(body === '' ? [] : [`Content-Length: ${body.length}`]),
      '',
      body,
    ].join('\r\n'),
  );

describe('on the management port a request', () => {
  const FOREIGN = [
    'evil.test',
    'evil.test:9090',
    'localhost.evil.test',
    '127.0.0.1.evil.test',
    '127.0.0.1.evil.test:9090',
    'evil-localhost',
    '127.0.0.1@evil.test',
    '2130706433.evil.test',
    '[::1].evil.test',
  ];

  test.each(FOREIGN)('by the name %s is 403 and tells nothing', async (host) => {
    for (const path of ['/metrics', '/log', '/health', '/health/live']) {
      const answer = await ask(host, path);
      expect([path, [400, 403].includes(rawStatus(answer))]).toEqual([path, true]);
      expect(answer).not.toMatch(/finvera_gateway_|"sampling"|"checks"|"ok"/);
    }
  });

  test('by a foreign name changes nothing, whatever else it says of itself', async () => {
    const body = '{"level":"trace","sampling":1}';
    for (const more of [[], ['Sec-Fetch-Site: same-origin'], ['Origin: http://evil.test']]) {
      const lines = ['Content-Type: application/json', ...more];
      expect(rawStatus(await ask('evil.test', '/log', 'PUT', lines, body))).toBe(403);
    }
    expect(gateway.auditLines().filter(({ event }) => event === 'log_changed')).toEqual([]);
  });

  test('by localhost or an address is served', async () => {
    for (const host of [
      'localhost',
      'LOCALHOST:9090',
      'app.localhost',
      '127.0.0.1',
      `127.0.0.1:${port}`,
      '[::1]:9090',
      '10.1.2.3',
    ])
      expect([host, rawStatus(await ask(host, '/metrics'))]).toEqual([host, 200]);
  });
});
