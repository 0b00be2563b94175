// Every answer of the gateway's, whatever it is, says that nothing in it may run, be framed, guessed at or kept (ASVS 3.4, 14.3.2).
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { exchangeRaw, rawRequest } from '../support/raw-http.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';

let simulator: Simulator;

beforeAll(async () => {
  simulator = await createSimulator();
});
afterEach(closeGateways);
afterAll(() => simulator.close());

const PUBLIC = { PUBLIC_URL: 'https://app.example.com' };
const POLICY = "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none';sandbox";

test.each([
  ['a page of Finvera’s', 'GET', EVENT],
  ['an error of Finvera’s', 'GET', '/delivery/api/v1/none'],
  ['the gateway’s own answer', 'GET', '/bff/session'],
  ['a path that is not there', 'GET', '/nothing'],
  ['a method that is not there', 'PUT', '/bff/session'],
  ['health', 'GET', '/health'],
  ['a login', 'POST', '/kms/api/v1/auth/token'],
  ['a logout', 'POST', '/bff/logout'],
])('%s bears all of them', async (_, method, path) => {
  const gateway = await startGateway(simulator, { env: PUBLIC });
  const browser = gateway.browser();
  await browser.login();
  const { headers } = await browser.fetch(path, { method });
  expect(headers).toMatchObject({
    'strict-transport-security': 'max-age=31536000; includeSubDomains',
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': expect.stringMatching(/^no-store$/),
  });
  for (const telling of ['server', 'x-powered-by', 'via']) expect(headers).not.toHaveProperty(telling);
});

test('HSTS is not promised over plain http', async () => {
  const gateway = await startGateway(simulator, {
    env: { PUBLIC_URL: 'http://localhost:3000', COOKIE_SECURE: 'false' },
  });
  expect((await gateway.browser().fetch('/bff/session')).headers).not.toHaveProperty('strict-transport-security');
});

test('HTML that Finvera sends is live on nobody’s origin', async () => {
  const gateway = await startGateway(simulator, { env: PUBLIC });
  const browser = gateway.browser();
  await browser.login();
  const fault = simulator.addFault({ fault: 'html', match: { call: 'data' } });
  const { headers, text } = await browser.fetch(EVENT);
  fault.remove();
  expect(text).toContain('<');
  expect(headers['content-security-policy']).toBe(POLICY);
});

test('a request that cannot be read is answered with nosniff and no-store, and tells of nothing inside', async () => {
  const gateway = await startGateway(simulator, { env: PUBLIC });
  for (const line of ['Bad Header: x', `X: ${'y'.repeat(20_000)}`]) {
    const answer = await exchangeRaw(gateway.port, rawRequest('GET', EVENT, [line]));
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(answer).toMatch(/\r\nX-Content-Type-Options: nosniff\r\n/i);
    expect(answer).toMatch(/\r\nCache-Control: no-store\r\n/i);
    expect(answer).not.toMatch(/node|express|HPE_| at /i);
  }
});
