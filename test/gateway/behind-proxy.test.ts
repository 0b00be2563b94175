// The examples of deploy/nginx and deploy/caddy as the real programs: a frontend's files and the gateway in production
// mode behind one TLS proxy, and the walk every user takes through it.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { type CallOptions, call, json } from '../support/http-client.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { PROXIES, type ReverseProxy, SITE, startReverseProxy } from '../support/reverse-proxy.ts';
import {
  closeGateways,
  createTestClock,
  startGateway,
  type TestClock,
  type TestGateway,
} from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const ORIGIN = `https://${SITE}`;
/** Not the proxy's own, which is 127.0.0.1. */
const CLIENT = '127.0.0.2';

// A busy machine takes seconds to start a process.
jest.setTimeout(60_000);

let redis: TestRedis;
let simulator: Simulator;
let clock: TestClock;
let gateway: TestGateway;
let proxy: ReverseProxy;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());

/** Settings as the head of the example says, in production mode. */
async function startScene(program: (typeof PROXIES)[number]): Promise<void> {
  clock = createTestClock();
  simulator = await createSimulator({ now: clock.now });
  gateway = await startInstance(clock);
  proxy = await startReverseProxy(program, gateway.port);
}

const KEYS = `k1:${randomBytes(32).toString('base64url')}`;

function startInstance(time?: TestClock): Promise<TestGateway> {
  return startGateway(simulator, {
    ...(time ? { clock: time } : {}),
    env: {
      NODE_ENV: 'production',
      PUBLIC_URL: ORIGIN,
      TRUST_PROXY: '127.0.0.1',
      HOST: '127.0.0.1',
      REDIS_URL: redis.url,
      SESSION_KEYS: KEYS,
      FINVERA_STREAM_URL: simulator.url.replace('http', 'ws'),
    },
  });
}

/** A page at the site: its cookie, its origin, its address. */
function openPage() {
  let cookie = '';
  return {
    cookie: () => cookie,
    async fetch(path: string, options: CallOptions = {}) {
      const reply = await proxy.call(path, {
        localAddress: CLIENT,
        ...options,
        headers: {
          'Sec-Fetch-Site': 'same-origin',
          Origin: ORIGIN,
          ...(cookie ? { Cookie: cookie } : {}),
          ...options.headers,
        },
      });
      for (const line of reply.setCookies) cookie = line.split(';')[0] ?? '';
      return reply;
    },
    login(headers: Readonly<Record<string, string>> = {}) {
      const body = JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' });
      return this.fetch('/bff/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body,
      });
    },
  };
}

async function openStream(cookie: string, origin = ORIGIN): Promise<WebSocket> {
  const tls = { ca: proxy.ca, servername: SITE };
  const socket = new WebSocket(`wss://127.0.0.1:${proxy.httpsPort}/stream`, {
    ...tls,
    headers: { Host: SITE, Origin: origin, Cookie: cookie },
  });
  await once(socket, 'open');
  return socket;
}

/** An answer that is still to come; its head is there. */
async function begin(path: string, cookie: string): Promise<IncomingMessage> {
  const sent = request({
    host: '127.0.0.1',
    port: proxy.httpsPort,
    path,
    ca: proxy.ca,
    servername: SITE,
    headers: { Host: SITE, Cookie: cookie, 'Sec-Fetch-Site': 'same-origin' },
    agent: false,
  });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return response;
}

