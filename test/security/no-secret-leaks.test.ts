// Whole scenarios at the most talkative level; then every byte that left the gateway, save for where it must go, is searched for every secret and for 20 characters of any of them (ASVS 14.2.1, 16.2.5; RFC 10017 §6.1).
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { runCommand } from '../../src/cli/run-command.ts';
import type { Settings } from '../../src/config/settings.ts';
import { sessionKey } from '../../src/redis/redis-keys.ts';
import { hashSessionId, isSessionId } from '../../src/session/session-id.ts';
import { createTokenSeal } from '../../src/session/token-seal.ts';
import { closeEventClients, openEvents } from '../support/event-client.ts';
import type { CallOptions, Reply } from '../support/http-client.ts';
import { exchangeRaw, rawRequest } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { tokensSeen } from '../support/secrets.ts';
import { closeStreamClients, openStream, refusedStream, startStreamUpstream } from '../support/stream-client.ts';
import { streamSettings } from '../support/stream-settings.ts';
import {
  type Browser,
  closeGateways,
  createTestClock,
  startGateway,
  type TestClock,
  type TestGateway,
} from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const PIECE = 20;

const PASSWORD = `right-${randomBytes(16).toString('hex')}`;
const WRONG_PASSWORD = `wrong-${randomBytes(16).toString('hex')}`;
const API_KEY = `api-${randomBytes(16).toString('hex')}`;
const SESSION_KEY = randomBytes(32).toString('base64url');
const REDIS_PASSWORD = `redis${randomBytes(16).toString('hex')}`;
const CLIENT_BEARER = `client-${randomBytes(16).toString('hex')}`;
const USER = { email: 'canary@finvera.test', password: PASSWORD };

let redis: TestRedis;
let simulator: Simulator | undefined;

beforeAll(async () => {
  redis = await startRedis({ password: REDIS_PASSWORD });
});
afterEach(async () => {
  await closeGateways();
  await simulator?.close();
});
afterAll(() => redis.close());

/** All 20-character pieces of the secrets. */
function piecesOf(secrets: readonly string[]): Set<string> {
  const pieces = new Set<string>();
  for (const secret of secrets) {
    for (let i = 0; i + PIECE <= secret.length; i += 1) pieces.add(secret.slice(i, i + PIECE));
  }
  return pieces;
}

/** What of the text is a piece of a secret, in its surroundings. */
function leaksIn(text: string, pieces: ReadonlySet<string>): string[] {
  const leaks: string[] = [];
  for (let i = 0; i + PIECE <= text.length && leaks.length < 3; i += 1) {
    if (pieces.has(text.slice(i, i + PIECE))) {
      leaks.push(text.slice(Math.max(0, i - 60), i + 60));
      i += 500;
    }
  }
  return leaks;
}

interface Stage {
  readonly gateway: TestGateway;
  readonly simulator: Simulator;
  readonly clock: TestClock;
  /** A browser whose answers are kept. */
  browser(): Browser;
  /** Everything that browsers were answered, but for a session's own `Set-Cookie`. */
  answers(): string;
  readonly cookies: Set<string>;
  /** Tokens the store holds now, opened with the cookies known so far. */
  collectTokens(): Promise<void>;
  secrets(): string[];
}

async function setStage(
  finvera: Simulator,
  clock: TestClock,
  env: Record<string, string> = {},
  settings: Partial<Settings> = {},
): Promise<Stage> {
  const gateway = await startGateway(finvera, {
    clock,
    env: {
      REDIS_URL: redis.url,
      SESSION_KEYS: `k1:${SESSION_KEY}`,
      FINVERA_API_KEY: API_KEY,
      LOGIN_LIMIT_ADDRESS: '200/15m',
      ...env,
    },
    settings: {
      routes: [
        { path: '/delivery', methods: ['GET', 'POST'], credential: 'session', apiKeyIn: 'bearer' },
        { path: '/search', methods: ['GET'], credential: 'api-key', apiKeyIn: 'query' },
        { path: '/search/api', methods: ['GET'], credential: 'api-key', apiKeyIn: 'bearer' },
      ],
      ...settings,
    },
  });
  const seal = createTokenSeal(gateway.settings.sessionKeys);
  const [kept, cookies, tokens]: [string[], Set<string>, Set<string>] = [[], new Set(), new Set()];
  const keep = ({ status, headers, setCookies, body }: Reply) => {
    const lines = setCookies.map((line) => line.replace(/^(__Host-finvera_session=)[\w-]{43};/, '$1;'));
    kept.push(`${status} ${JSON.stringify({ ...headers, 'set-cookie': lines })}\n${body.toString('latin1')}`);
  };
  return {
    gateway,
    simulator: finvera,
    clock,
    answers: () => kept.join('\n'),
    cookies,
    browser() {
      const browser = gateway.browser();
      const { fetch } = browser;
      browser.fetch = async (path: string, options?: CallOptions) => {
        const reply = await fetch(path, options).catch((error: unknown) => void kept.push(inspect(error)));
        if (reply) keep(reply);
        if (browser.cookie) cookies.add(browser.cookie.split('=')[1] ?? '');
        return reply as Reply;
      };
      browser.login = (email = USER.email, password = PASSWORD) =>
        browser.fetch('/bff/login', {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ email, password }),
        });
      return browser;
    },
    async collectTokens() {
      for (const id of [...cookies].filter(isSessionId)) {
        const found = await redis.client.hget(sessionKey(hashSessionId(id)), 's');
        const opened = found ? await seal.open(id, found) : undefined;
        if (opened?.kind !== 'opened') continue;
        tokens.add(opened.contents.tokens.access.reveal());
        tokens.add(opened.contents.tokens.refresh?.reveal() ?? '');
      }
    },
    secrets: () => [
      ...tokens,
      ...tokensSeen(finvera),
      ...cookies,
      PASSWORD,
      WRONG_PASSWORD,
      API_KEY,
      SESSION_KEY,
      REDIS_PASSWORD,
      CLIENT_BEARER,
    ],
  };
}

