// The browser client against a real gateway, with a page's fetch around Node's.
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../../simulator/simulator.ts';
import {
  createGatewayClient,
  type GatewayClient,
  GatewayError,
  type ServerErrorCode,
} from '../../../src/client/client.ts';
import type { ErrorKind } from '../../../src/kernel/errors.ts';
import { call } from '../../support/http-client.ts';
import { installPage } from '../../support/page-globals.ts';
import { closeGateways, startGateway, type TestGateway } from '../../support/test-gateway.ts';
import { until } from '../../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';

let simulator: Simulator;
let gateway: TestGateway;
let page: ReturnType<typeof installPage>;
const clients: GatewayClient[] = [];

beforeEach(async () => {
  simulator = await createSimulator();
  gateway = await startGateway(simulator, { env: { COOKIE_SECURE: 'false' } });
  page = installPage(gateway.url);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  page.remove();
  await closeGateways();
  await simulator.close();
});

function openTab(options?: Parameters<typeof createGatewayClient>[0]): GatewayClient {
  const client = createGatewayClient(options);
  clients.push(client);
  return client;
}

async function errorOf(work: Promise<unknown>): Promise<GatewayError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GatewayError);
  return error as GatewayError;
}

const demo = (client: GatewayClient) => client.login('demo@finvera.test', 'demo-password');

describe('a login', () => {
  test('tells who is there and is known to session', async () => {
    const client = openTab();
    expect(await client.session()).toBeUndefined();
    const answer = await demo(client);
    expect(answer.user).toMatchObject({ email: 'demo@finvera.test', licensing_tier_id: 'enterprise' });
    expect(answer.session.expires_in).toBeGreaterThan(1_000);
    expect(await client.session()).toMatchObject({ user: answer.user });
  });

  test('with the wrong password is login_rejected, with the request id of the log', async () => {
    const error = await errorOf(openTab().login('demo@finvera.test', 'wrong'));
    expect(error).toMatchObject({ code: 'login_rejected', status: 401, name: 'GatewayError' });
    expect(error.message).toBe('Email or password is not right.');
    expect(gateway.logText()).toContain(error.requestId);
  });

  test('says which setting to look at where the browser keeps no cookie', async () => {
    page.jar.accepts = false;
    const error = await errorOf(demo(openTab()));
    expect(error.code).toBe('cookie_refused');
    expect(error.message).toContain('COOKIE_SECURE=false');
  });

  test.each([
    ['', 'x'],
    ['demo@finvera.test', ''],
    ['demo@finvera.test', undefined as never],
  ])('with %j and %j sends nothing', async (email, password) => {
    const error = await errorOf(openTab().login(email, password));
    expect(error).toMatchObject({ code: 'invalid_use', status: 0, message: 'login needs an email and a password.' });
    expect(page.sent).toEqual([]);
  });

  test('while finvera is slow down tells when to come again', async () => {
    simulator.addFault({ fault: 'rate_limited', retryAfter: 7, match: { call: 'token' } });
    expect(await errorOf(demo(openTab()))).toMatchObject({ code: 'rate_limited', status: 429, retryAfter: 7 });
  });
});

describe('fetch', () => {
  test('answers as the global one does, errors of finvera included', async () => {
    const client = openTab();
    await demo(client);
    const found = await client.fetch(EVENT);
    expect(await found.json()).toMatchObject({ event_id: 'evt-0001' });
    const missing = await client.fetch('/delivery/api/v1/events/none');
    expect([missing.status, await missing.json()]).toMatchObject([404, { error: { code: 404 } }]);
  });

  test('takes paths, addresses of the gateway and requests, and relative ones as the page does', async () => {
    const client = openTab();
    await demo(client);
    const own = gateway.url + EVENT;
    for (const input of [EVENT, own, new URL(own), new Request(own), `..${EVENT}`]) {
      expect((await client.fetch(input)).status).toBe(200);
    }
  });

  test('keeps method, body and headers of a request', async () => {
    const client = openTab();
    await demo(client);
    const body = JSON.stringify({ a: 1 });
    await client.fetch(new Request(gateway.url + EVENT, { method: 'POST', body, headers: { 'X-Mine': 'yes' } }));
    const sent = page.sent.at(-1);
    expect([sent?.method, sent?.headers.get('X-Mine'), sent?.headers.get('X-CSRF'), sent?.credentials]).toEqual([
      'POST',
      'yes',
      '1',
      'include',
    ]);
    expect(simulator.requests('data').at(-1)).toMatchObject({ method: 'POST' });
    expect(await sent?.text()).toBe(body);
  });

  test.each([
    'https://api.finvera.news/delivery/api/v1/events/evt-0001',
    '//evil.test/delivery',
    'http://127.0.0.1:1/delivery',
    'data:text/plain,x',
    'http://[/',
  ])('refuses %s and sends nothing', async (address) => {
    expect(await errorOf(openTab().fetch(address))).toMatchObject({ code: 'invalid_use', status: 0 });
    expect(page.sent).toEqual([]);
  });

  test('without a session is session_required and with a dead one session_expired', async () => {
    const client = openTab();
    expect(await errorOf(client.fetch(EVENT))).toMatchObject({ code: 'session_required', status: 401 });
    page.jar.cookies.set('finvera_session', 'A'.repeat(43));
    expect(await errorOf(client.fetch(EVENT))).toMatchObject({ code: 'session_expired', status: 401 });
  });

  test('tells a gateway that cannot be reached from one that refuses', async () => {
    const client = openTab({ baseUrl: 'http://127.0.0.1:1' });
    const error = await errorOf(client.fetch(EVENT));
    expect(error).toMatchObject({ code: 'network_error', status: 0, requestId: undefined });
    expect(error.cause).toMatchObject({ name: 'TypeError' });
  });

  test('leaves the abort of its caller as it is', async () => {
    const client = openTab();
    await demo(client);
    simulator.addFault({ fault: 'hang', match: { call: 'data' } });
    const aborting = new AbortController();
    const work = client.fetch(EVENT, { signal: aborting.signal });
    await simulator.waitForRequests('data', 1);
    aborting.abort();
    await expect(work).rejects.toMatchObject({ name: 'AbortError' });
  });
});