describe.each(PROXIES)('behind $name', (program) => {
  beforeEach(() => startScene(program));
  afterEach(async () => {
    await proxy.close();
    await closeGateways();
    await simulator.close();
    await redis.client.flushall();
  });

  test('a user gets the page, logs in, calls Finvera before and after its token ran out, sees the own address and logs out', async () => {
    const page = openPage();
    for (const path of ['/', '/client-side/route']) expect((await page.fetch(path)).text).toContain('The page');
    expect((await page.fetch(EVENT)).status).toBe(401);

    const login = await page.login({ 'X-Forwarded-For': '203.0.113.7', 'X-Real-IP': '203.0.113.7' });
    expect([login.status, json(login).user.username]).toEqual([200, 'demo']);
    expect(login.setCookies).toEqual([
      expect.stringMatching(/^__Host-finvera_session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=/),
    ]);
    const answer = await page.fetch(EVENT);
    expect([answer.status, json(answer).event_id]).toEqual([200, 'evt-0001']);
    expect(answer.headers['x-request-id']).toEqual(expect.any(String));
    clock.advance(3_601_000);
    const late = await Promise.all([EVENT, EVENT, EVENT].map((path) => page.fetch(path)));
    expect(late.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(simulator.counters().refresh.received).toBe(1);

    const { sessions } = json(await page.fetch('/bff/sessions'));
    expect(sessions).toEqual([expect.objectContaining({ current: true, ip: CLIENT })]);
    expect(gateway.auditLines()).toContainEqual(expect.objectContaining({ event: 'login_accepted', ip: CLIENT }));

    const cookie = page.cookie();
    const logout = await page.fetch('/bff/logout', { method: 'POST' });
    expect([logout.status, logout.setCookies]).toEqual([204, [expect.stringContaining('Max-Age=0')]]);
    const after = await page.fetch(EVENT, { headers: { Cookie: cookie } });
    expect([after.status, json(after).code]).toEqual([401, 'session_expired']);
  });

  test('a stream carries messages both ways and ends with its session', async () => {
    const page = openPage();
    await page.login();
    const socket = await openStream(page.cookie());
    const messages: unknown[] = [];
    socket.on('message', (data) => messages.push(JSON.parse(String(data))));
    const closed = once(socket, 'close');
    socket.send('{"action":"echo","message":"test"}');
    await until('the echo', () => messages.length > 0);
    expect(messages).toContainEqual({ action: 'echo', message: 'test' });
    await page.fetch('/bff/logout', { method: 'POST' });
    expect((await closed)[0]).toBe(4401);
    await expect(openStream(page.cookie())).rejects.toThrow('401');
  });

  test('a foreign page opens no stream and sends nothing', async () => {
    const page = openPage();
    await page.login();
    await expect(openStream(page.cookie(), 'https://evil.example')).rejects.toThrow('403');
    const foreign = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' };
    const answer = await page.fetch('/bff/logout', { method: 'POST', headers: foreign });
    expect([answer.status, json(answer).code]).toEqual([403, 'origin_forbidden']);
  });

  test('a page hears at once that its session was renewed, and that it ended', async () => {
    const page = openPage();
    await page.login();
    const events = await begin('/bff/events', page.cookie());
    expect([events.statusCode, events.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    let text = '';
    events.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const ended = once(events, 'end');
    expect((await page.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    await until('the event of the refresh', () => text.includes('"type":"refreshed"'));
    await page.fetch('/bff/logout', { method: 'POST' });
    await until('the event of the end', () => text.includes('"type":"ended"'));
    await ended;
  });

  test('an answer arrives as it comes, not when it is whole', async () => {
    const page = openPage();
    await page.login();
    const response = await begin('/delivery/api/v1/__slow?ms=3000&bytes=20&chunks=2', page.cookie());
    const [first] = await once(response, 'data');
    const firstAt = performance.now();
    expect(first).toHaveLength(10);
    await once(response.resume(), 'end');
    expect(performance.now() - firstAt).toBeGreaterThan(500);
  });

  test('a body of five megabytes passes whole', async () => {
    const page = openPage();
    await page.login();
    const body = Buffer.alloc(5_000_000, 'x');
    const headers = { 'Content-Type': 'application/octet-stream' };
    const answer = await page.fetch('/delivery/api/v1/__echo', { method: 'POST', headers, body });
    expect([answer.status, json(answer).bodyBytes]).toEqual([200, body.length]);
  });

  test('neither metrics nor plain http are served', async () => {
    expect((await proxy.call('/metrics')).text).not.toContain('finvera_gateway');
    const plain = await call(`http://127.0.0.1:${proxy.httpPort}${EVENT}`, { headers: { Host: SITE } });
    expect([plain.status, plain.headers.location]).toEqual([308, `${ORIGIN}${EVENT}`]);
  });

  test('a gateway that is away is 502 for its paths, and the page stays', async () => {
    await closeGateways();
    const page = openPage();
    expect((await page.fetch('/')).status).toBe(200);
    expect([502, 503]).toContain((await page.fetch(EVENT)).status);
  });
});

test('nginx sends a session’s requests to one of two instances, and to the other where that one is away', async () => {
  const [nginx] = PROXIES;
  if (!nginx) throw new Error('nginx is the first of them');
  simulator = await createSimulator();
  gateway = await startInstance();
  const second = await startInstance();
  proxy = await startReverseProxy(nginx, gateway.port, second.port);
  try {
    const served = ({ logLines }: TestGateway) => logLines().filter(({ route }) => route === '/delivery').length;
    const pages = Array.from({ length: 12 }, openPage);
    for (const page of pages) {
      await page.login();
      const before = [served(gateway), served(second)];
      for (let i = 0; i < 4; i += 1) expect((await page.fetch(EVENT)).status).toBe(200);
      await until('the lines of four requests', () => served(gateway) + served(second) === sum(before) + 4);
      expect([0, 4]).toContain(served(gateway) - (before[0] ?? 0));
    }
    // With twelve sessions both have some, save once in two thousand times.
    expect(Math.min(served(gateway), served(second))).toBeGreaterThan(0);
    await second.close();
    for (const page of pages) expect((await page.fetch(EVENT)).status).toBe(200);
  } finally {
    await proxy.close();
    await closeGateways();
    await simulator.close();
  }
});

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
