// The demo as a visitor sees it: the real start.ts, the real gateway, a real browser.
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, BrowserContext, Page, Response } from 'playwright-core';
import type { RecordedRequest } from '../../simulator/journal.ts';
import { launchBrowser } from '../support/browser.ts';
import { type DemoProcess, startDemo } from '../support/demo-process.ts';
import { call, json } from '../support/http-client.ts';
import { createBrowser } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

jest.setTimeout(60_000);

/** The pictures of the documentation change only where that is wanted. */
const PICTURES = process.env.UPDATE_SCREENSHOTS
  ? fileURLToPath(new URL('../../docs/images', import.meta.url))
  : join(tmpdir(), 'finvera-gateway-pictures');

let demo: DemoProcess;
let browser: Browser;
const contexts: BrowserContext[] = [];
/** How many requests the earlier tests made. */
let requestsBefore = 0;

beforeAll(async () => {
  mkdirSync(PICTURES, { recursive: true });
  demo = await startDemo();
  browser = await launchBrowser();
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  // Not a reset: that would cut the quotes, and whoever is cut again and again is right to come back ever more slowly.
  await call(`${demo.simulatorUrl}/__sim/faults`, { method: 'DELETE' });
  requestsBefore = (await allReceived()).length;
  for (const email of ['demo@finvera.test', 'standard@finvera.test']) await endSessionsOf(email);
});
afterAll(async () => {
  await browser?.close();
  await demo?.end();
});

async function endSessionsOf(email: string): Promise<void> {
  const caller = createBrowser(demo.url);
  await caller.login(email);
  expect((await caller.fetch('/bff/sessions', { method: 'DELETE' })).status).toBe(204);
}

/** A visitor with a browser profile of their own, on the demo page. Any error in the page's console fails the test. */
async function visit(): Promise<{ page: Page; problems: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  contexts.push(context);
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  // The browser itself reports every 4xx of a fetch there.
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('the server responded with a status of 401')) {
      problems.push(message.text());
    }
  });
  await page.goto(`${demo.url}/`);
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  return { page, problems };
}

async function logIn(page: Page, { email, password }: { email?: string; password?: string } = {}): Promise<void> {
  if (email) await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password ?? 'demo-password');
  await press(page, 'Log in');
}

async function logInWell(page: Page, email?: string): Promise<void> {
  await logIn(page, email ? { email } : {});
  await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  await page.locator('#session-list li').first().waitFor();
}

const press = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: true }).click();
const body = (page: Page) => page.getByRole('region', { name: 'Body of the answer' });

