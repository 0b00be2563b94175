// A frontend's dev server behind the gateway: its pages and its WebSocket work, and it never sees the session cookie.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { type WebSocket, WebSocketServer } from 'ws';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchBrowser } from '../support/browser.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';

jest.setTimeout(60_000);

/** Speaks to its dev server as hot module reloading does. */
const PAGE = `<!doctype html>
<html lang="en">
<title>dev</title>
<link rel="icon" href="data:,">
<p id="version">1</p>
<script>
  const socket = new WebSocket('ws://' + location.host + '/@hmr?token=abc', 'dev-hmr');
  socket.onopen = () => { document.title = 'connected'; socket.send('hello'); };
  socket.onmessage = (event) => { document.getElementById('version').textContent = event.data; };
  socket.onclose = () => { document.title = 'closed'; };
</script>
</html>`;

interface DevServer {
  readonly url: string;
  readonly seen: { readonly url: string; readonly headers: IncomingHttpHeaders }[];
  readonly heard: string[];
  push(message: string): void;
  close(): Promise<void>;
}

let browser: Browser;
let simulator: Simulator;
let devServer: DevServer;

beforeAll(async () => {
  simulator = await createSimulator();
  devServer = await startDevServer();
  browser = await launchBrowser();
});
afterEach(closeGateways);
afterAll(async () => {
  await browser?.close();
  await devServer?.close();
  await simulator?.close();
});

async function startDevServer(): Promise<DevServer> {
  const seen: DevServer['seen'] = [];
  const heard: string[] = [];
  const sockets = new Set<WebSocket>();
  const server: Server = createServer(({ url = '', headers }, response) => {
    seen.push({ url, headers });
    response.setHeader('Set-Cookie', ['theme=dark; Path=/', 'finvera_session=forged; Path=/']);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(PAGE);
  });
  const webSockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    seen.push({ url: request.url ?? '', headers: request.headers });
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      sockets.add(webSocket);
      webSocket.on('close', () => sockets.delete(webSocket));
      webSocket.on('message', (data) => heard.push(String(data)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    heard,
    push: (message) => {
      for (const socket of sockets) socket.send(message);
    },
    close() {
      for (const socket of sockets) socket.terminate();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The page's title says what its socket does. */
const untilTitle = (page: Page, title: string) => page.waitForFunction(`document.title === '${title}'`);

describe.each(['true', 'false'])('a dev server behind the gateway, COOKIE_SECURE=%s', (cookieSecure) => {
  test('serves the page and speaks to it over its WebSocket, without ever seeing the session', async () => {
    const gateway = await startGateway(simulator, {
      env: { FRONTEND: devServer.url, COOKIE_SECURE: cookieSecure },
    });
    devServer.seen.length = 0;
    devServer.heard.length = 0;
    const page = await browser.newPage();
    const address = `http://localhost:${gateway.port}`;
    await page.goto(`${address}/`);
    await untilTitle(page, 'connected');
    const status = await page.evaluate(`fetch('/bff/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' }),
    }).then((response) => response.status)`);
    expect(status).toBe(200);

    await page.goto(`${address}/some/page`);
    await untilTitle(page, 'connected');
    await page.waitForFunction("fetch('/bff/session').then((response) => response.status === 200)");
    devServer.push('2');
    await page.getByText('2', { exact: true }).waitFor();
    expect(devServer.heard).toEqual(['hello', 'hello']);

    const upgrades = devServer.seen.filter(({ headers }) => headers.upgrade);
    expect(upgrades.map(({ url }) => url)).toEqual(['/@hmr?token=abc', '/@hmr?token=abc']);
    expect(upgrades.at(-1)?.headers['sec-websocket-protocol']).toBe('dev-hmr');

    const cookies = await page.context().cookies();
    const session = cookies.find(({ name }) => name.endsWith('finvera_session'));
    expect(session?.value).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(cookies.map(({ name }) => name).sort()).toEqual([session?.name, 'theme'].sort());
    const everything = JSON.stringify(devServer.seen);
    expect(everything).not.toContain('finvera_session');
    expect(everything).not.toContain(session?.value);
    expect(everything).toContain('theme=dark');
    await page.close();
  });

  test("is not asked for what is the gateway's own", async () => {
    const gateway = await startGateway(simulator, { env: { FRONTEND: devServer.url, COOKIE_SECURE: cookieSecure } });
    devServer.seen.length = 0;
    const page = await browser.newPage();
    await page.goto(`http://localhost:${gateway.port}/`);
    await untilTitle(page, 'connected');
    const connect = (path: string) =>
      page.evaluate(`new Promise((resolve) => {
        const socket = new WebSocket('ws://' + location.host + '${path}');
        socket.onerror = () => resolve('refused');
        socket.onopen = () => resolve('open');
      })`);
    for (const path of ['/stream', '/bff/session', '/delivery/api/v1/events/evt-0001']) {
      expect(await connect(path)).toBe('refused');
    }
    expect(devServer.seen.map(({ url }) => url)).toEqual(['/', '/@hmr?token=abc']);
    await page.close();
  });
});
