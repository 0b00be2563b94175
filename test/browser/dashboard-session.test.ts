// The dashboard's session in a real browser: reload, tabs, profiles, devices, expiry, renewal, and what the browser keeps.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page, Response } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import {
  createVisits,
  type DashboardScene,
  logIn,
  openTab,
  seeDashboard,
  seeLoginForm,
  startDashboardScene,
} from '../support/dashboard-scene.ts';
import { startForeignSite } from '../support/foreign-page.ts';
import { until } from '../support/until.ts';

jest.setTimeout(120_000);

let browser: Browser;
let scene: DashboardScene;
const visits = createVisits(() => browser);
const { another } = visits;
const arrive = (url = scene.url) => visits.arrive(url);

beforeAll(async () => {
  browser = await launchBrowser();
  scene = await startDashboardScene();
});
afterEach(async () => {
  await visits.end();
  scene.simulator.reset();
});
afterAll(async () => {
  await browser?.close();
  await scene?.close();
});

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: true }).click();
const notice = (page: Page, text: string | RegExp) => page.getByRole('status').filter({ hasText: text }).waitFor();
const dialog = (page: Page) => page.getByRole('dialog', { name: 'Are you still there?' });

describe('a session', () => {
  test('is there again after a reload, without the form in between', async () => {
    const { page } = await arrive();
    await logIn(page);
    await page.reload();
    await seeDashboard(page);
    expect(await page.getByLabel('Password').count()).toBe(0);
  });

  test('begins and ends in all tabs within a second, over one event connection', async () => {
    const { context, page: first } = await arrive();
    const { page: second } = await openTab(context, scene.url);
    await seeLoginForm(second);
    const connections: string[] = [];
    context.on('request', (request) => {
      if (request.url().endsWith('/bff/events')) connections.push(request.url());
    });
    await logIn(first);
    await seeDashboard(second);
    await until('the events are heard', () => connections.length > 0);
    await press(second, 'Log out');
    await seeLoginForm(second);
    const loggedOutAt = performance.now();
    await seeLoginForm(first);
    expect(performance.now() - loggedOutAt).toBeLessThan(1_000);
    await notice(first, 'You are logged out.');
    expect(await context.cookies()).toEqual([]);
    expect(connections).toHaveLength(1);
  });

  test('is nobody’s in a private window beside it', async () => {
    const { page: mine } = await arrive();
    await logIn(mine);
    const { page: other } = await arrive();
    await logIn(other, 'standard@finvera.test');
    expect(await other.locator('.who').innerText()).toMatch(/standard\s+standard/);
    await press(other, 'Log out');
    await seeLoginForm(other);
    await mine.reload();
    await seeDashboard(mine);
    expect(await mine.locator('.who').innerText()).toMatch(/demo\s+enterprise/);
  });

  test('is ended from another device, whose user sees it go', async () => {
    const { page: desk } = await arrive();
    await logIn(desk, 'second@finvera.test');
    const { page: phone } = await arrive();
    await logIn(phone, 'second@finvera.test');
    const devices = phone.locator('.devices li');
    await until('both devices are listed', async () => (await devices.count()) === 2);
    await devices.filter({ hasNotText: 'this one' }).getByRole('button').click();
    await seeLoginForm(desk);
    await notice(desk, 'The session was ended from another device.');
    await until('one device is left', async () => (await devices.count()) === 1);
    await notice(phone, /^Chrome \d+ on Linux is logged out\.$/);
  });

  test('asks before it expires; staying in one tab answers for the other', async () => {
    const { url } = await another({ env: { SESSION_IDLE_TIMEOUT: '123s' } });
    const { context, page } = await arrive(url);
    await logIn(page);
    const { page: second } = await openTab(context, url);
    await seeDashboard(second);
    await dialog(page).waitFor();
    await dialog(second).waitFor();
    expect(await page.locator('.countdown').innerText()).toMatch(/^(?:2 min|1 min \d+ s)$/);
    await press(page, 'Stay logged in');
    await dialog(page).waitFor({ state: 'hidden' });
    await dialog(second).waitFor({ state: 'hidden' });
    await seeDashboard(page);
  });

  test('expires in front of whoever does nothing, and says why', async () => {
    const { url } = await another({ env: { SESSION_IDLE_TIMEOUT: '4s' } });
    const { page } = await arrive(url);
    await logIn(page);
    await dialog(page).waitFor();
    await seeLoginForm(page);
    await notice(page, 'You were logged out because nothing happened for a while.');
  });

  test('does not last longer for a page that only looks', async () => {
    const { url, gateway } = await another({ env: { SESSION_IDLE_TIMEOUT: '60s' } });
    const { page } = await arrive(url);
    await logIn(page);
    await dialog(page).waitFor();
    // It looks every three seconds: were that activity, more than 55 would always be left.
    const left = async () => Number.parseInt(await page.locator('.countdown').innerText(), 10);
    await until('time goes on', async () => (await left()) < 54, 20_000);
    const looks = gateway.logLines().filter(({ event, path }) => event === 'request' && path === '/bff/session');
    expect(looks.length).toBeGreaterThan(1);
  });
});