describe('the demo page', () => {
  test('logs in and shows who the visitor is', async () => {
    const { page, problems } = await visit();
    await logInWell(page);
    expect(await page.locator('#user-name').innerText()).toBe('demo');
    expect(await page.locator('#user-email').innerText()).toBe('demo@finvera.test');
    expect(await page.locator('#user-tier').innerText()).toBe('enterprise');
    expect(problems).toEqual([]);
  });

  test('counts down what remains of session, idle time and token', async () => {
    const { page } = await visit();
    await logInWell(page);
    expect(await page.locator('#left-session').innerText()).toMatch(/^29\sd 23\sh 59\smin \d+\ss$/);
    expect(await page.locator('#left-idle').innerText()).toMatch(/^11\sh 59\smin \d+\ss$/);
    const readToken = async () => secondsIn(await page.locator('#left-token').innerText());
    const before = await readToken();
    expect(before).toBeGreaterThan(90);
    for (const wanted of [before - 1, before - 2]) {
      await until(`${wanted} s are left`, async () => (await readToken()) <= wanted);
    }
  });

  test('calls Finvera through the gateway and shows status, time and body', async () => {
    const { page, problems } = await visit();
    await logInWell(page);
    await press(page, 'Get an event');
    await page.locator('#call-result', { hasText: /^200 OK in \d+ ms, request \S+$/ }).waitFor();
    expect(JSON.parse(await body(page).innerText())).toMatchObject({ event_id: 'evt-0001' });
    await press(page, 'Search AAPL');
    await body(page).filter({ hasText: '"securities"' }).waitFor();
    expect(JSON.parse(await body(page).innerText()).securities[0]).toMatchObject({ symbol: 'AAPL' });
    expect(problems).toEqual([]);
  });

  test('shows the answer of Finvera when it is an error and stays logged in', async () => {
    const { page } = await visit();
    await logInWell(page);
    const fault = { fault: 'status', status: 500, match: { call: 'data' } };
    await call(`${demo.simulatorUrl}/__sim/faults`, { method: 'POST', body: JSON.stringify(fault) });
    await press(page, 'Get an event');
    await page.locator('#call-result', { hasText: /^500 / }).waitFor();
    expect(await page.getByRole('heading', { name: 'You are logged in' }).isVisible()).toBe(true);
  });

  test('renews the token when asked to', async () => {
    const { page } = await visit();
    await logInWell(page);
    await press(page, 'Renew the token now');
    await page.locator('#refresh-result', { hasText: 'Done.' }).waitFor();
    expect((await received('refresh')).length).toBe(1);
    expect(secondsIn(await page.locator('#left-token').innerText())).toBeGreaterThan(110);
  });

  test('stays logged in when the page is loaded again', async () => {
    const { page } = await visit();
    await logInWell(page);
    await page.reload();
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
  });

  test('lists the sessions of two browsers and ends the other one', async () => {
    const { page: first } = await visit();
    const { page: second } = await visit();
    await logInWell(first);
    await logInWell(second);
    await press(first, 'Reload');
    await first.locator('#session-list li').nth(1).waitFor();
    expect(await first.locator('#session-list .badge').count()).toBe(1);
    await press(first, /^End the session of Chrome \d+ on Linux/);
    await first.locator('#sessions-result', { hasText: 'The session is ended.' }).waitFor();
    expect(await first.locator('#session-list li').count()).toBe(1);
    await second.locator('#notice', { hasText: /^The session has ended, in another window/ }).waitFor();
    await press(second, 'Get an event');
    await second.getByRole('heading', { name: 'Log in' }).waitFor();
    expect(await second.locator('#session-view').isVisible()).toBe(false);
  });

  test('ends all other sessions and keeps its own', async () => {
    const { page: first } = await visit();
    await logInWell(first, 'standard@finvera.test');
    const { page: second } = await visit();
    await logInWell(second, 'standard@finvera.test');
    await press(second, 'End all others');
    await second.locator('#sessions-result', { hasText: 'All other sessions are ended.' }).waitFor();
    expect(await second.locator('#session-list li').count()).toBe(1);
    await press(first, 'Reload');
    await first.getByRole('heading', { name: 'Log in' }).waitFor();
  });

  test('logs out and is not let in again without a login', async () => {
    const { page } = await visit();
    await logInWell(page);
    await press(page, 'Log out');
    await page.locator('#notice', { hasText: 'You are logged out.' }).waitFor();
    expect(await page.context().cookies()).toEqual([]);
    await page.reload();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    expect(await page.locator('#notice').isVisible()).toBe(false);
  });

  test('names the code of a wrong password and lets the visitor try again', async () => {
    const { page, problems } = await visit();
    await logIn(page, { password: 'not-the-password' });
    await page.getByRole('alert').filter({ hasText: 'login_rejected' }).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('password');
    expect(await page.context().cookies()).toEqual([]);
    await logInWell(page);
    expect(problems).toEqual([]);
  });

  test('can be used by the keyboard alone', async () => {
    const { page } = await visit();
    const focused = () =>
      page.evaluate<string>('document.activeElement.id || document.activeElement.textContent.trim()');
    expect(await focused()).toBe('login-title');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('email');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    expect(await focused()).toBe('who-title');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('refresh');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Get an event');
    await page.keyboard.press('Enter');
    await body(page).filter({ hasText: 'evt-0001' }).waitFor();
    expect(await focused()).toBe('Get an event');
  });
});

