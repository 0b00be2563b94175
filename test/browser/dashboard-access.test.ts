// The dashboard for everybody: without a mouse, for screen readers (axe), light and dark, wide and narrow; its pictures.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import {
  createVisits,
  type DashboardScene,
  logIn,
  seeDashboard,
  startDashboardScene,
  tryLogin,
  type VisitorOptions,
} from '../support/dashboard-scene.ts';
import { until } from '../support/until.ts';

jest.setTimeout(120_000);

/** The pictures of the documentation change only where that is wanted. */
const PICTURES = process.env.UPDATE_SCREENSHOTS
  ? fileURLToPath(new URL('../../docs/images', import.meta.url))
  : join(tmpdir(), 'finvera-gateway-pictures');
/** How long the chart's line is in the documentation's pictures. */
const CHART_MS = process.env.UPDATE_SCREENSHOTS ? 58_000 : 1_000;
/** It goes in through the debugger: the page's policy would not have it. */
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SCHEMES = ['light', 'dark'] as const;

let browser: Browser;
let scene: DashboardScene;
/** Its sessions are always about to expire. */
let expiring: DashboardScene;
const visits = createVisits(() => browser);

beforeAll(async () => {
  mkdirSync(PICTURES, { recursive: true });
  browser = await launchBrowser();
  scene = await startDashboardScene({ simulator: { quoteRate: 2 } });
  expiring = await startDashboardScene({ env: { SESSION_IDLE_TIMEOUT: '110s' } });
});
afterEach(async () => {
  await visits.end();
});
afterAll(async () => {
  await browser?.close();
  await scene?.close();
  await expiring?.close();
});

const arrive = async (url = scene.url, options: VisitorOptions = {}) => (await visits.arrive(url, options)).page;

/** Resolves when everything that loads has loaded. */
async function settle(page: Page): Promise<void> {
  await page.locator('.chart .line').waitFor();
  await page.locator('.events li').first().waitFor();
  await page.locator('.devices li').first().waitFor();
  await page.getByRole('region', { name: 'Trouble on demand' }).waitFor();
}

