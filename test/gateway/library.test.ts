// The gateway mounted in an Express application that had been there before it.
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import express, { type ErrorRequestHandler, type Express } from 'express';
import { WebSocket } from 'ws';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { createGateway, type EmbeddedGateway, type GatewaySettings, SettingsError } from '../../src/library.ts';
import { ensureBuilt } from '../support/built-gateway.ts';
import { call, json } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw } from '../support/raw-http.ts';
import { createBrowser } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

jest.setTimeout(90_000);

const EVENT = '/delivery/api/v1/events/evt-0001';
const within = 10_000;

let simulator: Simulator;
let gateway: EmbeddedGateway;
let server: Server | undefined;
let log: string;
const errors: string[] = [];

beforeEach(async () => {
  simulator = await createSimulator();
  errors.length = 0;
  log = '';
});
afterEach(async () => {
  const ended = new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server?.closeAllConnections();
  await gateway?.close(500);
  await ended;
  server = undefined;
  await simulator.close();
});

function create(settings: GatewaySettings = {}): EmbeddedGateway {
  const logDestination = new Writable({
    write(chunk, _encoding, done) {
      log += String(chunk);
      done();
    },
  });
  gateway = createGateway({ finveraUrl: simulator.url, cookieSecure: false, ...settings }, { logDestination });
  return gateway;
}

/** The application's own parts: a page, a call with a body, and a place where its errors end. */
function addOwn(app: Express): Express {
  app.use(express.json());
  app.get('/', (_req, res) => void res.send('own page'));
  app.post('/orders', (req, res) => void res.status(201).json({ received: req.body }));
  const onError: ErrorRequestHandler = (error: Error, _req, res, _next) => {
    errors.push(error.message);
    res.status(500).send('own error');
  };
  app.use(onError);
  return app;
}