describe('live quotes', () => {
  const state = (page: Page) => page.locator('#quotes-state');
  const numbers = (page: Page) =>
    page.evaluate<number[]>(
      '[...document.querySelectorAll("#quote-rows td:last-child")].map((cell) => Number(cell.textContent))',
    );
  const move = async (page: Page) => {
    const before = await numbers(page);
    await until('every price to move', async () => (await numbers(page)).every((each, i) => each > (before[i] ?? 0)));
  };

  test('move in every window, over one connection to Finvera', async () => {
    const { page: first, problems } = await visit();
    const { page: second } = await visit();
    for (const page of [first, second]) await logInWell(page);
    for (const page of [first, second]) {
      await state(page).filter({ hasText: 'Live' }).waitFor();
      await move(page);
    }
    const { streams } = json(await call(`${demo.simulatorUrl}/__sim/streams`)) as { streams: unknown[] };
    expect(streams).toHaveLength(1);
    expect(problems).toEqual([]);
  });

  test('stop where they are when the session is ended from another window, and only there', async () => {
    const { page: first } = await visit();
    const { page: second } = await visit();
    for (const page of [first, second]) {
      await logInWell(page);
      await move(page);
    }
    await press(first, 'Reload');
    await first.locator('#session-list li').nth(1).waitFor();
    await press(first, /^End the session of Chrome \d+ on Linux/);
    await state(second).filter({ hasText: 'closed with 4401' }).waitFor();
    const stopped = await numbers(second);
    expect(await second.locator('#notice').innerText()).toMatch(/^The session has ended, in another window/);
    await move(first);
    expect(await numbers(second)).toEqual(stopped);
    await press(second, 'Get an event');
    await second.getByRole('heading', { name: 'Log in' }).waitFor();
    await logInWell(second);
    await move(second);
  });
});

describe('six widgets', () => {
  const widgets = (page: Page) => page.locator('#widget-list li');
  const count = async (page: Page, id: string) => Number(await page.locator(`#${id}`).innerText());

  test('that poll cost Finvera a fraction of their calls, and each says where its answer is from', async () => {
    const { page, problems } = await visit();
    await logInWell(page);
    await press(page, 'Poll every 2 s');
    await until('a third round', async () => (await count(page, 'asked-gateway')) >= 18, 20_000);
    expect(await widgets(page).count()).toBe(6);
    expect(await widgets(page).allInnerTexts()).toContainEqual(expect.stringMatching(/^AAPL: Apple Inc\s+hit; ttl=/));
    await until('the count to be what Finvera received', async () => {
      return (await count(page, 'asked-finvera')) === (await received('data')).length;
    });
    expect((await received('data')).length).toBeLessThan(await count(page, 'asked-gateway'));
    expect(problems).toEqual([]);
    const button = page.getByRole('button', { name: 'Poll every 2 s' });
    expect(await button.getAttribute('aria-pressed')).toBe('true');
    await button.click();
    expect(await button.getAttribute('aria-pressed')).toBe('false');
  });
});