/** What axe finds that somebody could not use the page for. */
async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<AxeResults>('axe.run(document, { resultTypes: ["violations"] })');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`));
}

const focused = (page: Page) =>
  page.evaluate<string>(
    '(document.activeElement.getAttribute("aria-label") ?? document.activeElement.name) || document.activeElement.innerText',
  );

async function tabTo(page: Page, name: string): Promise<void> {
  const passed: string[] = [];
  while (!passed.at(-1)?.startsWith(name)) {
    await page.keyboard.press('Tab');
    passed.push((await focused(page)).trim());
    if (passed.length > 60) throw new Error(`${name} is not reached by Tab: ${passed.join(', ')}`);
  }
}

describe('axe finds nothing serious', () => {
  test.each(SCHEMES)('on the login form and its error, %s', async (colorScheme) => {
    const page = await arrive();
    await page.emulateMedia({ colorScheme });
    expect(await seriousFindings(page)).toEqual([]);
    await tryLogin(page, 'wrong');
    await page.getByText('login_rejected').waitFor();
    expect(await seriousFindings(page)).toEqual([]);
  });

  test.each(SCHEMES)('on the dashboard with news, search results and an error, %s', async (colorScheme) => {
    const page = await arrive();
    await page.emulateMedia({ colorScheme });
    await logIn(page);
    await settle(page);
    await page.getByRole('searchbox').fill('inc');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Watch META' }).waitFor();
    await page.locator('.events summary').first().click();
    const fault = scene.simulator.addFault({ fault: 'status', status: 500, match: { call: 'data' } });
    await page.getByRole('button', { name: 'Reload the news' }).click();
    await page.getByText('Finvera answered 500').waitFor();
    fault.remove();
    expect(await seriousFindings(page)).toEqual([]);
  });

  test.each(SCHEMES)('on the dialog before the session ends, %s', async (colorScheme) => {
    const page = await arrive(expiring.url);
    await page.emulateMedia({ colorScheme });
    await logIn(page);
    await page.getByRole('dialog').waitFor();
    expect(await seriousFindings(page)).toEqual([]);
  });

  test('and would, where there is something', async () => {
    const page = await arrive();
    await page.evaluate(
      'document.querySelector("form input").closest("label").replaceWith(document.querySelector("form input"))',
    );
    expect(await seriousFindings(page)).toEqual([expect.stringMatching(/^label: /)]);
  });
});

describe('without a mouse', () => {
  test('somebody logs in, chooses a symbol, reads the news, and logs out', async () => {
    const page = await arrive();
    await tabTo(page, 'password');
    await page.keyboard.type('demo-password');
    await page.keyboard.press('Enter');
    await seeDashboard(page);
    expect(await focused(page)).toContain('Finvera dashboard');
    await settle(page);
    await tabTo(page, 'NVDA');
    await page.keyboard.press('Enter');
    await until('the chart is of NVDA', async () =>
      ((await page.getByRole('img').last().getAttribute('aria-label')) ?? '').startsWith('NVDA'),
    );
    await tabTo(page, 'AMD');
    await page.keyboard.press('Enter');
    await page.getByText('Simulated event 0400').waitFor();
    await page.reload();
    await seeDashboard(page);
    await page.keyboard.press('Shift+Tab');
    expect(await focused(page)).toContain('Skip to the content');
    await tabTo(page, 'Log out');
    await page.keyboard.press('Enter');
    await page.getByText('You are logged out.').waitFor();
    expect(await focused(page)).toContain('Finvera dashboard');
  });

  test('the dialog has the focus, keeps it, and takes Escape for a sign of life', async () => {
    const page = await arrive(expiring.url);
    await logIn(page);
    await page.getByRole('dialog').waitFor();
    expect(await focused(page)).toBe('Stay logged in');
    await page.keyboard.press('Tab');
    expect(await focused(page)).toBe('Log out');
    const before = expiring.gateway.logLines().filter(({ path }) => path === '/bff/session').length;
    await page.keyboard.press('Escape');
    await until(
      'the gateway is told',
      () => expiring.gateway.logLines().filter(({ path }) => path === '/bff/session').length > before,
    );
    await seeDashboard(page);
  });
});

describe('the pictures', () => {
  async function shoot(page: Page, name: string): Promise<void> {
    await page.mouse.move(0, 0);
    expect(await page.evaluate('document.documentElement.scrollWidth - window.innerWidth')).toBeLessThanOrEqual(0);
    await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  }

  test('show it wide and narrow, light and dark, and nothing is wider than the window', async () => {
    const login = await arrive();
    await tryLogin(login, 'wrong');
    await login.getByText('login_rejected').waitFor();
    await login.setViewportSize({ width: 480, height: 560 });
    await shoot(login, 'dashboard-login');

    const page = await arrive();
    await logIn(page);
    await settle(page);
    const startedAt = performance.now();
    await page.getByRole('searchbox').fill('alphabet');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Watch GOOGL' }).waitFor();
    await page.getByRole('button', { name: 'Revoke the token' }).click();
    await page.getByRole('button', { name: 'Call 20 times at once' }).click();
    await page.getByText('20 of 20 well').waitFor();
    await page.getByText('POST /kms/api/v1/auth/refresh → 200').scrollIntoViewIfNeeded();
    await until('the line is long enough', () => performance.now() - startedAt > CHART_MS, 2 * CHART_MS + 10_000);
    await shoot(page, 'dashboard');
    await page.emulateMedia({ colorScheme: 'dark' });
    await shoot(page, 'dashboard-dark');
    await page.setViewportSize({ width: 390, height: 844 });
    await shoot(page, 'dashboard-narrow-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await shoot(page, 'dashboard-narrow');

    const asked = await arrive(expiring.url, { width: 800, height: 600 });
    await logIn(asked);
    await asked.getByRole('dialog').waitFor();
    await asked.screenshot({ path: join(PICTURES, 'dashboard-expiring.png') });
  });
});
