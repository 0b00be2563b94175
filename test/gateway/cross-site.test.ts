// Where a request may come from, on every kind of path that is the gateway's; and what CORS tells whom.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { call, json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';

const OWN = 'https://app.example.com';
const ALLOWED = 'https://admin.example.com';
const EVENT = '/delivery/api/v1/events/evt-0001';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

const start = (env: Record<string, string> = {}): Promise<TestGateway> =>
  startGateway(simulator, { env: { PUBLIC_URL: OWN, ALLOWED_ORIGINS: ALLOWED, ...env } });

async function cookieOf(gateway: TestGateway): Promise<string> {
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  return browser.cookie ?? '';
}

/** One request on each kind of path; the unsafe ones leave the session alone. */
const SAFE = ['/bff/session', '/bff/sessions', EVENT, '/kms/api/v1/auth/validate', '/bff/client.js'].map(
  (path) => ['GET', path] as const,
);
const UNSAFE = [
  ['POST', '/bff/refresh'],
  ['DELETE', '/bff/sessions?except=current'],
  ['POST', '/delivery/api/v1/__echo'],
  ['PUT', '/search/api/v1/__echo'],
  ['POST', '/api/v1/auth/refresh'],
] as const;

type Headers = Readonly<Record<string, string>>;
const site = (value: string, more: Headers = {}): Headers => ({ 'Sec-Fetch-Site': value, ...more });
const origin = (value: string, more: Headers = {}): Headers => ({ Origin: value, ...more });
const CSRF: Headers = { 'X-CSRF': '1' };

type Row = readonly [name: string, headers: Headers, safePasses: boolean, unsafePasses: boolean];

const MATRIX: readonly Row[] = [
  ['same-origin', site('same-origin'), true, true],
  ['same-origin with the gateway’s Origin', site('same-origin', origin(OWN)), true, true],
  ['same-origin through a dev server', site('same-origin', origin('http://localhost:5173')), true, true],
  ['typed into the address bar', site('none'), true, false],
  ['typed into the address bar, with X-CSRF', site('none', CSRF), true, false],
  ['same-site without Origin', site('same-site'), false, false],
  ['same-site without Origin, with X-CSRF', site('same-site', CSRF), false, false],
  ['same-site from an allowed origin', site('same-site', origin(ALLOWED)), true, true],
  ['same-site from another origin', site('same-site', origin('https://other.example.com')), false, false],
  ['same-site from the gateway’s own Origin', site('same-site', origin(OWN)), false, false],
  ['cross-site without Origin', site('cross-site'), false, false],
  ['cross-site from an allowed origin', site('cross-site', origin(ALLOWED)), true, true],
  ['cross-site from another origin', site('cross-site', origin('https://evil.test')), false, false],
  ['cross-site from another origin, with X-CSRF', site('cross-site', origin('https://evil.test', CSRF)), false, false],
  ['cross-site from a sandbox', site('cross-site', origin('null')), false, false],
  ['an old browser: the gateway’s Origin', origin(OWN), true, true],
  ['an old browser: an allowed origin', origin(ALLOWED), true, true],
  ['an old browser: another origin', origin('https://evil.test'), false, false],
  ['an old browser: another origin, with X-CSRF', origin('https://evil.test', CSRF), false, false],
  ['an old browser: a sandbox', origin('null'), false, false],
  ['an old browser: another scheme', origin('http://app.example.com'), false, false],
  ['an old browser: another port', origin('https://app.example.com:8443'), false, false],
  ['an old browser: a longer host', origin('https://app.example.com.evil.test'), false, false],
  ['an old browser: a host that ends alike', origin('https://evil-app.example.com'), false, false],
  ['an old browser: an allowed origin with a path', origin(`${ALLOWED}/x`), false, false],
  ['no browser', {}, true, false],
  ['no browser, with X-CSRF', CSRF, true, true],
  ['no browser, with another X-CSRF', { 'X-CSRF': '0' }, true, false],
];