describe('what reaches the browser', () => {
  test('is one cookie that no script can read', async () => {
    const { page } = await visit();
    await logInWell(page);
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(await page.evaluate('localStorage.length + sessionStorage.length')).toBe(0);
    for (const id of ['seen-cookie', 'seen-local', 'seen-session']) {
      expect(await page.locator(`#${id}`).innerText()).toBe('empty');
    }
    const devtools = await page.context().newCDPSession(page);
    const { cookies } = await devtools.send('Network.getCookies', { urls: [demo.url] });
    expect(cookies).toHaveLength(1);
    expect(cookies[0]).toMatchObject({
      name: 'finvera_session',
      value: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      domain: 'localhost',
      path: '/',
      httpOnly: true,
      secure: false,
      sameSite: 'Strict',
      session: false,
    });
  });

  test('holds no token of Finvera in any header, body or address', async () => {
    const { page } = await visit();
    const answers: Response[] = [];
    page.on('response', (response) => answers.push(response));
    await logInWell(page);
    await press(page, 'Get an event');
    await body(page).filter({ hasText: 'evt-0001' }).waitFor();
    await press(page, 'Renew the token now');
    await page.locator('#refresh-result', { hasText: 'Done.' }).waitFor();
    await press(page, 'Search AAPL');
    await body(page).filter({ hasText: '"securities"' }).waitFor();
    await press(page, 'Log out');
    await page.locator('#notice', { hasText: 'You are logged out.' }).waitFor();

    const tokens = tokensIn(await received());
    expect(tokens.length).toBeGreaterThanOrEqual(3);
    const seen = (await Promise.all(answers.map(everythingIn))).join('\n');
    expect(seen).toContain('evt-0001');
    expect(seen).toContain('set-cookie: finvera_session=');
    for (const token of tokens) expect(seen).not.toContain(token);
    for (const trace of ['DT_AUTH_TOKEN', 'DT_REFRESH_TOKEN', 'eyJ']) expect(seen).not.toContain(trace);
  });

  test('comes from the gateway alone', async () => {
    const { page } = await visit();
    const origins = new Set<string>();
    page.on('request', (request) => origins.add(new URL(request.url()).origin));
    await page.reload();
    await logInWell(page);
    expect([...origins]).toEqual([demo.url]);
  });
});

describe('the pictures of the demo', () => {
  async function shoot(page: Page, name: string): Promise<void> {
    await page.mouse.move(0, 0);
    expect(await page.evaluate('document.documentElement.scrollWidth - window.innerWidth')).toBeLessThanOrEqual(0);
    await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
  }

  test('show it wide and narrow, light and dark, and nothing is wider than the window', async () => {
    const { page: other } = await visit();
    await logInWell(other);
    const { page } = await visit();
    await shoot(page, 'demo-login');
    await logInWell(page);
    await press(page, 'Get an event');
    await body(page).filter({ hasText: 'evt-0001' }).waitFor();
    await press(page, 'Poll every 2 s');
    await until('a third round', async () => Number(await page.locator('#asked-gateway').innerText()) >= 18, 20_000);
    await shoot(page, 'demo');
    await page.emulateMedia({ colorScheme: 'dark' });
    await shoot(page, 'demo-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 390, height: 844 });
    await shoot(page, 'demo-narrow');
  });
});

/** `1 h 2 min 3 s` is 3723. */
function secondsIn(text: string): number {
  const sizes: Record<string, number> = { d: 86_400, h: 3600, min: 60, s: 1 };
  const parts = [...text.matchAll(/(\d+)\s(d|h|min|s)/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (sizes[unit ?? ''] ?? 0), 0);
}

async function received(kind = ''): Promise<RecordedRequest[]> {
  const requests = (await allReceived()).slice(requestsBefore);
  return requests.filter((request) => kind === '' || request.call === kind);
}

async function allReceived(): Promise<RecordedRequest[]> {
  return (json(await call(`${demo.simulatorUrl}/__sim/requests`)) as { requests: RecordedRequest[] }).requests;
}

/** Every access and refresh token that Finvera was sent. */
function tokensIn(requests: readonly RecordedRequest[]): string[] {
  const text = requests.flatMap(({ rawHeaders }) => rawHeaders).join('\n');
  const found = [...text.matchAll(/(?:Bearer |DT_AUTH_TOKEN=|DT_REFRESH_TOKEN=)([^\s;]+)/gi)];
  return [...new Set(found.map(([, token]) => token ?? ''))];
}

async function everythingIn(response: Response): Promise<string> {
  const headers = await response.headersArray();
  const hasBody = ![204, 304].includes(response.status());
  const text = hasBody ? (await response.body()).toString('latin1') : '';
  return [response.url(), ...headers.map(({ name, value }) => `${name.toLowerCase()}: ${value}`), text].join('\n');
}