async function expectNoLeak(stage: Stage): Promise<void> {
  await stage.collectTokens();
  const { gateway } = stage;
  const secrets = stage.secrets().filter((secret) => secret !== '');
  // Nothing would be found either if nothing was searched for.
  expect(secrets.filter((secret) => secret.length >= PIECE).length).toBeGreaterThan(8);
  const pieces = piecesOf(secrets);
  const places = {
    answers: stage.answers(),
    log: gateway.logText(),
    audit: gateway.auditText(),
    metrics: await gateway.metrics(),
    store: await redis.dump(),
    settings: inspect(gateway.settings, { depth: 9, showHidden: true }) + JSON.stringify(gateway.settings),
  };
  for (const [place, text] of Object.entries(places)) {
    expect(text.length).toBeGreaterThan(100);
    expect({ place, leaks: leaksIn(text, pieces) }).toEqual({ place, leaks: [] });
  }
}

const begin = async (
  options: Parameters<typeof createSimulator>[0] = {},
  env: Record<string, string> = {},
  settings: Partial<Settings> = {},
) => {
  await redis.client.flushall();
  const clock = createTestClock();
  simulator = await createSimulator({ now: clock.now, users: [USER], apiKey: API_KEY, ...options });
  return await setStage(simulator, clock, env, settings);
};

const HOUR_AND_MORE = 3_700_000;

test('finds a secret where there is one', () => {
  const pieces = piecesOf([PASSWORD]);
  expect(leaksIn(`{"error":"${PASSWORD.slice(3, 3 + PIECE)}"}`, pieces)).toHaveLength(1);
  expect(leaksIn(`{"error":"${PASSWORD.slice(3, 3 + PIECE - 1)}"}`, pieces)).toEqual([]);
});

