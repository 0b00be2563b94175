// The dashboard's login form in a real browser: what it says, whatever goes wrong.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import {
  createVisits,
  type DashboardScene,
  logIn,
  seeDashboard,
  startDashboardScene,
  tryLogin,
} from '../support/dashboard-scene.ts';
import { until } from '../support/until.ts';

// The first of these tests builds the dashboard where the check has not.
jest.setTimeout(120_000);

let browser: Browser;
let scene: DashboardScene;
const visits = createVisits(() => browser);
const { another } = visits;
const arrive = async (url = scene.url) => (await visits.arrive(url)).page;

beforeAll(async () => {
  // A name that is not this machine's, as a browser sees it: there a Secure cookie needs https.
  browser = await launchBrowser('--host-resolver-rules=MAP dashboard.test 127.0.0.1');
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

const alert = (page: Page) => page.getByRole('alert').innerText();

describe('the login form', () => {
  test('leads to the dashboard', async () => {
    const { page, problems } = await visits.arrive(scene.url);
    await logIn(page);
    expect(await page.locator('.who').innerText()).toMatch(/demo\s+enterprise/);
    expect(await page.title()).toBe('Finvera dashboard');
    expect(problems).toEqual([]);
  });

  test('says that a password is wrong, keeps the email, and lets the visitor type at once', async () => {
    const page = await arrive();
    await tryLogin(page, 'wrong');
    await page.getByRole('alert').waitFor();
    expect(await alert(page)).toContain('login_rejected');
    expect(await page.getByLabel('Email').inputValue()).toBe('demo@finvera.test');
    expect(await page.getByLabel('Password').getAttribute('aria-invalid')).toBe('true');
    await page.keyboard.type('demo-password');
    await page.keyboard.press('Enter');
    await seeDashboard(page);
  });

  test('counts down the pause after too many attempts', async () => {
    const { url } = await another({ env: { LOGIN_LIMIT_ACCOUNT: '2/15m' } });
    const page = await arrive(url);
    await tryLogin(page, 'wrong');
    await page.getByText('login_rejected').waitFor();
    await tryLogin(page, 'wrong');
    await page.getByText('too_many_attempts').waitFor();
    expect(await alert(page)).toContain('Too many attempts');
    const button = page.locator('form button');
    const first = await button.innerText();
    expect(first).toMatch(/^Try again in 1[45] min/);
    expect(await button.isDisabled()).toBe(true);
    await until('the countdown goes on', async () => (await button.innerText()) !== first);
  });

  test('waits as long as Finvera says, and then logs in', async () => {
    scene.simulator.addFault({ fault: 'rate_limited', retryAfter: 2, match: { call: 'token' }, times: 1 });
    const page = await arrive();
    await tryLogin(page);
    await page.getByText('rate_limited').waitFor();
    expect(await page.locator('form button').isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Log in', exact: true }).click();
    await seeDashboard(page);
  });

  test.each([
    ['is down', { fault: 'reset_before' }, 'upstream_unavailable', 'Finvera cannot be reached'],
    ['answers an error', { fault: 'status', status: 500 }, 'upstream_unavailable', 'Finvera cannot be reached'],
    ['gives no tokens', { fault: 'no_tokens' }, 'upstream_invalid', 'Finvera answered something unusable'],
  ] as const)('says so when finvera %s', async (_how, fault, code, sentence) => {
    scene.simulator.addFault({ ...fault, match: { call: 'token' } });
    const page = await arrive();
    await tryLogin(page);
    await page.getByText(code).waitFor();
    expect(await alert(page)).toContain(sentence);
    expect(await alert(page)).toMatch(/request \S{8,}/);
    expect(await page.context().cookies()).toEqual([]);
  });

  test('says so when finvera does not answer in time', async () => {
    const { url, simulator } = await another({ env: { FINVERA_AUTH_TIMEOUT: '300ms' } });
    simulator.addFault({ fault: 'hang', match: { call: 'token' } });
    const page = await arrive(url);
    await tryLogin(page);
    await page.getByText('upstream_timeout').waitFor();
    expect(await alert(page)).toContain('Finvera does not answer in time');
  });

  test('tells a gateway that is gone from a wrong password', async () => {
    const page = await arrive();
    await page.context().setOffline(true);
    await tryLogin(page);
    await page.getByText('network_error').waitFor();
    expect(await alert(page)).toContain('The gateway cannot be reached');
    await page.context().setOffline(false);
    await logIn(page);
  });

  test('names COOKIE_SECURE when the browser drops the cookie', async () => {
    const { gateway } = await another({ env: { COOKIE_SECURE: 'true' } });
    const page = await arrive(`http://dashboard.test:${gateway.port}`);
    await tryLogin(page);
    await page.getByText('cookie_refused', { exact: true }).waitFor();
    expect(await alert(page)).toContain('COOKIE_SECURE');
    expect(await page.context().cookies()).toEqual([]);
  });
});
