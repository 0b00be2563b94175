// The description of the endpoints against the endpoints: every operation is driven, and every answer checked against it.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ajv2020, type AnySchemaObject } from 'ajv/dist/2020.js';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { closeEventClients, openEvents } from '../support/event-client.ts';
import { type CallOptions, call, json, type Reply } from '../support/http-client.ts';
import { freePort } from '../support/redis-server.ts';
import { closeStreamClients, openStream, refusedStream, type StreamTarget } from '../support/stream-client.ts';
import { type Browser, closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

interface Described {
  readonly operationId: string;
  readonly security?: unknown;
  readonly requestBody?: unknown;
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Record<string, { readonly schema: AnySchemaObject }> }
    >
  >;
}

/** Statuses that a test cannot wait for, or must not be able to cause. */
const NOT_DRIVEN = new Set(['500', '408']);

let simulator: Simulator;
let gateway: TestGateway;
let storeless: TestGateway;
let document: AnySchemaObject & { readonly paths: Record<string, Record<string, Described>> };
let ajv: Ajv2020;
/** `operationId status` of every answer that was seen and fitted. */
const seen = new Set<string>();

const FAST = { FINVERA_AUTH_TIMEOUT: '400ms', FINVERA_HEADERS_TIMEOUT: '400ms', COOKIE_SECURE: 'false' };

beforeAll(async () => {
  simulator = await createSimulator();
  gateway = await startGateway(simulator, {
    env: { ...FAST, LOGIN_LIMIT_ACCOUNT: '3/15m', LOGIN_LIMIT_ADDRESS: 'off' },
  });
  storeless = await startGateway(simulator, { env: { ...FAST, REDIS_URL: `redis://127.0.0.1:${await freePort()}` } });
  document = json(await gateway.browser().fetch('/bff/openapi.json'));
  ajv = new Ajv2020({
    strict: true,
    allErrors: true,
    formats: { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ },
  });
  ajv.addVocabulary(['openapi', 'info', 'components', 'paths']);
  ajv.addSchema(document, 'document');
});
afterAll(async () => {
  await closeGateways();
  await simulator?.close();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({ path, method: method.toUpperCase(), described })),
  );
/** Without the one that is no request and answer: it is driven by itself. */
const plain = () => operations().filter(({ path }) => path !== '/stream');
const pathOf = (path: string, id = 'none') => path.replace('{id}', id);
const LOGIN = JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' });
const JSON_TYPE = { 'Content-Type': 'application/json' };
const inputOf = ({ requestBody }: Described, body = LOGIN): CallOptions =>
  requestBody ? { headers: JSON_TYPE, body } : {};

/** Fails unless the description knows the answer. */
function expectDescribed({ operationId, responses }: Described, reply: Reply): void {
  const response = responses[reply.status] ?? responses.default;
  expect({ operationId, status: reply.status, known: response !== undefined }).toMatchObject({ known: true });
  const type = String(reply.headers['content-type'] ?? '').split(';')[0] ?? '';
  if (reply.status === 204) expect([reply.text, response?.content]).toEqual(['', undefined]);
  else if (responses[reply.status] !== undefined) {
    const schema = response?.content?.[type]?.schema;
    expect({ operationId, status: reply.status, type, schema }).toMatchObject({ schema: expect.anything() });
    const body: unknown = ['text/javascript', 'text/event-stream'].includes(type) ? reply.text : JSON.parse(reply.text);
    // The reference to the problem's schema is one into the document.
    const whole = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/'));
    const isValid = ajv.validate(whole, body);
    expect({ operationId, errors: isValid ? [] : ajv.errors }).toEqual({ operationId, errors: [] });
  }
  seen.add(`${operationId} ${reply.status}`);
}

/** Sends the same to every operation that a filter lets through. */
async function driveAll(
  filter: (described: Described) => boolean,
  send: (path: string, method: string, described: Described) => Promise<Reply>,
  status: number | ((described: Described) => number),
): Promise<void> {
  for (const { path, method, described } of plain().filter((operation) => filter(operation.described))) {
    const reply = await send(pathOf(path), method, described);
    const wanted = typeof status === 'number' ? status : status(described);
    expect({ operation: described.operationId, status: reply.status, text: reply.text }).toMatchObject({
      status: wanted,
    });
    expectDescribed(described, reply);
  }
}

const needsSession = (described: Described) => described.security !== undefined;
const isLogin = ({ requestBody }: Described) => requestBody !== undefined;
const all = () => true;
const isGuarded = ({ operationId }: Described) => !['live', 'ready', 'health'].includes(operationId);