test('a HEAD that the gateway refuses is an answer without a body, as with the global fetch', async () => {
  const { status } = await openTab().fetch(EVENT, { method: 'HEAD' });
  expect(status).toBe(401);
});

describe('the end of a session', () => {
  test('by logout is known to the other tab, and done where there was no session', async () => {
    const [first, second] = [openTab(), openTab()];
    const heard: string[] = [];
    second.on('signedIn', ({ user }) => heard.push(user.username));
    second.on('signedOut', (reason) => heard.push(reason));
    await demo(first);
    await until('the other tab knows', () => heard.includes('demo'));
    await first.logout();
    await until('the other tab knows', () => heard.includes('logout'));
    expect(heard).toEqual(['demo', 'logout']);
    await first.logout();
    expect(await second.session()).toBeUndefined();
  });

  test('that a call finds out is told once', async () => {
    const client = openTab();
    const reasons: string[] = [];
    client.on('signedOut', (reason) => reasons.push(reason));
    await demo(client);
    const elsewhere = gateway.browser();
    await elsewhere.login();
    await elsewhere.fetch('/bff/sessions?except=current', { method: 'DELETE' });
    await Promise.all([errorOf(client.fetch(EVENT)), errorOf(client.fetch(EVENT)), errorOf(client.sessions())]);
    expect(reasons).toEqual(['session_expired']);
  });

  test('is no news where nobody had been logged in', async () => {
    const client = openTab();
    const reasons: string[] = [];
    client.on('signedOut', (reason) => reasons.push(reason));
    expect(await client.session()).toBeUndefined();
    expect(reasons).toEqual([]);
  });

  test('on another device is asked for by its id, here by its own', async () => {
    const client = openTab();
    await demo(client);
    await gateway.browser().login();
    const listed = await client.sessions();
    expect(listed.map(({ current }) => current).sort()).toEqual([false, true]);
    await client.endSession(listed.find(({ current }) => !current)?.id ?? '');
    const [own] = await client.sessions();
    const reasons: string[] = [];
    client.on('signedOut', (reason) => reasons.push(reason));
    await client.endSession(own?.id ?? '');
    expect(reasons).toEqual(['ended_by_user']);
    expect(await errorOf(client.endSession(''))).toMatchObject({ code: 'invalid_use' });
  });
});

describe('a listener', () => {
  test('for what never happens, and one that is none, is refused at once', () => {
    const client = openTab();
    const sentence = 'on needs a function and one of signedIn, signedOut, refreshed, expiring.';
    expect(() => client.on('signedUp' as never, () => undefined)).toThrow(sentence);
    expect(() => client.on('signedOut', undefined as never)).toThrow(GatewayError);
  });
});

test.each(['not a url', 'https://api.example.com/path', 'https://api.example.com/?q', 'ftp://api.example.com'])(
  'a base address like %s is refused at once',
  (baseUrl) => expect(() => createGatewayClient({ baseUrl })).toThrow(/baseUrl must be an origin/),
);

test('the module that browsers load is at most 4 KB, needs nothing and tells ES2022 browsers nothing new', async () => {
  const { text, headers } = await call(`${gateway.url}/bff/client.js`);
  expect(gzipSync(text, { level: 9 }).length).toBeLessThanOrEqual(4_096);
  expect(text).not.toMatch(/\bimport\b/);
  expect(headers['cache-control']).toBe('no-cache');
});

test('every code of the gateway is typed, and no other', () => {
  // What one side lacks does not compile.
  const isComplete: Same<
    Exclude<ErrorKind, 'upstream_refused' | 'draining' | 'not_kept'> | 'unavailable',
    ServerErrorCode
  > = true;
  expect(isComplete).toBe(true);
});

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