describe.each(MATRIX)('%s', (_name, headers, safePasses, unsafePasses) => {
  test.each([
    ['safe', SAFE, safePasses],
    ['unsafe', UNSAFE, unsafePasses],
  ] as const)('with a session: %s methods', async (_kind, calls, passes) => {
    const gateway = await start();
    const cookie = await cookieOf(gateway);
    for (const [method, path] of calls) {
      const asked = simulator.requests().length;
      const reply = await call(gateway.url + path, { method, headers: { Cookie: cookie, ...headers } });
      if (passes) {
        expect([path, reply.status < 300]).toEqual([path, true]);
        continue;
      }
      expectProblem(reply, 403, 'origin_forbidden');
      expect(reply.setCookies).toEqual([]);
      expect(simulator.requests()).toHaveLength(asked);
    }
    const refused = passes ? '' : ` ${calls.length}`;
    expect(
      (await gateway.metrics()).match(/^finvera_gateway_guard_refusals_total\{guard="cross_site"\}( \d+)$/m)?.[1] ?? '',
    ).toBe(refused);
  });
});

describe('who is no browser and has no session', () => {
  test('may log in, by either path, and log out', async () => {
    const gateway = await start();
    const body = JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' });
    for (const path of ['/bff/login', '/api/v1/auth/token', '/kms/api/v1/auth/token']) {
      const reply = await call(gateway.url + path, {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json' },
      });
      expect([path, reply.status]).toEqual([path, 200]);
    }
    expect((await call(`${gateway.url}/bff/logout`, { method: 'POST' })).status).toBe(204);
  });

  test('may not from a foreign page: no login is forged', async () => {
    const gateway = await start();
    const body = JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' });
    for (const headers of [
      site('cross-site', origin('https://evil.test')),
      origin('https://evil.test'),
      site('none'),
    ]) {
      const reply = await call(`${gateway.url}/bff/login`, {
        method: 'POST',
        body,
        headers: { 'Content-Type': 'application/json', ...headers },
      });
      expectProblem(reply, 403, 'origin_forbidden');
      expect(reply.setCookies).toEqual([]);
    }
    expect(simulator.requests()).toEqual([]);
  });
});

describe('the gateway’s own origin', () => {
  const logout = (gateway: TestGateway, headers: Headers) =>
    call(`${gateway.url}/bff/logout`, { method: 'POST', headers });

  test('is PUBLIC_URL, not the Host', async () => {
    const gateway = await start();
    expectProblem(await logout(gateway, origin(gateway.url)), 403, 'origin_forbidden');
    expectProblem(
      await logout(gateway, origin(OWN.replace('app', 'evil'), { Host: 'evil.example.com' })),
      403,
      'origin_forbidden',
    );
    expect((await logout(gateway, origin(OWN))).status).toBe(204);
  });

  test('is the Host where PUBLIC_URL is not set', async () => {
    const gateway = await startGateway(simulator);
    expect((await logout(gateway, origin(gateway.url))).status).toBe(204);
    expect((await logout(gateway, origin('http://my.test:81', { Host: 'my.test:81' }))).status).toBe(204);
    expectProblem(await logout(gateway, origin(`http://127.0.0.1:${gateway.port + 1}`)), 403, 'origin_forbidden');
    expectProblem(await logout(gateway, origin('http://127.0.0.1')), 403, 'origin_forbidden');
    expectProblem(await logout(gateway, origin('null')), 403, 'origin_forbidden');
  });

  test('is what a trusted proxy says of the Host, and nobody else', async () => {
    const headers = origin('https://app.example.org', {
      'X-Forwarded-Host': 'app.example.org',
      'X-Forwarded-Proto': 'https',
    });
    const trusting = await startGateway(simulator, { env: { TRUST_PROXY: '127.0.0.1' } });
    expect((await logout(trusting, headers)).status).toBe(204);
    const other = await startGateway(simulator);
    expectProblem(await logout(other, headers), 403, 'origin_forbidden');
  });
});