async function serve(app: Express): Promise<string> {
  server = createServer(app);
  gateway.hardenServer(server);
  server.on('upgrade', (req, socket, head) => {
    if (!gateway.upgrade(req, socket, head)) socket.end('HTTP/1.1 426 Own\r\nConnection: close\r\n\r\n');
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function mount(settings?: GatewaySettings): Promise<string> {
  const { handler } = create(settings);
  return serve(addOwn(express().use(handler)));
}

describe('a gateway in an application', () => {
  test('does its work, and leaves the rest to the application', async () => {
    const browser = createBrowser(await mount());
    expect((await browser.login()).status).toBe(200);
    expect(json(await browser.fetch(EVENT))).toMatchObject({ event_id: 'evt-0001' });
    expect((await browser.fetch('/')).text).toBe('own page');
    const order = await browser.fetch('/orders', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"symbol":"AAPL"}',
    });
    expect([order.status, json(order)]).toEqual([201, { received: { symbol: 'AAPL' } }]);
    expect((await browser.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
    expectProblem(await browser.fetch('/bff/nothing'), 404, 'not_found');
    expect((await browser.fetch('/health/ready')).status).toBe(200);
  });

  test('opens streams, and leaves other upgrades to the application', async () => {
    const url = await mount();
    const browser = createBrowser(url);
    await browser.login();
    const headers = { Cookie: browser.cookie ?? '', Origin: url };
    const stream = new WebSocket(`${url.replace('http', 'ws')}/stream`, { headers });
    const messages: string[] = [];
    stream.on('message', (data) => messages.push(String(data)));
    await new Promise((resolve, reject) => stream.once('open', resolve).once('error', reject));
    stream.send('{"action":"ping"}');
    await until('answered', () => messages.length > 0, within);
    await gateway.close(500);
    expect(stream.readyState).not.toBe(WebSocket.OPEN);
    const own = new WebSocket(`${url.replace('http', 'ws')}/own`, { headers });
    const status = await new Promise((resolve) =>
      own.once('unexpected-response', (_req, res) => resolve(res.statusCode)).once('error', () => undefined),
    );
    expect(status).toBe(426);
  });

  test('says so where a body was read before it came', async () => {
    const { handler } = create();
    const url = await serve(addOwn(express().use(express.json()).use(handler)));
    const reply = await createBrowser(url).login();
    expect([reply.status, reply.text]).toEqual([500, 'own error']);
    expect(errors).toEqual([
      'finvera-gateway: POST /bff/login: its body has been read before: mount the gateway before express.json() and whatever else reads bodies',
    ]);
    expect(simulator.requests()).toEqual([]);
    expect((await createBrowser(url).fetch('/bff/session')).status).toBe(401);
  });

  test('says so where it is not mounted at the root', async () => {
    const { handler } = create();
    const url = await serve(addOwn(express().use('/api', handler)));
    await createBrowser(url).fetch('/api/bff/session');
    expect((await createBrowser(url).fetch('/bff/session')).status).toBe(404);
    expect(errors).toEqual([]);
    const wrong = await serveBelow('/bff');
    await createBrowser(wrong).fetch('/bff/session');
    expect(errors).toEqual(['finvera-gateway: GET /bff/session: mount the gateway at the root, not below /bff']);
  });

  async function serveBelow(path: string): Promise<string> {
    server?.close();
    return serve(addOwn(express().use(path, gateway.handler)));
  }

  test('tells its metrics to a listener of the application', async () => {
    await mount();
    const management = createServer(gateway.management);
    await new Promise<void>((resolve) => management.listen(0, '127.0.0.1', resolve));
    const reply = await call(`http://127.0.0.1:${(management.address() as AddressInfo).port}/metrics`);
    management.close();
    expect(reply.text).toContain('# HELP');
  });

  test('serves without an application too', async () => {
    server = createServer(create().handler);
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const browser = createBrowser(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect((await browser.login()).status).toBe(200);
    expectProblem(await browser.fetch('/nothing'), 404, 'not_found');
  });

  test('goes not ready when it is told to', async () => {
    const url = await mount();
    gateway.beginDrain();
    expect((await call(`${url}/health/ready`)).status).toBe(503);
  });
});

describe('a hardened server', () => {
  test('answers what it cannot parse as the gateway does, once', async () => {
    const url = await mount();
    if (server) gateway.hardenServer(server);
    const text = await exchangeRaw(Number(new URL(url).port), 'GET / HTTP/1.1\r\nBad Header: x\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(text).toContain('"invalid_request"');
    expect(server?.requestTimeout).toBe(0);
  });

  test.each([
    ['/orders', 'HTTP/1.1 100 Continue', '201'],
    ['/bff/logout', '', '204'],
  ])('treats Expect on %s as its owner does', async (path, first, status) => {
    const url = await mount();
    const text = await exchangeRaw(
      Number(new URL(url).port),
      `POST ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    expect(text.startsWith(first)).toBe(true);
    expect(text).toContain(`HTTP/1.1 ${status}`);
  });

  test('refuses an expectation that nobody knows', async () => {
    const url = await mount();
    for (const path of ['/orders', '/bff/logout']) {
      const text = await exchangeRaw(
        Number(new URL(url).port),
        `POST ${path} HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      );
      expect(text).toMatch(/^HTTP\/1\.1 417 /);
    }
  });
});

describe('settings given by a program', () => {
  test('are checked all at once, and no secret is repeated', () => {
    const settings = { sessionKeys: 'k1:secretsecret', sessionIdleTimeout: 'soon', colour: 'red' } as GatewaySettings;
    const problems = thrownBy(() => create(settings));
    expect(problems.problems).toHaveLength(3);
    expect(problems.message).toContain('colour');
    expect(problems.message).toContain('SESSION_IDLE_TIMEOUT');
    expect(problems.message).not.toContain('secretsecret');
  });

  test('may be secrets, numbers, lists and routes, and win over the defaults', async () => {
    const key = Buffer.alloc(32, 1).toString('base64url');
    const url = await mount({
      sessionKeys: `k1:${key}`,
      sessionMaxPerUser: 1,
      allowedOrigins: ['http://localhost:9'],
      routes: [{ path: '/search', credential: 'session' }],
      redisUrl: undefined as never,
    });
    const browser = createBrowser(url);
    await browser.login();
    expect((await browser.fetch('/search/api/v1/securities?search=AAPL')).status).toBe(200);
    expect((await browser.fetch(EVENT)).status).toBe(404);
    const reply = await browser.fetch('/bff/session', { headers: { Origin: 'http://localhost:9' } });
    expect(reply.headers['access-control-allow-origin']).toBe('http://localhost:9');
  });

  test('are not looked for in the environment', async () => {
    process.env.SESSION_MAX_PER_USER = 'nonsense';
    try {
      expect((await createBrowser(await mount()).login()).status).toBe(200);
    } finally {
      Reflect.deleteProperty(process.env, 'SESSION_MAX_PER_USER');
    }
  });

  test('that are only doubtful are told in the log', async () => {
    await mount();
    expect(log).toContain('"event":"settings"');
  });
});

function thrownBy(work: () => unknown): SettingsError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return error as SettingsError;
  }
  throw new Error('nothing was thrown');
}

test('the example serves its own page and the gateway, and ends on SIGTERM', async () => {
  ensureBuilt();
  const child: ChildProcess = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../examples/embedded/server.ts', import.meta.url))],
    {
      env: { ...process.env, PORT: '0', FINVERA_URL: simulator.url },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += String(chunk);
  });
  await until('started', () => /http:\S+\//.test(output), within);
  const browser = createBrowser(/http:\S+(?=\/)/.exec(output)?.[0] ?? '');
  expect((await browser.fetch('/')).text).toContain('Orders');
  expect((await browser.login()).status).toBe(200);
  expect(json(await browser.fetch(EVENT))).toMatchObject({ event_id: 'evt-0001' });
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});
