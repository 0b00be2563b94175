// The browser client in real tabs: one event connection among them, one mind about who is logged in, and what a browser can refuse.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchBrowser } from '../support/browser.ts';
import { closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

jest.setTimeout(60_000);

/** Writes down what it hears, and when. */
const PAGE = `<!doctype html><html lang="en"><title>tab</title><script type="module">
import { createGatewayClient } from '/bff/client.js';
const gateway = createGatewayClient();
const heard = [];
for (const name of ['signedIn', 'signedOut', 'refreshed', 'expiring'])
  gateway.on(name, (value) => heard.push({ name, value: typeof value === 'string' ? value : undefined, at: Date.now() }));
const codeOf = (work) => work.then(() => 'done', ({ code, message }) => code + ': ' + message);
Object.assign(window, { gateway, heard, codeOf });
await gateway.session();
window.ready = true;
</script></html>`;
const LOGIN = "gateway.login('demo@finvera.test', 'demo-password')";

let browser: Browser;
let simulator: Simulator;
let folder: string;
const contexts: BrowserContext[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'finvera-client-'));
  writeFileSync(join(folder, 'index.html'), PAGE);
  simulator = await createSimulator();
  browser = await launchBrowser();
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  await closeGateways();
});
afterAll(async () => {
  await browser?.close();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

const startHere = () => startGateway(simulator, { env: { FRONTEND: folder } });

async function newContext(options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
  const context = await browser.newContext(options);
  contexts.push(context);
  return context;
}

async function openTab(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${address}/`);
  await page.waitForFunction('window.ready');
  return page;
}

interface Heard {
  readonly name: string;
  readonly value?: string;
  readonly at: number;
}
async function untilHeard(page: Page, name: string): Promise<Heard> {
  await page.waitForFunction(`heard.some((each) => each.name === '${name}')`);
  return await page.evaluate<Heard>(`heard.findLast((each) => each.name === '${name}')`);
}
const untilConnections = (gateway: TestGateway, count: number) =>
  until(
    `${count} event connections`,
    async () => (await gateway.metrics()).includes(`open_streams{kind="events"} ${count}\n`),
    10_000,
  );

describe('tabs of one browser', () => {
  test('share one event connection, hand it on, and all hear within a second what happens elsewhere', async () => {
    const gateway = await startHere();
    const context = await newContext();
    const address = `http://localhost:${gateway.port}`;
    const tabs: Page[] = [];
    const listening: Page[] = [];
    for (let count = 0; count < 3; count += 1) {
      const tab = await openTab(context, address);
      tab.on('request', (request) => {
        if (request.url().endsWith('/bff/events')) listening.push(tab);
      });
      tabs.push(tab);
    }
    await tabs[0]?.evaluate(LOGIN);
    for (const tab of tabs) await untilHeard(tab, 'signedIn');
    await untilConnections(gateway, 1);
    await tabs[0]?.evaluate("gateway.fetch('/bff/refresh', { method: 'POST' })");
    for (const tab of tabs) await untilHeard(tab, 'refreshed');
    expect(listening).toHaveLength(1);

    // Which of them got the lock is the browser's choice.
    const [leader] = listening;
    await leader?.close();
    await until('another tab has it', () => listening.length === 2, 10_000);
    await untilConnections(gateway, 1);

    const elsewhere = gateway.browser();
    await elsewhere.login();
    const endedAt = Date.now();
    expect((await elsewhere.fetch('/bff/sessions?except=current', { method: 'DELETE' })).status).toBe(204);
    const answeredAt = Date.now();
    for (const tab of tabs.filter((each) => each !== leader)) {
      const { value, at } = await untilHeard(tab, 'signedOut');
      // The reason is lost where the session ends while the connection is being handed on, the end is not.
      expect(['ended_by_user', 'session_expired']).toContain(value);
      expect(at).toBeGreaterThanOrEqual(endedAt);
      expect(at - answeredAt).toBeLessThan(1_000);
    }
    await untilConnections(gateway, 0);
  });

  test('hear of a logout in one of them, and of the next login', async () => {
    const gateway = await startHere();
    const context = await newContext();
    const address = `http://localhost:${gateway.port}`;
    const [first, second] = [await openTab(context, address), await openTab(context, address)];
    await first.evaluate(LOGIN);
    await untilHeard(second, 'signedIn');
    await first.evaluate('gateway.logout()');
    expect(await untilHeard(second, 'signedOut')).toMatchObject({ value: 'logout' });
    await second.evaluate(LOGIN);
    await first.waitForFunction("heard.filter(({ name }) => name === 'signedIn').length === 2");
    expect(await first.evaluate("heard.map(({ name }) => name).join(' ')")).toBe('signedIn signedOut signedIn');
  });
});

describe('what a browser refuses', () => {
  test('a Secure cookie over plain http that is not localhost is cookie_refused, and the setting is named', async () => {
    const gateway = await startHere();
    const proxy = await startProxy(gateway.port);
    const context = await newContext({
      proxy: { server: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` },
    });
    const page = await openTab(context, 'http://app.finvera.test');
    expect(await page.evaluate(`codeOf(${LOGIN})`)).toMatch(/^cookie_refused: .*COOKIE_SECURE=false/);
    expect(await context.cookies()).toEqual([]);
    proxy.closeAllConnections();
    proxy.close();
  });

  test('a lost network is network_error, and over when it is back', async () => {
    const gateway = await startHere();
    const context = await newContext();
    const page = await openTab(context, `http://localhost:${gateway.port}`);
    await page.evaluate(LOGIN);
    const call = "codeOf(gateway.fetch('/delivery/api/v1/events/evt-0001'))";
    await context.setOffline(true);
    expect(await page.evaluate(call)).toMatch(/^network_error: /);
    await context.setOffline(false);
    expect(await page.evaluate(call)).toBe('done');
    expect(await page.evaluate("heard.map(({ name }) => name).join(' ')")).toBe('signedIn');
  });
});

/** A browser's way to a host name that no name server knows. */
async function startProxy(port: number): Promise<Server> {
  const proxy = createServer((req, res) => {
    const { pathname, search } = new URL(req.url ?? '');
    const options = { port, host: '127.0.0.1', method: req.method, path: pathname + search, headers: req.headers };
    const sent = request(options, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      answer.pipe(res);
    });
    sent.on('error', () => res.destroy());
    req.pipe(sent);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return proxy;
}