describe('CORS', () => {
  const cors = ({ headers }: Reply) => ({
    origin: headers['access-control-allow-origin'],
    credentials: headers['access-control-allow-credentials'],
  });
  const GRANTED = { origin: ALLOWED, credentials: 'true' };
  const DENIED = { origin: undefined, credentials: undefined };

  test('names an allowed origin exactly, with credentials, also on errors', async () => {
    const gateway = await start();
    const cookie = await cookieOf(gateway);
    const headers = { Cookie: cookie, ...site('same-site', origin(ALLOWED)) };
    simulator.addFault({ fault: 'status', status: 500, match: { path: '/search' } });
    for (const [path, status] of [
      ['/bff/session', 200],
      [EVENT, 200],
      ['/search/api/v1/securities', 500],
      ['/bff/nothing', 404],
      ['/bff/logout', 405],
      ['/kms/api/v1/auth/token', 405],
    ] as const) {
      const reply = await call(gateway.url + path, { headers });
      expect([path, reply.status, cors(reply)]).toEqual([path, status, GRANTED]);
      expect(String(reply.headers.vary)).toMatch(/\bOrigin\b/i);
    }
    const without = await call(gateway.url + EVENT, { headers: site('same-site', origin(ALLOWED)) });
    expectProblem(without, 401, 'session_required');
    expect(cors(without)).toEqual(GRANTED);
    const login = await call(`${gateway.url}/bff/login`, {
      method: 'POST',
      body: '{}',
      headers: { 'Content-Type': 'application/json', ...site('same-site', origin(ALLOWED)) },
    });
    expectProblem(login, 400, 'invalid_request');
    expect(cors(login)).toEqual(GRANTED);
  });

  test.each([OWN, 'https://evil.test', 'null', 'https://admin.example.com.evil.test', 'http://admin.example.com'])(
    'tells %s nothing',
    async (other) => {
      const gateway = await start();
      const cookie = await cookieOf(gateway);
      for (const headers of [origin(other), site('same-origin', origin(other)), site('cross-site', origin(other))]) {
        for (const path of ['/bff/session', EVENT]) {
          const reply = await call(gateway.url + path, { headers: { Cookie: cookie, ...headers } });
          expect(cors(reply)).toEqual(DENIED);
          expect(String(reply.headers.vary)).toMatch(/\bOrigin\b/i);
        }
      }
    },
  );

  test('answers a preflight of an allowed origin itself', async () => {
    const gateway = await start();
    for (const path of [EVENT, '/bff/login', '/bff/sessions/abc', '/api/v1/auth/token']) {
      const reply = await call(gateway.url + path, {
        method: 'OPTIONS',
        headers: {
          ...site('same-site', origin(ALLOWED)),
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'content-type, x-csrf',
        },
      });
      expect([path, reply.status, cors(reply)]).toEqual([path, 204, GRANTED]);
      expect(String(reply.headers['access-control-allow-methods']).split(', ')).toEqual(
        expect.arrayContaining(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
      );
      expect(reply.headers['access-control-allow-headers']).toBe('content-type, x-csrf');
    }
    expect(simulator.requests()).toEqual([]);
  });

  test('refuses a preflight of any other', async () => {
    const gateway = await start();
    for (const headers of [
      site('cross-site', origin('https://evil.test')),
      origin('https://evil.test'),
      origin('null'),
    ]) {
      const reply = await call(gateway.url + EVENT, {
        method: 'OPTIONS',
        headers: { ...headers, 'Access-Control-Request-Method': 'POST' },
      });
      expectProblem(reply, 403, 'origin_forbidden');
      expect(cors(reply)).toEqual(DENIED);
    }
    expect(simulator.requests()).toEqual([]);
  });
});

test('pages of the frontend, and health, are reached from anywhere', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'finvera-frontend-'));
  try {
    writeFileSync(join(folder, 'index.html'), '<p>hello</p>');
    const gateway = await start({ FRONTEND: folder });
    for (const headers of [site('cross-site'), site('cross-site', origin('https://evil.test')), site('none'), {}]) {
      const page = await call(gateway.url, { headers });
      expect([page.status, page.text]).toEqual([200, '<p>hello</p>']);
      expect(json(await call(`${gateway.url}/health/live`, { headers })).status).toBe('ok');
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