describe('a renewal of the token', () => {
  test('under way makes twenty calls wait, is one, and is seen by nobody', async () => {
    const { page } = await arrive();
    await logIn(page);
    const held = scene.simulator.addFault({ fault: 'hold', match: { call: 'refresh' } });
    await press(page, 'Revoke the token');
    await press(page, 'Call 20 times at once');
    await scene.simulator.waitForRequests('refresh', 1, 10_000);
    await notice(page, 'Calling 20 times…');
    held.remove();
    await notice(page, /^20 of 20 well/);
    expect(scene.simulator.requests('refresh')).toHaveLength(1);
    await seeDashboard(page);
  });

  test('that finvera refuses ends the session, and the form says so', async () => {
    const { page } = await arrive();
    await logIn(page);
    await press(page, 'Revoke the whole login');
    await press(page, 'Call once');
    await seeLoginForm(page);
    await notice(page, 'Log in again to go on.');
    expect(await page.context().cookies()).toEqual([]);
  });

  test('that cannot be had keeps the session, and the page works again afterwards', async () => {
    const { url, simulator } = await another({ simulator: { accessTokenLifeS: 2 } });
    const { page } = await arrive(url);
    await logIn(page);
    const fault = simulator.addFault({ fault: 'reset_before', match: { call: 'refresh' } });
    const callUntil = (wanted: string) =>
      until(
        `a call ends with ${wanted}`,
        async () => {
          await press(page, 'Call once');
          await notice(page, /^[01] of 1 well/);
          return (await page.locator('.result').innerText()).includes(wanted);
        },
        30_000,
      );
    await callUntil('upstream_unavailable');
    expect(await page.getByLabel('Password').count()).toBe(0);
    fault.remove();
    await callUntil('1 of 1 well');
  });
});

describe('what the browser keeps', () => {
  test('is one cookie that no script reads, and nothing else', async () => {
    const { url } = await another({ env: { COOKIE_SECURE: 'true' } });
    const { page } = await arrive(url);
    await logIn(page);
    const devtools = await page.context().newCDPSession(page);
    const { cookies } = await devtools.send('Network.getCookies', { urls: [url] });
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toMatchObject({
      name: '__Host-finvera_session',
      value: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      domain: 'localhost',
      path: '/',
      httpOnly: true,
      secure: true,
      sameSite: 'Strict',
      session: false,
    });
    expect(await page.evaluate('document.cookie')).toBe('');
    const { usageBreakdown } = await devtools.send('Storage.getUsageAndQuota', { origin: url });
    expect(usageBreakdown.filter(({ usage }) => usage > 0)).toEqual([]);
    expect(await page.evaluate('localStorage.length + sessionStorage.length')).toBe(0);
  });

  test('and sees holds no token: headers, bodies, addresses, messages of the stream', async () => {
    const { page } = await arrive();
    const responses: Response[] = [];
    const frames: string[] = [];
    page.on('response', (response) => responses.push(response));
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => frames.push(String(payload))));
    await logIn(page);
    await until('quotes come', () => frames.length > 3);
    await press(page, 'Revoke the token');
    await press(page, 'Call once');
    await notice(page, /^1 of 1 well/);
    await press(page, 'Log out');
    await seeLoginForm(page);
    const sent = scene.simulator.requests().flatMap(({ rawHeaders }) => rawHeaders);
    const tokens = [...sent.join('\n').matchAll(/(?:Bearer |DT_\w+_TOKEN=)([^\s;]+)/gi)].map(
      ([, token]) => token ?? '',
    );
    expect(new Set(tokens).size).toBeGreaterThanOrEqual(3);
    const seen = [...(await Promise.all(responses.map(everythingIn))), ...frames].join('\n');
    expect(seen).toContain('evt-0400');
    for (const token of tokens) expect(seen).not.toContain(token);
    expect(seen).not.toContain('eyJ');
  });
});

describe('a page of a foreign origin', () => {
  test.each(['localhost', '127.0.0.1'])('at %s changes nothing and learns nothing', async (host) => {
    const foreign = await startForeignSite();
    try {
      const { context, page } = await arrive();
      await logIn(page);
      // All that the page asks for by itself has been asked for.
      await page.locator('.chart .line').waitFor();
      await page.locator('.events li').first().waitFor();
      const before = scene.simulator.requests().length;
      const attacker = await context.newPage();
      await attacker.goto(`http://${host}:${foreign.port}/`);
      const learned = await attacker.evaluate<string[]>(`(${ATTACK})(${JSON.stringify(scene.url)})`);
      expect(new Set(learned)).toEqual(new Set(['nothing']));
      expect(scene.simulator.requests()).toHaveLength(before);
      await page.bringToFront();
      await press(page, 'Call once');
      await notice(page, /^1 of 1 well/);
    } finally {
      await foreign.close();
    }
  });
});

/** Runs in the foreign page: the application's own calls, and the page in a frame. */
const ATTACK = `async (url) => {
  const seen = [
    await window.forms([url + '/bff/logout']),
    await window.beacons([url + '/bff/logout']),
    await window.elements([url + '/delivery/api/v1/events', url + '/']),
    await window.sockets([url.replace('http', 'ws') + '/stream'], [url + '/bff/events', url + '/demo/activity']),
  ];
  return seen.flat();
}`;

async function everythingIn(response: Response): Promise<string> {
  const headers = await response.headersArray();
  const isStream = (response.headers()['content-type'] ?? '').startsWith('text/event-stream');
  const hasBody = !isStream && ![101, 204, 304].includes(response.status());
  const text = hasBody ? (await response.body()).toString('latin1') : '';
  return [response.url(), ...headers.map(({ name, value }) => `${name.toLowerCase()}: ${value}`), text].join('\n');
}
