// docs/migration.md, block by block: what stands there before runs against Finvera itself, what stands there after through the gateway.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page, Route } from 'playwright-core';
import { WebSocket } from 'ws';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchBrowser } from '../support/browser.ts';
import { call } from '../support/http-client.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';
import { readProjectFile } from '../unit/project/files.ts';

jest.setTimeout(60_000);

const FINVERA = 'https://api.finvera.news';
const EVENT = '/delivery/api/v1/events/evt-0001';
const DIFFS = [...readProjectFile('docs/migration.md').matchAll(/```diff\n([\s\S]*?)```/g)].map(
  ([, text = '']) => text,
);

/** One side of a block. */
function sideOf(diff: string | undefined, side: 'before' | 'after'): string {
  const other = side === 'before' ? '+' : '-';
  const lines = (diff ?? '').split('\n').filter((line) => !line.startsWith(other));
  return lines.map((line) => line.slice(1)).join('\n');
}

let browser: Browser;
let simulator: Simulator;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'finvera-migration-'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><html lang="en"><title>page</title></html>');
  simulator = await createSimulator({ tokenIn: 'both', apiKey: 'the-key-in-the-page', quoteRate: 5 });
  browser = await launchBrowser();
});
afterEach(async () => {
  simulator.reset();
  await closeGateways();
});
afterAll(async () => {
  await browser?.close();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The page of somebody who has not heard of the gateway, with a Finvera that lets every page call. */
async function openDirectly(code: string): Promise<Page> {
  const page = await browser.newPage();
  const origin = 'http://localhost:4999';
  await page.route(`${origin}/**`, (route) => route.fulfill({ contentType: 'text/html', body: '<title>page</title>' }));
  await page.route(`${FINVERA}/**`, (route) => answerAsFinvera(route, origin));
  await page.routeWebSocket(/^wss:\/\/api\.finvera\.news/, (socket) => {
    const { search } = new URL(socket.url());
    const upstream = new WebSocket(`${simulator.url.replace('http', 'ws')}/${search}`);
    const opened = new Promise((resolve) => upstream.once('open', resolve));
    socket.onMessage((data) => void opened.then(() => upstream.send(data)));
    upstream.on('message', (data) => socket.send(String(data)));
    page.once('close', () => upstream.terminate());
  });
  await page.goto(`${origin}/`);
  await run(page, code);
  return page;
}

async function answerAsFinvera(route: Route, origin: string): Promise<void> {
  const request = route.request();
  const { pathname, search } = new URL(request.url());
  const cors = { 'Access-Control-Allow-Origin': origin, 'Access-Control-Allow-Credentials': 'true' };
  if (request.method() === 'OPTIONS') {
    const headers = { ...cors, 'Access-Control-Allow-Headers': 'authorization, content-type' };
    return route.fulfill({ status: 204, headers });
  }
  const { authorization, 'content-type': contentType } = request.headers();
  const reply = await call(simulator.url + pathname + search, {
    method: request.method(),
    headers: {
      ...(contentType ? { 'Content-Type': contentType } : {}),
      ...(authorization ? { Authorization: authorization } : {}),
    },
    ...(request.postData() === null ? {} : { body: request.postData() ?? '' }),
  });
  await route.fulfill({ status: reply.status, headers: cors, contentType: 'application/json', body: reply.text });
}

async function openThroughGateway(code: string): Promise<Page> {
  const gateway = await startGateway(simulator, { env: { FRONTEND: folder, COOKIE_SECURE: 'false' } });
  const page = await browser.newPage();
  await page.goto(`http://localhost:${gateway.port}/`);
  await run(page, code);
  return page;
}

/** As the page's own module; what the block names is then to be had by the test. */
async function run(page: Page, code: string): Promise<void> {
  const names = ['FinveraAuth', 'login', 'makeAuthenticatedRequest', 'socket'].filter((name) =>
    new RegExp(`^(?:class|async function|const) ${name}\\b`, 'm').test(code),
  );
  await page.addScriptTag({
    type: 'module',
    content: `${code}\nObject.assign(window, { ${names.join(', ')}, ran: true });`,
  });
  await page.waitForFunction('window.ran');
}

async function doMainJob(page: Page): Promise<void> {
  await page.evaluate("login('demo@finvera.test', 'demo-password')");
  expect(await page.evaluate(`makeAuthenticatedRequest('${EVENT}')`)).toMatchObject({ event_id: 'evt-0001' });
}

const methods =
  'Object.assign(window, { finvera: new FinveraAuth() }); window.login = (...a) => finvera.login(...a); window.makeAuthenticatedRequest = (e) => finvera.makeAuthenticatedRequest(e);';

describe('the migration page', () => {
  test('changes nothing but the address of the documented class, and that runs', async () => {
    const [diff = ''] = DIFFS;
    expect(diff.split('\n').filter((line) => /^[-+]/.test(line))).toEqual([
      `-const FINVERA = '${FINVERA}';`,
      "+const FINVERA = '';",
    ]);
    const page = await openThroughGateway(`${sideOf(diff, 'after')}\n${methods}`);
    await doMainJob(page);
    await page.close();
  });

  test('runs the same class from an origin of its own', async () => {
    const pages = await startGateway(simulator, { env: { FRONTEND: folder, COOKIE_SECURE: 'false' } });
    const own = `http://localhost:${pages.port}`;
    const gateway = await startGateway(simulator, { env: { ALLOWED_ORIGINS: own, COOKIE_SECURE: 'false' } });
    const page = await browser.newPage();
    await page.goto(`${own}/`);
    const code = sideOf(DIFFS[0], 'before').replace(FINVERA, `http://localhost:${gateway.port}`);
    await run(page, `${code}\n${methods}`);
    await doMainJob(page);
    expect(gateway.logText()).toContain(EVENT);
    await page.close();
  });

  test('takes the tokens out of code that runs before and after, and without a change too', async () => {
    const before = await openDirectly(sideOf(DIFFS[1], 'before'));
    await doMainJob(before);
    await before.close();
    const unchanged = sideOf(DIFFS[1], 'before').replace(`'${FINVERA}'`, "''");
    for (const code of [unchanged, sideOf(DIFFS[1], 'after')]) {
      const page = await openThroughGateway(code);
      await doMainJob(page);
      await page.close();
      await closeGateways();
    }
  });

  test('has quotes come over the stream, first with the key in the page and then without', async () => {
    const quoteOf = (page: Page) =>
      page.evaluate(`new Promise((resolve) => socket.addEventListener('message', ({ data }) => {
        if (JSON.parse(data).action !== 'subscribe') resolve(JSON.parse(data));
      }))`);
    const before = await openDirectly(sideOf(DIFFS[2], 'before'));
    expect(await quoteOf(before)).toMatchObject({ symbol: 'AAPL' });
    await before.close();
    const login =
      "await fetch('/kms/api/v1/auth/token', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' }) });";
    const after = await openThroughGateway(`${login}\n${sideOf(DIFFS[2], 'after')}`);
    expect(await quoteOf(after)).toMatchObject({ symbol: 'AAPL' });
    await after.close();
  });

  test('goes on to the browser client', async () => {
    for (const side of ['before', 'after'] as const) {
      const page = await openThroughGateway(sideOf(DIFFS[3], side));
      await doMainJob(page);
      await page.close();
      await closeGateways();
    }
    expect(DIFFS).toHaveLength(4);
  });
});