/** Events last as long as their session. */
async function endOnceListening(browser: Browser): Promise<void> {
  await until('listening', async () => (await gateway.metrics()).includes('open_streams{kind="events"} 1'));
  await browser.fetch('/bff/logout', { method: 'POST' });
}

describe('the description', () => {
  test('is OpenAPI 3.1 and names each call once', () => {
    expect(document.openapi).toBe('3.1.0');
    const ids = operations().map(({ described }) => described.operationId);
    expect(ids.length).toBeGreaterThan(15);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('has what every call answers when it succeeds', async () => {
    for (const { path, method, described } of plain()) {
      const browser = gateway.browser();
      if (needsSession(described)) await browser.login();
      const [own] = path.includes('{id}') ? json(await browser.fetch('/bff/sessions')).sessions : [];
      const answer = browser.fetch(pathOf(path, own?.id), { method, ...inputOf(described) });
      if (described.operationId === 'events') await endOnceListening(browser);
      const reply = await answer;
      expect({ path, status: reply.status }).toEqual({
        path,
        status: method === 'POST' || method === 'GET' ? expect.any(Number) : 204,
      });
      expect(reply.status).toBeLessThan(300);
      expectDescribed(described, reply);
    }
  });

  test('has what is answered without a session and with a dead one', async () => {
    for (const cookie of [undefined, `finvera_session=${'A'.repeat(43)}`]) {
      const browser = gateway.browser();
      await driveAll(
        needsSession,
        (path, method) => {
          browser.cookie = cookie;
          return browser.fetch(path, { method });
        },
        401,
      );
    }
  });

  test('has what another site is answered', async () => {
    const headers = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.test' };
    await driveAll(isGuarded, (path, method) => call(gateway.url + path, { method, headers }), 403);
  });

  test('has what a wrong method, a bad target and one that is too long are answered', async () => {
    await driveAll(all, (path) => gateway.browser().fetch(path, { method: 'PATCH' }), 405);
    await driveAll(all, (path, method) => gateway.browser().fetch(path, { method, headers: { Host: 'a@b' } }), 400);
    await driveAll(all, (path, method) => gateway.browser().fetch(`${path}?x=${'x'.repeat(17_000)}`, { method }), 414);
    const headers = { 'X-Long': 'x'.repeat(17_000) };
    await driveAll(all, (path, method) => gateway.browser().fetch(path, { method, headers }), 431);
  });

  test('has what is answered while the store is away', async () => {
    const cookie = `finvera_session=${'A'.repeat(43)}`;
    const usesStore = (described: Described) =>
      needsSession(described) || isLogin(described) || described.operationId === 'logout';
    await driveAll(
      usesStore,
      (path, method, described) => {
        const browser = storeless.browser();
        browser.cookie = cookie;
        return browser.fetch(path, { method, ...inputOf(described) });
      },
      503,
    );
    const health = ({ operationId }: Described) => operationId === 'ready' || operationId === 'health';
    await driveAll(health, (path) => storeless.browser().fetch(path), 503);
  });

  test('has what a session is answered that does not exist', async () => {
    const browser = gateway.browser();
    await browser.login();
    const { delete: end } = document.paths['/bff/sessions/{id}'] ?? {};
    expectDescribed(end as Described, await browser.fetch('/bff/sessions/none', { method: 'DELETE' }));
    expect(seen).toContain('endSession 404');
  });

  test('has what one listener too many is answered', async () => {
    const browser = gateway.browser();
    await browser.login();
    const { maxPerSession } = gateway.settings.streams;
    await Promise.all(Array.from({ length: maxPerSession }, () => openEvents(gateway.url, browser.cookie)));
    const { get } = document.paths['/bff/events'] ?? {};
    expectDescribed(get as Described, await browser.fetch('/bff/events'));
    closeEventClients();
    expect(seen).toContain('events 429');
  });

  test('has what comes of a stream: that it opens, and every refusal', async () => {
    const described = document.paths['/stream']?.get as Described;
    const expectRefused = async (target: Partial<StreamTarget>, status: number) => {
      const refusal = await refusedStream({ url: gateway.url, cookie, ...target });
      expect([refusal.status, refusal.body]).toEqual([status, expect.any(String)]);
      expectDescribed(described, { ...refusal, text: refusal.body, body: Buffer.from(refusal.body), setCookies: [] });
    };
    const browser = gateway.browser();
    await browser.login();
    const { cookie } = browser;
    const dead = `finvera_session=${'A'.repeat(43)}`;
    await expectRefused({ cookie: undefined }, 401);
    await expectRefused({ cookie: dead }, 401);
    await expectRefused({ headers: { Origin: 'https://evil.test' } }, 403);
    await expectRefused({ query: `?x=${'x'.repeat(17_000)}` }, 414);
    await expectRefused({ headers: { 'X-Long': 'x'.repeat(17_000) } }, 431);
    await expectRefused({ url: storeless.url, cookie: dead }, 503);
    for (const [options, status] of [
      [{}, 426],
      [{ method: 'PATCH' }, 405],
      [{ headers: { Host: 'a@b' } }, 400],
    ] as const) {
      const reply = await browser.fetch('/stream', { headers: { Origin: gateway.url }, ...options });
      expect([reply.status, reply.text]).toEqual([status, expect.any(String)]);
      expectDescribed(described, reply);
    }
    const { maxPerSession } = gateway.settings.streams;
    await Promise.all(Array.from({ length: maxPerSession }, () => openStream({ url: gateway.url, cookie })));
    expect(described.responses[101]).toMatchObject({ description: expect.stringContaining('4401') });
    seen.add('stream 101');
    await expectRefused({}, 429);
    closeStreamClients();
  });

  test('has every refusal of a login', async () => {
    const login = (options: CallOptions) => (path: string) =>
      gateway.browser().fetch(path, { method: 'POST', ...options });
    const as = (email: string, password: string) =>
      login({ headers: JSON_TYPE, body: JSON.stringify({ email, password }) });
    const good = login({ headers: JSON_TYPE, body: LOGIN });
    await driveAll(isLogin, login({ headers: JSON_TYPE, body: '{}' }), 400);
    await driveAll(isLogin, login({ headers: { 'Content-Type': 'text/plain' }, body: LOGIN }), 415);
    await driveAll(isLogin, login({ headers: JSON_TYPE, body: `"${'x'.repeat(9_000)}"` }), 413);
    await driveAll(isLogin, (path) => as(`someone${path.length}@finvera.test`, 'wrong')(path), 401);
    for (let i = 0; i < 3; i += 1) await as('guessed@finvera.test', 'wrong')('/bff/login');
    await driveAll(isLogin, as('guessed@finvera.test', 'wrong'), 429);
    for (const [fault, status] of [
      ['rate_limited', 429],
      ['no_tokens', 502],
      ['hang', 504],
    ] as const) {
      const active = simulator.addFault({ fault, match: { call: 'token' } });
      await driveAll(isLogin, good, status);
      active.remove();
    }
  });

  test('has what comes where Finvera fails a renewal or a validation', async () => {
    const browser = gateway.browser();
    for (const { path, method, described } of operations().filter(({ described }) =>
      /^(refresh|finveraRefresh)/.test(described.operationId),
    )) {
      await browser.login();
      simulator.addFault({ fault: 'status', status: 500, match: { call: 'refresh' } });
      simulator.revoke('access');
      simulator.advanceClock(1);
      const reply = await browser.fetch(path, { method });
      expect(reply.status).toBe(503);
      expectDescribed(described, reply);
      simulator.clearFaults();
    }
    const isForwarded = ({ responses }: Described) => responses.default !== undefined;
    for (const [fault, status] of [
      ['garbage', 502],
      ['hang', 504],
      ['status', 503],
    ] as const) {
      const forwarding = gateway.browser();
      await forwarding.login();
      const active = simulator.addFault({ fault, match: { call: 'validate' } });
      for (const { path, described } of operations().filter(({ described }) => isForwarded(described))) {
        const reply = await forwarding.fetch(path);
        expect({ fault, status: reply.status }).toEqual({ fault, status });
        if (fault !== 'status') expectDescribed(described, reply);
      }
      active.remove();
    }
  });

  test('promises no status that was not seen here', () => {
    const promised = operations().flatMap(({ described: { operationId, responses } }) =>
      Object.keys(responses)
        .filter((status) => status !== 'default' && !NOT_DRIVEN.has(status))
        .filter((status) => !(status === '403' && /^(live|ready|health)$/.test(operationId)))
        .map((status) => `${operationId} ${status}`),
    );
    expect(promised.filter((each) => !seen.has(each))).toEqual([]);
  });
});

describe('the page about the endpoints', () => {
  test('shows every operation, with a policy that lets nothing in but its own style', async () => {
    const page = await gateway.browser().fetch('/bff/docs');
    expect(page.status).toBe(200);
    for (const { path, described } of operations()) {
      expect(page.text).toContain(`<code>${path}</code>`);
      expect(page.text).toContain(String(Object.keys(described.responses)[0]));
    }
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none';style-src 'sha256-[^']+';/);
    expect(page.text).not.toMatch(/<script|style="|src=/);
  });

  test('is not there in production', async () => {
    const production = await startGateway(simulator, { settings: { production: true } });
    const page = await production.browser().fetch('/bff/docs');
    expect([page.status, json(page).code]).toEqual([404, 'not_found']);
  });
});
