// The React hook of the examples, and the component in its README, as pages of an application: in two tabs, from login to logout.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { buildSync } from 'esbuild';
import type { Browser } from 'playwright-core';
import { buildDashboardIfStale } from '../../.ci/build-dashboard.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchBrowser } from '../support/browser.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';
import { readProjectFile } from '../unit/project/files.ts';

jest.setTimeout(120_000);

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
/** The component is as a reader copies it. */
const APPLICATION = `
import { createRoot } from 'react-dom/client';
import { askWhoIsThere, gateway, useSession } from './use-session.ts';
const LoginForm = ({ onSubmit }) =>
  <button onClick={() => onSubmit('demo@finvera.test', 'demo-password')}>Log in</button>;
${/```tsx\n([\s\S]*?)```/.exec(readProjectFile('examples/react-hook/README.md'))?.[1]}
createRoot(document.body).render(<Account />);`;

let folder: string;
let browser: Browser;
let simulator: Simulator;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'finvera-hook-'));
  // React is installed for the dashboard.
  buildDashboardIfStale();
  buildSync({
    stdin: { contents: APPLICATION, loader: 'tsx', resolveDir: at('examples/react-hook') },
    alias: { 'finvera-gateway/client': at('src/client/client.ts') },
    nodePaths: [at('examples/dashboard/node_modules')],
    outfile: join(folder, 'page.js'),
    define: { 'process.env.NODE_ENV': '"production"' },
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
  });
  const page = '<!doctype html><html lang="en"><title>hook</title><body><script type="module" src="/page.js"></script>';
  writeFileSync(join(folder, 'index.html'), page);
  simulator = await createSimulator();
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser?.close();
  await closeGateways();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('the hook says in every tab who is logged in, asks before the end, and says when it is over', async () => {
  // Always about to expire.
  const gateway = await startGateway(simulator, { env: { FRONTEND: folder, SESSION_IDLE_TIMEOUT: '100s' } });
  const context = await browser.newContext();
  const [first, second] = [await context.newPage(), await context.newPage()];
  const errors: Error[] = [];
  for (const page of [first, second]) {
    page.on('pageerror', (error) => errors.push(error));
    await page.goto(`http://localhost:${gateway.port}/`);
    await page.getByRole('button', { name: 'Log in' }).waitFor();
  }
  await first.getByRole('button', { name: 'Log in' }).click();
  for (const page of [first, second]) {
    await page.getByText('demo', { exact: false }).waitFor();
    await page.getByRole('button', { name: 'Stay logged in' }).waitFor();
  }
  await second.getByRole('button', { name: 'Stay logged in' }).click();
  await second.getByRole('button', { name: 'Log out' }).click();
  for (const page of [first, second]) await page.getByRole('button', { name: 'Log in' }).waitFor();
  expect(await context.cookies()).toEqual([]);
  expect(errors).toEqual([]);
  await context.close();
});
