// A page of a foreign origin in a real browser, while its visitor is logged in at the gateway: whatever it makes the
// browser send, with the session's cookie attached, Finvera hears nothing, the page learns nothing, and the session stays.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { BrowserContext, Page } from 'playwright-core';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchProfile } from '../support/browser.ts';
import { type ForeignSite, startForeignSite } from '../support/foreign-page.ts';
import { freePort } from '../support/redis-server.ts';
import { closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

jest.setTimeout(120_000);

const EVENT = '/delivery/api/v1/events/evt-0001';
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

let visitor: BrowserContext;
let foreign: ForeignSite;
let folder: string;
let frontend: string;
let simulator: Simulator;

beforeAll(async () => {
  simulator = await createSimulator();
  folder = mkdtempSync(join(tmpdir(), 'finvera-foreign-'));
  frontend = join(folder, 'frontend');
  mkdirSync(frontend);
  writeFileSync(join(frontend, 'index.html'), '<!doctype html><title>frontend</title><link rel="icon" href="data:,">');
  foreign = await startForeignSite();
  visitor = await launchProfile(join(folder, 'profile'));
});
afterAll(async () => {
  await visitor?.close();
  await foreign?.close();
  await simulator?.close();
  rmSync(folder, { recursive: true });
});

async function leaveScene(): Promise<void> {
  await Promise.all(visitor.pages().map((page) => page.close()));
  await visitor.clearCookies();
  await closeGateways();
}

interface Scene {
  readonly gateway: TestGateway;
  readonly origin: string;
  /** The logged-in page of the gateway's own origin. */
  readonly own: Page;
  /** The session's status as its own page sees it. */
  sessionStatus(): Promise<number>;
  /** Opens a page of the foreign site under this host. */
  visit(host: string): Promise<Page>;
  /** `method path status` of what the foreign pages sent since `look`. */
  arrived(): string[];
  look(): void;
}

const foreignOrigin = (host: string) => `http://${host}:${foreign.port}`;

/** `localhost` is a site of its own; other ports of it are the same site, 127.0.0.1 is another. */
async function setScene(env: Record<string, string>): Promise<Scene> {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const gateway = await startGateway(simulator, {
    env: { PORT: String(port), PUBLIC_URL: origin, FRONTEND: frontend, ...env },
    settings: { routes: [{ path: '/delivery', methods: METHODS, credential: 'session', apiKeyIn: 'bearer' }] },
  });
  const own = await visitor.newPage();
  await own.goto(`${origin}/`);
  const login = await own.evaluate(`fetch('/bff/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' }),
  }).then((response) => response.status)`);
  expect(login).toBe(200);
  await until('the login’s line', () => requestLines(gateway).some(({ path }) => path === '/bff/login'));
  let before = requestLines(gateway).length;
  let questions = 0;
  return {
    gateway,
    origin,
    own,
    async sessionStatus() {
      const status = await own.evaluate<number>(`fetch('/bff/session').then((response) => response.status)`);
      questions += 1;
      // Its line is none of what comes after.
      await until('its line', () => ownQuestions(gateway) >= questions, 10_000);
      return status;
    },
    async visit(host) {
      const page = await visitor.newPage();
      await page.goto(`${foreignOrigin(host)}/`);
      return page;
    },
    arrived: () =>
      requestLines(gateway)
        .slice(before)
        .map(({ method, path, status }) => `${method} ${path} ${status}`),
    look() {
      before = requestLines(gateway).length;
    },
  };
}

const requestLines = (gateway: TestGateway) => gateway.logLines().filter(({ event }) => event === 'request');
const ownQuestions = (gateway: TestGateway) =>
  requestLines(gateway).filter(({ path, status }) => path === '/bff/session' && status !== 403).length;
const targets = (origin: string, paths: readonly string[]) => JSON.stringify(paths.map((path) => origin + path));

/** Everything that is nothing to the page. */
const expectNothingLearnt = (learnt: unknown) => {
  expect(Array.isArray(learnt) && learnt.length > 0).toBe(true);
  expect([...new Set(learnt as string[])]).toEqual(['nothing']);
};

const CHANGES = ['/bff/login', '/bff/logout', '/bff/refresh', '/bff/sessions?_method=DELETE', '/api/v1/auth/token'];
const MORE_CHANGES = ['/kms/api/v1/auth/token', '/kms/api/v1/auth/refresh', '/delivery/api/v1/__echo'];
const READS = ['/bff/session', '/bff/sessions', '/kms/api/v1/auth/validate', EVENT];

describe.each([
  ['Strict', '127.0.0.1', 'another site'],
  ['Strict', 'localhost', 'the same site, another port: the cookie is sent'],
  ['None', '127.0.0.1', 'another site: the cookie is sent'],
])('COOKIE_SAMESITE=%s, a page on %s (%s)', (sameSite, host) => {
  let scene: Scene;
  let page: Page;
  let asked: number;
  let paths: (names: readonly string[]) => string;

  // One session for all: that it outlives each of them is what they show.
  beforeAll(async () => {
    scene = await setScene({ COOKIE_SAMESITE: sameSite });
    paths = (names) => targets(scene.origin, names);
  });
  beforeEach(async () => {
    page = await scene.visit(host);
    scene.look();
    asked = simulator.requests().length;
  });
  afterEach(() => Promise.all(visitor.pages().map((each) => (each === scene.own ? undefined : each.close()))));
  afterAll(leaveScene);

  /** Whatever reached the gateway was refused as foreign; Finvera heard nothing; the session lives. */
  async function expectRefused(atLeast: number): Promise<void> {
    await until('the refusals', () => scene.arrived().length >= atLeast);
    expect(scene.arrived().filter((line) => !line.endsWith(' 403'))).toEqual([]);
    expect(simulator.requests()).toHaveLength(asked);
    expect(await scene.sessionStatus()).toBe(200);
  }

  test('changes nothing by a form, of whatever content type', async () => {
    const learnt = await page.evaluate(`forms(${paths([...CHANGES, ...MORE_CHANGES])})`);
    expectNothingLearnt(learnt);
    await expectRefused(3 * (CHANGES.length + MORE_CHANGES.length));
  });

  test('reads and changes nothing by fetch, in no mode and with no credentials', async () => {
    const all = ['/bff/session', '/bff/logout', '/bff/sessions', EVENT];
    expectNothingLearnt(await page.evaluate(`fetches(${paths(all)})`));
    // In the modes cors and no-cors: four kinds of simple request each, with three kinds of credentials; of the others a preflight.
    await expectRefused(all.length * 2 * 4 * 3);
  });

  test('reads nothing as an image, script, style, frame or plug-in', async () => {
    expectNothingLearnt(await page.evaluate(`elements(${paths([...READS, '/bff/logout'])})`));
    await expectRefused(5 * 3);
  });

  test('changes nothing by a beacon', async () => {
    expectNothingLearnt(await page.evaluate(`beacons(${paths(CHANGES)})`));
    await expectRefused(2 * CHANGES.length);
  });

  test('opens neither a WebSocket nor an event stream', async () => {
    const socket = JSON.stringify([`${scene.origin.replace('http', 'ws')}/stream`]);
    expectNothingLearnt(await page.evaluate(`sockets(${socket}, ${paths(['/bff/events', '/bff/session'])})`));
    await until('the refusals', () => scene.arrived().length >= 4);
    expect(scene.arrived().filter((line) => !line.endsWith(' 403'))).toEqual([]);
    expect(simulator.requests()).toHaveLength(asked);
    expect(await scene.sessionStatus()).toBe(200);
  });

  test('navigates to pages of the frontend only, in its own window and in another', async () => {
    const navigate = async (path: string, how: (address: string) => string) => {
      const leaving = await scene.visit(host);
      const [response] = await Promise.all([
        visitor.waitForEvent('response', (answer) => answer.url() === scene.origin + path),
        leaving.evaluate(how(scene.origin + path)),
      ]);
      return response.status();
    };
    for (const path of ['/bff/session', EVENT]) {
      expect([path, await navigate(path, (address) => `{ location.href = '${address}' }`)]).toEqual([path, 403]);
      expect([path, await navigate(path, (address) => `{ window.open('${address}') }`)]).toEqual([path, 403]);
    }
    const submit = (address: string) => `{
      const form = document.body.appendChild(document.createElement('form'));
      Object.assign(form, { action: '${address}', method: 'post', target: '_top' }).submit();
    }`;
    expect(await navigate('/bff/logout', submit)).toBe(403);
    await expectRefused(5);
    expect(await navigate('/some/page', (address) => `{ location.href = '${address}' }`)).toBe(200);
    expect(await scene.sessionStatus()).toBe(200);
  });
});

describe.each(['127.0.0.1', 'localhost'])('an origin that is allowed, on %s', (host) => {
  afterEach(leaveScene);

  test('reads, changes and streams with the session of the visitor', async () => {
    const scene = await setScene({ COOKIE_SAMESITE: 'None', ALLOWED_ORIGINS: foreignOrigin(host) });
    const page = await scene.visit(host);
    const ask = (path: string, options = '{}') =>
      page.evaluate(`fetch('${scene.origin}${path}', { credentials: 'include', ...${options} })
        .then(async (response) => [response.status, await response.text()])`) as Promise<[number, string]>;
    const [status, text] = await ask(EVENT);
    expect([status, JSON.parse(text).event_id]).toEqual([200, 'evt-0001']);
    expect((await ask('/bff/session'))[0]).toBe(200);
    expect((await ask('/bff/refresh', `{ method: 'POST', headers: { 'X-CSRF': '1' } }`))[0]).toBe(200);
    const socket = JSON.stringify([`${scene.origin.replace('http', 'ws')}/stream`]);
    expect(await page.evaluate(`sockets(${socket}, [])`)).toEqual(['open']);
    expect((await ask('/bff/none'))[0]).toBe(404);
    expect(await ask('/bff/logout', `{ method: 'POST' }`)).toEqual([204, '']);
    expect(await scene.sessionStatus()).toBe(401);
  });

  test('is allowed for itself: its neighbour on another port learns nothing', async () => {
    const scene = await setScene({
      COOKIE_SAMESITE: 'None',
      ALLOWED_ORIGINS: `http://${host}:${foreign.port === 65_535 ? foreign.port - 1 : foreign.port + 1}`,
    });
    const page = await scene.visit(host);
    expectNothingLearnt(await page.evaluate(`fetches(${targets(scene.origin, ['/bff/session'])})`));
    expect(await scene.sessionStatus()).toBe(200);
  });
});
