// The dashboard in a real browser: a simulated Finvera, a gateway in this process, and visitors with profiles of their own.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { type Dashboard, startDashboard } from '../../examples/demo/dashboard.ts';
import type { SimulatorOptions } from '../../simulator/settings.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { startGateway, type TestGateway } from './test-gateway.ts';

export interface DashboardScene {
  /** The page's address, without a slash at the end. */
  readonly url: string;
  readonly simulator: Simulator;
  readonly gateway: TestGateway;
  readonly dashboard: Dashboard;
  close(): Promise<void>;
}

export interface DashboardSceneOptions {
  readonly simulator?: SimulatorOptions;
  /** The gateway's variables. */
  readonly env?: Readonly<Record<string, string>>;
}

export async function startDashboardScene(options: DashboardSceneOptions = {}): Promise<DashboardScene> {
  const simulator = await createSimulator({ quoteRate: 5, ...options.simulator });
  const dashboard = await startDashboard(simulator);
  const env = { ...dashboard.settings, COOKIE_SECURE: 'false', ...options.env };
  const gateway = await startGateway(simulator, { env });
  return {
    url: `http://localhost:${gateway.port}`,
    simulator,
    gateway,
    dashboard,
    async close() {
      await gateway.close();
      await dashboard.close();
      await simulator.close();
    },
  };
}

export interface Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page's console and errors said; a refusal that the browser reports by itself is no problem of the page's. */
  readonly problems: string[];
}

export interface VisitorOptions {
  readonly width?: number;
  readonly height?: number;
}

/** A visitor whose profile nobody else shares, at the login form. */
async function visit(browser: Browser, url: string, options: VisitorOptions = {}): Promise<Visitor> {
  const { width = 1280, height = 900 } = options;
  const context = await browser.newContext({ viewport: { width, height } });
  const { page, problems } = await openTab(context, url);
  await page.getByLabel('Password').waitFor();
  return { context, page, problems };
}

/** A test file's visitors, and the scenes that single tests have of their own: `end` sends all of them home. */
export interface Visits {
  arrive(url: string, options?: VisitorOptions): Promise<Visitor>;
  another(options: DashboardSceneOptions): Promise<DashboardScene>;
  end(): Promise<void>;
}

export function createVisits(browser: () => Browser): Visits {
  const visitors: Visitor[] = [];
  const scenes: DashboardScene[] = [];
  return {
    async arrive(url, options) {
      const visitor = await visit(browser(), url, options);
      visitors.push(visitor);
      return visitor;
    },
    async another(options) {
      const scene = await startDashboardScene(options);
      scenes.push(scene);
      return scene;
    },
    async end() {
      await Promise.all(visitors.splice(0).map(({ context }) => context.close()));
      await Promise.all(scenes.splice(0).map((scene) => scene.close()));
    },
  };
}

/** Another tab of the same profile. */
export async function openTab(context: BrowserContext, url: string): Promise<{ page: Page; problems: string[] }> {
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    const isOurs = !/^(?:Failed to load resource|WebSocket connection to)/.test(message.text());
    if (message.type() === 'error' && isOurs) problems.push(message.text());
  });
  await page.goto(`${url}/`);
  return { page, problems };
}

/** Fills the form in and sends it. */
export async function tryLogin(page: Page, password = 'demo-password', email = 'demo@finvera.test'): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
}

/** Resolves on the dashboard. */
export async function logIn(page: Page, email?: string): Promise<void> {
  await tryLogin(page, undefined, email);
  await seeDashboard(page);
}

export const seeDashboard = (page: Page): Promise<void> =>
  page.getByRole('heading', { name: 'Live quotes' }).waitFor({ timeout: 10_000 });

export const seeLoginForm = (page: Page): Promise<void> => page.getByLabel('Password').waitFor({ timeout: 10_000 });