describe.each([
  { tokenIn: 'cookies', tokenFormat: 'jwt', rotation: true },
  { tokenIn: 'json', tokenFormat: 'jwt', rotation: false },
  { tokenIn: 'both', tokenFormat: 'opaque', rotation: true, repeatRefreshToken: true },
] as const)('with tokens in $tokenIn ($tokenFormat)', (options) => {
  test('a whole life of a session tells no secret', async () => {
    const stage = await begin(options);
    const browser = stage.browser();
    expect((await browser.login(USER.email, WRONG_PASSWORD)).status).toBe(401);
    expect((await browser.login()).status).toBe(200);
    await stage.collectTokens();
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect((await browser.fetch(EVENT, { headers: { Authorization: `Bearer ${CLIENT_BEARER}` } })).status).toBe(200);
    for (const path of [
      '/search/x?q=1',
      '/search/api/v1/x',
      '/delivery/none',
      '/bff/session',
      '/bff/sessions',
      '/none',
    ]) {
      await browser.fetch(path);
    }
    expect((await browser.fetch('/kms/api/v1/auth/validate')).status).toBe(200);
    expect((await browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    await stage.collectTokens();
    stage.clock.advance(HOUR_AND_MORE);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect((await browser.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
    expect((await browser.fetch(EVENT)).status).toBe(401);
    await browser.login();
    stage.simulator.revoke('refresh');
    stage.clock.advance(HOUR_AND_MORE);
    expect((await browser.fetch(EVENT)).status).toBe(401);
    await browser.login();
    await browser.fetch('/bff/sessions', { method: 'DELETE' });
    await expectNoLeak(stage);
  });
});

/** For the faults that end with a time-out only: nothing else should meet one. */
const SHORT_PATIENCE = { FINVERA_AUTH_TIMEOUT: '1s', FINVERA_HEADERS_TIMEOUT: '1s', FINVERA_BODY_TIMEOUT: '1s' };

const FAULTS: readonly FaultSpec[] = [
  { fault: 'status', status: 500 },
  { fault: 'status', status: 401, body: '{"error":{"code":401}}' },
  { fault: 'unauthorized', times: 1 },
  { fault: 'rate_limited', retryAfter: 1 },
  { fault: 'malformed_json' },
  { fault: 'html' },
  { fault: 'empty' },
  { fault: 'no_tokens' },
  { fault: 'half_body' },
  { fault: 'stall_body' },
  { fault: 'garbage' },
  { fault: 'redirect' },
  { fault: 'reset_before' },
  { fault: 'reset_after' },
  { fault: 'hang' },
  { fault: 'headers', headers: { 'Set-Cookie': ['DT_OTHER=x'], 'X-Powered-By': 'x' } },
];

test.each(FAULTS)(
  'a Finvera with the fault $fault tells no secret, wherever it strikes',
  async (spec) => {
    const waits = spec.fault === 'hang' || spec.fault === 'stall_body';
    const stage = await begin({}, waits ? SHORT_PATIENCE : {});
    const browser = stage.browser();
    // On a busy machine a login may take longer than the short patience.
    await until('a session', async () => (await browser.login()).status === 200, 20_000);
    await stage.collectTokens();
    for (const call of ['token', 'validate', 'data', 'refresh'] as const) {
      // A breaker that opened at one call would spare the next.
      const fault = stage.simulator.addFault({ ...spec, match: { call } });
      if (call === 'token' || call === 'validate') await stage.browser().login();
      if (call === 'refresh') {
        await browser.fetch('/bff/refresh', { method: 'POST' });
        stage.clock.advance(HOUR_AND_MORE);
      }
      for (const path of [EVENT, '/search/x?q=1', '/kms/api/v1/auth/validate']) await browser.fetch(path);
      fault.remove();
      await stage.collectTokens();
    }
    await expectNoLeak(stage);
  },
  60_000,
);

/** Everything that a page is told on its streams and events, until both are over. */
async function listenToTheEnd({ gateway }: Stage, browser: Browser): Promise<string> {
  const events = await openEvents(gateway.url, browser.cookie);
  const target = { url: gateway.url, cookie: browser.cookie, protocols: ['v1'], query: '?apikey=mine&symbol=A' };
  const stream = await openStream(target);
  stream.socket.send('{"action":"subscribe","symbol":"AAPL"}');
  await until('an answer', () => stream.messages.length > 0);
  for (const cookie of [undefined, `${browser.cookie}x`]) await refusedStream({ ...target, cookie });
  await refusedStream({
    ...target,
    headers: { Origin: 'https://evil.test', Authorization: `Bearer ${CLIENT_BEARER}` },
  });
  await browser.fetch('/bff/refresh', { method: 'POST' });
  await until('the refresh', () => events.events.length > 0);
  await browser.fetch('/bff/logout', { method: 'POST' });
  await until('the end of the events', () => events.ended() !== undefined, 10_000);
  expect(await stream.code()).toBe(4401);
  return [JSON.stringify(events.response.headers), events.text(), ...stream.messages, stream.closed()?.reason].join();
}

test.each(['tunnel', 'hub'] as const)(
  'streams (%s), events and shared answers tell no secret, and none is in what Redis keeps of them',
  async (mode) => {
    const upstream = await startStreamUpstream({ protocol: 'v1', echo: mode === 'tunnel' });
    try {
      const streams = streamSettings({ mode, credential: mode === 'hub' ? 'api-key' : 'session' });
      const cache = { ttl: 60_000, staleWhileRevalidate: 60_000, staleIfError: 60_000 };
      const shared = [
        { path: '/delivery', methods: ['GET'], credential: 'session', cache: { ...cache, scope: 'user' } },
        { path: '/search', methods: ['GET'], credential: 'api-key', cache: { ...cache, scope: 'tier' } },
      ] as const;
      const routes = shared.map((route) => ({ ...route, apiKeyIn: 'query' as const }));
      const stage = await begin({}, {}, { streams, finveraStreamUrl: upstream.url, routes });
      const browser = stage.browser();
      await browser.login();
      await stage.collectTokens();
      for (let i = 0; i < 2; i += 1)
        for (const path of [EVENT, '/search/api/v1/x?q=1', '/delivery/none']) await browser.fetch(path);
      expect(await stage.gateway.metrics()).toMatch(/cache_requests_total\{route="\/delivery",outcome="hit"\} 1/);
      const told = listenToTheEnd(stage, browser);
      if (mode === 'hub') {
        // An upstream that complains of the key, repeats it, and lets nobody in any more.
        const { socket } = await upstream.next();
        socket.send(
          JSON.stringify({ error: { code: 401, details: `bad key ${API_KEY} (${encodeURIComponent(API_KEY)})` } }),
        );
        await until('the complaint', () => stage.gateway.logText().includes('hub_upstream_error'));
        socket.close(1008, API_KEY);
      }
      const heard = await told;
      await stage.collectTokens();
      expect(leaksIn(heard, piecesOf(stage.secrets().filter((secret) => secret !== '')))).toEqual([]);
      await expectNoLeak(stage);
    } finally {
      closeStreamClients();
      closeEventClients();
      await upstream.close();
    }
  },
  60_000,
);

test('attacks tell no secret: bad cookies, foreign origins, bad bodies, guesses', async () => {
  const stage = await begin({}, { LOGIN_LIMIT_ACCOUNT: '4/15m' });
  const browser = stage.browser();
  await browser.login();
  const id = browser.cookie?.split('=')[1] ?? '';
  const name = '__Host-finvera_session';
  const stranger = stage.browser();
  for (const Cookie of [`${name}=${id}x`, `${name}=${id}; ${name}=${'A'.repeat(43)}`, `${name.toUpperCase()}=${id}`]) {
    await stranger.fetch(EVENT, { headers: { Cookie } });
  }
  await stranger.fetch(EVENT, { headers: { Authorization: `Bearer ${id}`, 'X-Session-Id': id } });
  await stranger.fetch(`${EVENT}?session=${id}`);
  await browser.fetch(EVENT, { headers: { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.test' } });
  const body = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
  await stranger.fetch('/bff/login', { ...body, body: `{"email":"x","password":"${PASSWORD}"` });
  await stranger.fetch('/bff/login', { ...body, body: `{"email":"x","password":["${PASSWORD}"]}` });
  await stranger.fetch('/bff/login', { ...body, body: `{"email":"${PASSWORD}","password":"x"}` });
  await stranger.fetch('/bff/login', { ...body, body: JSON.stringify({ ...USER, filler: PASSWORD.repeat(300) }) });
  await stranger.fetch('/bff/login', { method: 'POST', body: `email=x&password=${PASSWORD}` });
  for (let i = 0; i < 5; i += 1) await stranger.login(USER.email, WRONG_PASSWORD);
  for (const lines of [
    [`Cookie: ${name}=${id}`, 'Bad Header: x'],
    [`Cookie: ${name}=${id}`, 'Host: other'],
  ]) {
    expect(await exchangeRaw(stage.gateway.port, rawRequest('GET', EVENT, lines))).not.toContain(id);
  }
  await expectNoLeak(stage);
});

test('a Redis that goes away, refuses or forgets tells no secret', async () => {
  const stage = await begin();
  const browser = stage.browser();
  await browser.login();
  await stage.collectTokens();
  await redis.stop();
  await until('the store is missed', async () => (await browser.fetch(EVENT)).status === 503, 20_000);
  await browser.login();
  await browser.fetch('/bff/logout', { method: 'POST' });
  await browser.fetch('/health');
  await redis.restart();
  await until('the store is back', async () => (await browser.fetch(EVENT)).status === 401, 20_000);
  await until('logins are back', async () => (await browser.login()).status === 200, 20_000);
  await redis.client.config('SET', 'requirepass', `${REDIS_PASSWORD}-other`);
  await redis.client.config('SET', 'requirepass', REDIS_PASSWORD);
  await expectNoLeak(stage);
}, 60_000);

test('the operator’s commands tell no secret, whatever is wrong with the settings', async () => {
  const env = {
    FINVERA_API_KEY: API_KEY,
    SESSION_KEYS: `k1:${SESSION_KEY}`,
    REDIS_URL: `redis://user:${REDIS_PASSWORD}@127.0.0.1:1`,
  };
  const broken = { ...env, SESSION_KEYS: SESSION_KEY, REDIS_URL: `http://user:${REDIS_PASSWORD}@x`, PORT: API_KEY };
  const told: string[] = [];
  const output = { write: (text: string) => told.push(text) };
  for (const flag of ['--check-config', '--print-config']) {
    for (const variables of [env, broken]) {
      await runCommand([flag], { env: variables, stdout: output, stderr: output });
    }
  }
  await runCommand(['audit', 'verify', '/none'], { env: broken, stdout: output, stderr: output });
  await runCommand([API_KEY, `--key=${SESSION_KEY}`], { stdout: output, stderr: output });
  expect(told.join('').length).toBeGreaterThan(1_000);
  expect(leaksIn(told.join(''), piecesOf([API_KEY, SESSION_KEY, REDIS_PASSWORD]))).toEqual([]);
});
