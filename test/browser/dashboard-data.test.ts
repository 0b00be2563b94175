// The dashboard's data in a real browser: news, search, live quotes, and what becomes of them while something is away.
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import { layCable } from '../support/cable.ts';
import {
  createVisits,
  type DashboardScene,
  logIn,
  startDashboardScene,
  type Visitor,
} from '../support/dashboard-scene.ts';
import { until } from '../support/until.ts';

jest.setTimeout(120_000);

let browser: Browser;
let scene: DashboardScene;
const visits = createVisits(() => browser);

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

async function enter(email?: string, url = scene.url): Promise<Visitor> {
  const visitor = await visits.arrive(url);
  await logIn(visitor.page, email);
  return visitor;
}

const news = (page: Page) => page.getByRole('region', { name: 'News events' });
const quotes = (page: Page) => page.getByRole('region', { name: 'Live quotes' });
const line = (page: Page) => page.locator('.chart .line').getAttribute('points');
const streamState = (page: Page, state: string) =>
  quotes(page).getByRole('status').filter({ hasText: state }).waitFor();

/** What finvera sends over the streams that are open. */
const subscribed = () =>
  scene.simulator.streams().flatMap(({ subscriptions }) => subscriptions.map(({ symbol }) => symbol));

async function lineMoves(page: Page): Promise<void> {
  await page.locator('.chart .line').waitFor();
  const before = await line(page);
  await until('the line moves', async () => (await line(page)) !== before);
}

describe('news', () => {
  test('are the latest, of one symbol where wanted, more on demand, each with its text', async () => {
    const { page, problems } = await enter();
    const items = news(page).getByRole('listitem');
    await items.first().waitFor();
    expect(await items.count()).toBe(6);
    expect(await items.first().locator('time').getAttribute('datetime')).toBe('2026-01-22T05:30:00.000Z');
    await items.first().locator('summary').click();
    await news(page).getByText('Simulated event 0400').waitFor();
    await news(page).getByRole('button', { name: 'Show more news' }).click();
    await until('twelve are shown', async () => (await items.count()) === 12);
    await quotes(page).getByRole('button', { name: 'MSFT', exact: true }).click();
    await news(page).getByRole('checkbox', { name: 'only MSFT' }).check();
    await until('all are about MSFT', async () => {
      const symbols = await items.locator('.symbol').allInnerTexts();
      return symbols.length > 0 && symbols.every((symbol) => symbol === 'MSFT');
    });
    expect(problems).toEqual([]);
  });

  test('stay on the screen while finvera fails, beside its reason', async () => {
    const { page } = await enter();
    await news(page).getByRole('listitem').first().waitFor();
    const fault = scene.simulator.addFault({ fault: 'status', status: 500, match: { call: 'data' } });
    await news(page).getByRole('button', { name: 'Reload the news' }).click();
    await news(page).getByRole('alert').filter({ hasText: 'Finvera answered 500' }).waitFor();
    expect(await news(page).getByRole('listitem').count()).toBe(6);
    fault.remove();
    await news(page).getByRole('button', { name: 'Try again' }).click();
    await news(page).getByRole('alert').waitFor({ state: 'detached' });
  });

  test('wait as long as finvera’s 429 says before another try', async () => {
    const { page } = await enter('standard@finvera.test');
    await news(page).getByRole('listitem').first().waitFor();
    scene.simulator.addFault({ fault: 'rate_limited', retryAfter: 2, match: { call: 'data' }, times: 1 });
    await news(page).getByRole('button', { name: 'Reload the news' }).click();
    const again = news(page).getByRole('button', { name: /^Try again/ });
    await again.waitFor();
    expect(await again.innerText()).toMatch(/^Try again in [12] s$/);
    expect(await again.isDisabled()).toBe(true);
    await again.click();
    await news(page).getByRole('alert').waitFor({ state: 'detached' });
  });
});

describe('the search', () => {
  test('finds by name, and what is found can be watched', async () => {
    const { page } = await enter();
    await page.getByRole('searchbox', { name: 'Search for' }).fill('alphabet');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Watch GOOGL' }).click();
    const row = quotes(page).getByRole('row', { name: /^GOOGL/ });
    await until('its quotes come', async () => /GOOGL\s+\d+\.\d\d/.test(await row.innerText()));
    await row.getByRole('button', { name: 'Stop watching GOOGL' }).click();
    await row.waitFor({ state: 'detached' });
    await until('finvera is told', () => !subscribed().includes('GOOGL'));
  });

  test('says when nothing is found', async () => {
    const { page } = await enter();
    await page.getByRole('searchbox', { name: 'Search for' }).fill('nobody');
    await page.keyboard.press('Enter');
    await page.getByText('Nothing was found.').waitFor();
  });
});

describe('live quotes', () => {
  test('move the chart, and its description says what it shows', async () => {
    const { page, problems } = await enter();
    await streamState(page, 'Live');
    await lineMoves(page);
    const chart = quotes(page).getByRole('img');
    expect(await chart.getAttribute('aria-label')).toMatch(
      /^AAPL in the last minute: now \d+\.\d\d, between \d+\.\d\d and \d+\.\d\d$/,
    );
    await quotes(page).getByRole('button', { name: 'TSLA', exact: true }).click();
    await until(
      'the chart is of TSLA',
      async () => (await chart.getAttribute('aria-label'))?.startsWith('TSLA') ?? false,
    );
    expect(problems).toEqual([]);
  });

  test('come back by themselves when the stream is cut, all of them', async () => {
    const { page } = await enter();
    await lineMoves(page);
    const before = scene.simulator.requests('stream').length;
    await page.getByRole('button', { name: 'Cut the stream' }).click();
    await until('the stream is opened anew', () => scene.simulator.requests('stream').length > before);
    await streamState(page, 'Live');
    await lineMoves(page);
    expect(subscribed().sort()).toEqual(['AAPL', 'AMZN', 'MSFT', 'NVDA', 'TSLA']);
  });

  test('come back after the browser was offline and its cable cut', async () => {
    const cable = await layCable(scene.gateway.port);
    try {
      const { context, page } = await enter(undefined, `http://localhost:${cable.port}`);
      await lineMoves(page);
      cable.cut();
      await context.setOffline(true);
      await page.getByText('You are offline.').waitFor();
      await streamState(page, 'Reconnecting…');
      await news(page).getByRole('button', { name: 'Reload the news' }).click();
      await news(page).getByText('network_error').waitFor();
      cable.mend();
      await context.setOffline(false);
      await page.getByText('You are offline.').waitFor({ state: 'detached' });
      await streamState(page, 'Live');
      await lineMoves(page);
      await news(page).getByRole('button', { name: 'Try again' }).click();
      await news(page).getByRole('alert').waitFor({ state: 'detached' });
      expect(await page.getByLabel('Password').count()).toBe(0);
    } finally {
      await cable.close();
    }
  });
});
