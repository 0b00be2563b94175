// The web frontend beside the API: a folder, or a server behind the gateway. No credential gets there.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { call, json } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw, openRaw, rawRequest, rawStatus } from '../support/raw-http.ts';
import { freePort } from '../support/redis-server.ts';
import { type Browser, closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const HTML = { Accept: 'text/html,application/xhtml+xml' };

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

async function loggedIn(gateway: TestGateway): Promise<Browser> {
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  return browser;
}

describe('a folder', () => {
  let outside: string;
  let gateway: TestGateway;

  beforeEach(async () => {
    outside = mkdtempSync(join(tmpdir(), 'finvera-frontend-'));
    const folder = join(outside, 'public');
    mkdirSync(join(folder, 'assets'), { recursive: true });
    mkdirSync(join(folder, '.git'));
    writeFileSync(join(outside, 'secret.txt'), 'outside of the folder');
    writeFileSync(join(folder, 'index.html'), '<h1>index</h1>');
    writeFileSync(join(folder, 'about.html'), '<h1>about</h1>');
    writeFileSync(join(folder, 'assets', 'app.3f9a1c7e.js'), 'export {};');
    writeFileSync(join(folder, 'assets', 'app-B4kQz_9x.css'), 'p{}');
    writeFileSync(join(folder, '.env'), 'SECRET=1');
    writeFileSync(join(folder, '.git', 'config'), '[core]');
    gateway = await startGateway(simulator, { env: { FRONTEND: folder } });
  });
  afterEach(() => rmSync(outside, { recursive: true }));

  test('is served, index.html also for the paths of its own router', async () => {
    for (const path of ['/', '/index.html', '/dashboard', '/dashboard/42?tab=a']) {
      const reply = await call(gateway.url + path, { headers: HTML });
      expect([path, reply.status, reply.text]).toEqual([path, 200, '<h1>index</h1>']);
      expect(reply.headers['content-type']).toMatch(/^text\/html/);
      expect(reply.headers['cache-control']).toBe('no-cache');
      expect(reply.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect((await call(`${gateway.url}/about.html`)).text).toBe('<h1>about</h1>');
    const head = await call(gateway.url, { method: 'HEAD' });
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', '14']);
  });

  test('may be kept for a year where the name holds a hash, else asked for again', async () => {
    for (const path of ['/assets/app.3f9a1c7e.js', '/assets/app-B4kQz_9x.css']) {
      const reply = await call(gateway.url + path);
      expect(reply.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    }
    const page = await call(`${gateway.url}/about.html`);
    expect(page.headers['cache-control']).toBe('no-cache');
    const again = await call(`${gateway.url}/about.html`, { headers: { 'If-None-Match': String(page.headers.etag) } });
    expect(again.status).toBe(304);
  });

  test('has nothing at files that are missing, and takes only GET and HEAD', async () => {
    expectProblem(await call(`${gateway.url}/assets/missing.js`, { headers: HTML }), 404, 'not_found');
    expectProblem(await call(`${gateway.url}/dashboard`), 404, 'not_found');
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expectProblem(await call(gateway.url, { method, headers: HTML }), 404, 'not_found');
    }
  });

  test.each([
    '/.env',
    '/.git/config',
    '/%2eenv',
    '/assets/../.env',
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e%2fsecret.txt',
    '/..%5csecret.txt',
    '/..\\secret.txt',
    '/%252e%252e/secret.txt',
    '//../secret.txt',
    '/assets/..;/..;/secret.txt',
    '/secret.txt%00.html',
  ])('does not serve %s', async (target) => {
    const answer = await exchangeRaw(gateway.port, rawRequest('GET', target));
    expect([400, 404]).toContain(rawStatus(answer));
    expect(answer).not.toMatch(/SECRET=1|\[core\]|outside of the folder/);
  });

  test('does not hide the gateway’s own paths', async () => {
    const browser = await loggedIn(gateway);
    expect(json(await browser.fetch(EVENT, { headers: HTML })).event_id).toBe('evt-0001');
    for (const path of ['/bff', '/bff/nothing', '/bff/session/']) {
      expectProblem(await browser.fetch(path, { headers: HTML }), 404, 'not_found');
    }
    expectProblem(await call(`${gateway.url}${EVENT}`, { headers: HTML }), 401, 'session_required');
    expect((await call(`${gateway.url}/metrics`)).status).toBe(404);
  });
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

describe('a server', () => {
  let frontend: Server;
  let sockets: WebSocketServer;
  let seen: Seen[];
  let gateway: TestGateway;
  let browser: Browser;

  beforeEach(async () => {
    seen = [];
    frontend = createServer((request, response) => {
      const { method = '', url = '', headers, rawHeaders } = request;
      let body = '';
      request.on('data', (chunk) => {
        body += String(chunk);
      });
      request.on('end', () => {
        seen.push({ method, url, headers, rawHeaders, body });
        response.setHeader('Set-Cookie', ['theme=dark; Path=/', '__Host-finvera_session=planted; Path=/; Secure']);
        if (url === '/moved') response.writeHead(302, { Location: '/elsewhere' }).end();
        else response.end(`page of ${url}`);
      });
    });
    sockets = new WebSocketServer({ server: frontend });
    sockets.on('connection', (socket, { method = '', url = '', headers, rawHeaders }) => {
      seen.push({ method, url, headers, rawHeaders, body: '' });
      socket.on('message', (message) => socket.send(`echo ${message}`));
    });
    await new Promise<void>((resolve) => frontend.listen(0, '127.0.0.1', resolve));
    const { port } = frontend.address() as AddressInfo;
    gateway = await startGateway(simulator, { env: { FRONTEND: `http://127.0.0.1:${port}` } });
    browser = await loggedIn(gateway);
  });
  afterEach(async () => {
    for (const socket of sockets.clients) socket.terminate();
    frontend.closeAllConnections();
    await new Promise((resolve) => frontend.close(resolve));
  });

  const CLAIMS = [
    'Authorization: Bearer my-own-bearer',
    'Proxy-Authorization: Basic my-own-bearer',
    'X-CSRF: 1',
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-Host: evil.test',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 1',
    'X-Real-IP: 203.0.113.9',
    'Forwarded: for=203.0.113.9',
  ];

  function expectNoCredential(at: Seen | undefined): void {
    const told = JSON.stringify(at);
    expect(at).toBeDefined();
    expect(told).not.toMatch(/finvera_session|my-own-bearer|203\.0\.113\.9|evil\.test|x-csrf/i);
    expect(told).not.toContain(browser.cookie?.split('=')[1]);
  }

  test('gets every path that is not the gateway’s, with path, query and body', async () => {
    const { cookie } = browser;
    const page = await browser.fetch('/app/index?x=1&y=%20', { headers: HTML });
    expect([page.status, page.text]).toEqual([200, 'page of /app/index?x=1&y=%20']);
    await browser.fetch('/form', { method: 'POST', body: 'a=b', headers: { 'Content-Type': 'text/plain' } });
    expect(seen.at(-1)).toMatchObject({ method: 'POST', url: '/form', body: 'a=b' });
    const moved = await browser.fetch('/moved');
    expect([moved.status, moved.headers.location]).toEqual([302, '/elsewhere']);

    browser.cookie = cookie;
    expect(json(await browser.fetch(EVENT)).event_id).toBe('evt-0001');
    expectProblem(await browser.fetch('/bff/nothing'), 404, 'not_found');
    expect(seen.map(({ url }) => url)).toEqual(['/app/index?x=1&y=%20', '/form', '/moved']);
  });

  test('gets no session cookie, no bearer and no claim of where the request is from', async () => {
    const lines = [`Cookie: a=1; ${browser.cookie}; finvera_session=x; b=2`, ...CLAIMS];
    expect(rawStatus(await exchangeRaw(gateway.port, rawRequest('GET', '/', lines)))).toBe(200);
    expectNoCredential(seen[0]);
    expect(String(seen[0]?.headers.cookie).split(/;\s*/)).toEqual(['a=1', 'b=2']);
    expect(seen[0]?.headers['x-forwarded-for']).toMatch(/127\.0\.0\.1$/);
  });

  test('gets none with Expect: 100-continue either', async () => {
    const lines = [`Cookie: ${browser.cookie}`, ...CLAIMS, 'Expect: 100-continue', 'Content-Length: 5'];
    const connection = await openRaw(gateway.port);
    connection.socket.write(rawRequest('POST', '/upload', lines));
    connection.socket.write('hello');
    await until('the answer', () => connection.isClosed());
    expect(connection.received()).toContain('page of /upload');
    expectNoCredential(seen[0]);
    expect(seen[0]).toMatchObject({ method: 'POST', body: 'hello' });
  });

  test('sets its own cookies, not the gateway’s', async () => {
    const { cookie } = browser;
    const page = await browser.fetch('/');
    expect(page.setCookies).toEqual(['theme=dark; Path=/']);
    browser.cookie = cookie;
    expect((await browser.fetch('/bff/session')).status).toBe(200);
  });

  test('speaks WebSocket, as dev servers do, also after a plain request', async () => {
    await call(gateway.url);
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/hmr?token=1`, {
      headers: {
        Cookie: `a=1; ${browser.cookie}`,
        Authorization: 'Bearer my-own-bearer',
        'X-Forwarded-For': '203.0.113.9',
      },
    });
    const answer = await new Promise<string>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (message) => resolve(String(message)));
      socket.on('open', () => socket.send('hello'));
    });
    expect(answer).toBe('echo hello');
    expectNoCredential(seen[1]);
    expect(seen[1]).toMatchObject({ url: '/hmr?token=1', headers: { cookie: 'a=1' } });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.close();
    await closed;
  });

  test.each(['/bff/session', '/delivery/x', '/health', '/api/v1/auth/token', '/bff'])(
    'gets no upgrade of the gateway’s own %s',
    async (path) => {
      await call(gateway.url);
      const answer = await exchangeRaw(
        gateway.port,
        rawRequest('GET', path, [
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          `Cookie: ${browser.cookie}`,
        ]),
      );
      expect(rawStatus(answer)).toBeGreaterThanOrEqual(400);
      expect(seen).toHaveLength(1);
      expect(simulator.requests().every(({ call: kind }) => kind === 'token' || kind === 'validate')).toBe(true);
    },
  );
});

test('a server that is not there is a 502 problem, and the API works on', async () => {
  const gateway = await startGateway(simulator, { env: { FRONTEND: `http://127.0.0.1:${await freePort()}` } });
  const reply = await gateway.browser().fetch('/', { headers: HTML });
  expectProblem(reply, 502, 'upstream_unavailable');
  expect(reply.text).not.toContain('127.0.0.1');
  const browser = await loggedIn(gateway);
  expect((await browser.fetch(EVENT)).status).toBe(200);
});
