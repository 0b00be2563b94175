// `npm run demo -- --dashboard` as a visitor sees it: the real processes, and every kind of trouble at a click.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import { createVisits, logIn, seeLoginForm } from '../support/dashboard-scene.ts';
import { type DemoProcess, startDemo } from '../support/demo-process.ts';
import { call } from '../support/http-client.ts';
import { until } from '../support/until.ts';

jest.setTimeout(120_000);

let demo: DemoProcess;
let browser: Browser;
const visits = createVisits(() => browser);

beforeAll(async () => {
  demo = await startDemo({}, ['--dashboard']);
  browser = await launchBrowser();
});
afterEach(async () => {
  await visits.end();
  await call(`${demo.simulatorUrl}/__sim/reset`, { method: 'POST' });
});
afterAll(async () => {
  await browser?.close();
  expect(await demo?.end()).toBe(0);
});

async function enter(email: string): Promise<Page> {
  const { page } = await visits.arrive(demo.url);
  await logIn(page, email);
  await panel(page).waitFor();
  return page;
}

const panel = (page: Page) => page.getByRole('region', { name: 'Trouble on demand' });
const press = (page: Page, name: string) => panel(page).getByRole('button', { name, exact: true }).click();
const turn = (page: Page, name: string) => panel(page).getByRole('checkbox', { name }).click();
const activity = (page: Page) => panel(page).getByRole('list', { name: 'Behind this page' });

async function callOnce(page: Page): Promise<string> {
  await press(page, 'Call once');
  const result = panel(page)
    .locator('.result')
    .filter({ hasText: / of 1 well/ });
  await result.waitFor();
  return await result.innerText();
}

const callUntil = (page: Page, wanted: string) =>
  until(`a call ends with ${wanted}`, async () => (await callOnce(page)).includes(wanted), 30_000);

describe('trouble on demand', () => {
  test('shows that one renewal serves twenty calls whose token is revoked', async () => {
    const page = await enter('demo@finvera.test');
    await press(page, 'Revoke the token');
    await press(page, 'Call 20 times at once');
    await panel(page)
      .getByText(/^20 of 20 well/)
      .waitFor();
    const renewals = activity(page).getByText('POST /kms/api/v1/auth/refresh → 200');
    await renewals.waitFor();
    expect(await renewals.count()).toBe(1);
    await activity(page).getByText('refresh refreshed').waitFor();
  });

  test('passes finvera’s 500 on, waits for a slow one, and logs nobody out', async () => {
    const page = await enter('demo@finvera.test');
    await turn(page, 'Finvera answers 500');
    await callUntil(page, 'Finvera answered 500');
    await turn(page, 'Finvera answers 500');
    await turn(page, 'Finvera is slow');
    await activity(page).getByText('fault ’slow’ on'.replaceAll('’', "'")).waitFor();
    expect(Number(/(\d+) ms/.exec(await callOnce(page))?.[1])).toBeGreaterThanOrEqual(2_000);
    await turn(page, 'Finvera is slow');
    await callUntil(page, '1 of 1 well');
  });

  test('asks finvera no more after a 429, until its pause is over', async () => {
    const page = await enter('standard@finvera.test');
    await turn(page, 'Finvera answers 429');
    await callUntil(page, '429');
    await turn(page, 'Finvera answers 429');
    expect(await callOnce(page)).toContain('rate_limited');
    await callUntil(page, '1 of 1 well');
  });

  test('answers 503 while Redis is stopped, keeps the cookie, and goes on when it is back', async () => {
    const page = await enter('second@finvera.test');
    await turn(page, 'Redis is stopped');
    await callUntil(page, 'store_unavailable');
    expect(await page.context().cookies()).toHaveLength(1);
    expect(await page.getByLabel('Password').count()).toBe(0);
    await turn(page, 'Redis is stopped');
    await callUntil(page, '1 of 1 well');
  });

  test('ends the session when the whole login is revoked', async () => {
    const page = await enter('enterprise@finvera.test');
    await press(page, 'Revoke the whole login');
    await press(page, 'Call once');
    await seeLoginForm(page);
    await page.getByText('Log in again to go on.').waitFor();
  });

  test('is for the page’s own buttons: a form of another origin is refused', async () => {
    const headers = { 'Content-Type': 'text/plain', 'Sec-Fetch-Site': 'cross-site', Origin: 'http://evil.test' };
    const reply = await call(`${demo.url}/demo/faults/down`, { method: 'POST', headers, body: '{"active":true}' });
    expect(reply.status).toBe(403);
    expect((await call(`${demo.url}/demo/state`)).text).toContain('"faults":[]');
  });
});
