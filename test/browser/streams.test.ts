// A page's own WebSocket and EventSource in a real browser: they work, another origin gets neither, and a logout in another tab ends both.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchBrowser } from '../support/browser.ts';
import { closeStreamScenes, type StreamScene, startStreamScene } from '../support/stream-scene.ts';
import { until } from '../support/until.ts';

jest.setTimeout(60_000);

let simulator: Simulator;
let scene: StreamScene;
let browser: Browser;
let context: BrowserContext;
/** Another origin of the same site: the cookie goes along even where it is Strict, and only the origin tells them apart. */
let foreign: Server;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'finvera-page-'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>page</title>');
  simulator = await createSimulator();
  scene = await startStreamScene(simulator, {
    echo: true,
    gateway: { env: { COOKIE_SECURE: 'false', FRONTEND: folder } },
  });
  foreign = createServer((_req, res) => res.setHeader('Content-Type', 'text/html').end('<!doctype html>'));
  await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
  browser = await launchBrowser();
  context = await browser.newContext();
});
afterAll(async () => {
  await context?.close();
  await browser?.close();
  await new Promise((resolve) => foreign.close(resolve));
  await closeStreamScenes();
  await simulator.close();
  rmSync(folder, { recursive: true });
});

/** What the page's listeners wrote down, in their order. */
const heard = (page: Page) => page.evaluate<string[]>('window.heard');
const waitFor = (page: Page, line: string) =>
  until(`“${line}”`, async () => (await heard(page)).includes(line), 15_000).catch(async (error: Error) => {
    throw new Error(`${error.message}; heard: ${JSON.stringify(await heard(page))}`);
  });

/** Opens both towards the gateway, from whatever page this is. */
const listen = (page: Page) =>
  page.evaluate(`
    window.heard = [];
    const say = (line) => window.heard.push(line);
    window.socket = new WebSocket('${scene.gateway.url.replace('http', 'ws')}/stream?feed=a');
    socket.onopen = () => say('socket open');
    socket.onmessage = ({ data }) => say('socket ' + data);
    socket.onclose = ({ code, reason }) => say('socket closed ' + code + ' ' + reason);
    window.events = new EventSource('${scene.gateway.url}/bff/events', { withCredentials: true });
    events.onopen = () => say('events open');
    events.addEventListener('session', ({ data }) => say('events ' + data));
    events.onerror = () => say('events error ' + events.readyState);
  `);

async function openPage(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${scene.gateway.url}/`);
  return page;
}

const post = (page: Page, path: string, body?: object) =>
  page.evaluate<number>(`
    fetch('${path}', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: ${body ? `JSON.stringify(${JSON.stringify(body)})` : 'undefined'},
    }).then(({ status }) => status)
  `);

test('a page’s stream and events work, another origin gets neither, and a logout in another tab ends both', async () => {
  const page = await openPage();
  const credentials = { email: 'demo@finvera.test', password: 'demo-password' };
  expect(await post(page, '/bff/login', credentials)).toBe(200);
  await listen(page);
  await waitFor(page, 'socket open');
  await waitFor(page, 'events open');
  await page.evaluate('socket.send("quotes, please")');
  await waitFor(page, 'socket quotes, please');
  expect(scene.upstream.handshakes.map(({ url }) => url)).toEqual(['/?feed=a']);

  const stranger = await context.newPage();
  await stranger.goto(`http://127.0.0.1:${(foreign.address() as AddressInfo).port}/`);
  await listen(stranger);
  await waitFor(stranger, 'socket closed 1006 ');
  await waitFor(stranger, 'events error 2');
  expect((await heard(stranger)).filter((line) => line.endsWith('open'))).toEqual([]);
  expect(scene.upstream.handshakes).toHaveLength(1);
  const refused = () => scene.gateway.logLines().filter(({ code }) => code === 'origin_forbidden');
  await until('the refusals in the log', () => refused().length >= 2);
  // Its cookie went along: it was the origin that was refused.
  expect((await context.cookies(scene.gateway.url)).map(({ name }) => name)).toEqual(['finvera_session']);

  const tab = await openPage();
  expect(await post(tab, '/bff/refresh')).toBe(200);
  await waitFor(page, 'events {"type":"refreshed"}');
  const startedAt = performance.now();
  expect(await post(tab, '/bff/logout')).toBe(204);
  await waitFor(page, 'socket closed 4401 session ended');
  await waitFor(page, 'events {"type":"ended","reason":"logout"}');
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  // It comes back by itself, is told 401, and rests.
  await waitFor(page, 'events error 2');
});
