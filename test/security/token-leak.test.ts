// Tokens live in the gateway only: not a piece of one in anything a browser can read, whatever is asked and whatever goes
// wrong (RFC 10017 §6.1, ASVS 10.1.1).
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { exchangeRaw } from '../support/raw-http.ts';
import { tokensSeen } from '../support/secrets.ts';
import { type Browser, closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const PIECE = 20;

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator({ tokenIn: 'both', accessTokenLifeS: 3_600 });
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

/** The first piece of a token in the text, or undefined. */
function leakIn(text: string, tokens: readonly string[]): string | undefined {
  for (const token of tokens) {
    for (let at = 0; at + PIECE <= token.length; at += 1) {
      const piece = token.slice(at, at + PIECE);
      if (text.includes(piece)) return piece;
    }
  }
  return undefined;
}

const CALLS = [
  ['GET', '/bff/session'],
  ['GET', '/bff/sessions'],
  ['POST', '/bff/refresh'],
  ['POST', '/bff/login'],
  ['GET', '/bff/client.js'],
  ['GET', '/bff/openapi.json'],
  ['GET', '/bff/nothing'],
  ['PUT', '/bff/session'],
  ['GET', EVENT],
  ['HEAD', EVENT],
  ['POST', EVENT],
  ['GET', `${EVENT}/nothing`],
  ['GET', '/search/api/v1/securities?search=AAPL'],
  ['GET', '/kms/api/v1/auth/validate'],
  ['POST', '/kms/api/v1/auth/token'],
  ['POST', '/api/v1/auth/token'],
  ['POST', '/kms/api/v1/auth/refresh'],
  ['GET', '/kms/api/v1/keys'],
  ['GET', '/nothing'],
  ['GET', '/health'],
  ['DELETE', '/bff/sessions?except=current'],
] as const;

const everything = async (gateway: TestGateway, browser: Browser): Promise<string> => {
  let text = '';
  for (const [method, path] of CALLS) {
    const body = /login|token$/.test(path)
      ? JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' })
      : undefined;
    const lines = [
      `Cookie: ${browser.cookie}`,
      'Sec-Fetch-Site: same-origin',
      'Origin: http://127.0.0.1',
      `Content-Type: application/json`,
      `Content-Length: ${body?.length ?? 0}`,
    ];
    const answer = await exchangeRaw(
      gateway.port,
      [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...lines, '', body ?? ''].join('\r\n'),
    ).catch((error) => String(error));
    text += answer;
    const renewed = /^Set-Cookie: (__Host-finvera_session=[\w-]{43})/m.exec(answer)?.[1];
    if (renewed) browser.cookie = renewed;
  }
  return text;
};

const FAULTS: readonly (FaultSpec | undefined)[] = [
  undefined,
  { fault: 'unauthorized' },
  { fault: 'status', status: 500 },
  { fault: 'half_body' },
  { fault: 'malformed_json' },
  { fault: 'html' },
  { fault: 'redirect' },
  { fault: 'garbage' },
  { fault: 'reset_after' },
  { fault: 'rate_limited' },
];

test('no piece of a token is in any answer, whatever is asked and whatever goes wrong', async () => {
  const gateway = await startGateway(simulator, {
    env: { LOGIN_LIMIT_ACCOUNT: 'off', LOGIN_LIMIT_ADDRESS: 'off' },
  });
  let text = '';
  for (const fault of FAULTS) {
    const browser = gateway.browser();
    const login = await browser.login();
    expect(login.status).toBe(200);
    text += JSON.stringify(login.headers) + login.text;
    const active = fault && simulator.addFault(fault);
    text += await everything(gateway, browser);
    active?.remove();
    text += (await browser.fetch('/bff/logout', { method: 'POST' })).text;
  }
  const tokens = tokensSeen(simulator);
  expect(tokens.length).toBeGreaterThan(15);
  expect(text.length).toBeGreaterThan(50_000);
  expect(leakIn(`${text}${tokens[0]?.slice(30, 60)}`, tokens)).toBeDefined(); // it would be found
  expect(leakIn(text, tokens)).toBeUndefined();
  for (const part of tokens.flatMap((token) => token.split('.')))
    expect(text.includes(part) && part.length > PIECE).toBe(false);
}, 60_000);

describe('the answers of Finvera’s login and refresh', () => {
  test.each(['cookies', 'json', 'both'] as const)(
    'are never passed: with tokens in %s the browser gets its own words only',
    async (tokenIn) => {
      simulator.configure({ tokenIn });
      const gateway = await startGateway(simulator);
      const browser = gateway.browser();
      for (const path of ['/bff/login', '/kms/api/v1/auth/token', '/api/v1/auth/token']) {
        const reply = await browser.fetch(path, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' }),
        });
        expect([path, reply.status, reply.setCookies.length]).toEqual([path, 200, 1]);
        expect(reply.setCookies[0]).toMatch(/^__Host-finvera_session=/);
        expect(reply.text).not.toMatch(/"(?:access_|refresh_|id_)?token"\s*:/);
      }
      const reply = await browser.fetch('/api/v1/auth/refresh', { method: 'POST' });
      expect([reply.status, reply.setCookies, Object.keys(JSON.parse(reply.text)).sort()]).toEqual([
        200,
        [],
        ['expires_in', 'message'],
      ]);
      expect(leakIn(JSON.stringify(reply.headers) + reply.text, tokensSeen(simulator))).toBeUndefined();
    },
  );
});

test('the management listener and the log know no piece of a token', async () => {
  const gateway = await startGateway(simulator);
  const browser = gateway.browser();
  await browser.login();
  await everything(gateway, browser);
  const tokens = tokensSeen(simulator);
  expect(leakIn((await gateway.metrics()) + gateway.logText(), tokens)).toBeUndefined();
});
