// The blocks of README.md that one copies: each is taken from there, given the addresses of this test, and run.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { readCommandLine } from '../../simulator/command-line.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { launchBrowser } from '../support/browser.ts';
import { ensureBuilt } from '../support/built-gateway.ts';
import { call, json } from '../support/http-client.ts';
import { startRedis } from '../support/redis-server.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';
import { ROOT, readProjectFile } from '../unit/project/files.ts';

jest.setTimeout(120_000);

const README = readProjectFile('README.md');
const PAGE = '<!doctype html><html lang="en"><title>your app</title></html>';
const LOGIN = "const [email, password] = ['demo@finvera.test', 'demo-password'];";

/** The first block of a language below a heading, or the one after it. */
function block(heading: string, language: string, index = 0): string {
  const below = README.split(new RegExp(`^#+ ${heading}$`, 'm'))[1]?.split(/^#+ [A-Z]/m)[0] ?? '';
  const found = [...below.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))][index]?.[1];
  if (found === undefined) throw new Error(`README.md has no such ${language} block below ${heading}`);
  return found;
}

/** What a block sets: `NAME=value npm start`, or `export NAME=value …`. */
function settingsIn(shell: string): Record<string, string> {
  return Object.fromEntries(
    [...shell.matchAll(/\b([A-Z_]+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]),
  );
}

let browser: Browser;
let simulator: Simulator;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'finvera-readme-'));
  writeFileSync(join(folder, 'index.html'), PAGE);
  simulator = await createSimulator({ quoteRate: 5 });
  browser = await launchBrowser();
});
afterEach(closeGateways);
afterAll(async () => {
  await browser?.close();
  await simulator?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @returns what the code gives to `done`. */
async function runIn(page: Page, code: string): Promise<unknown> {
  await page.addScriptTag({ type: 'module', content: `const done = (value) => { window.value = value; };\n${code}` });
  const value = await page.waitForFunction('window.value');
  return await value.jsonValue();
}

async function openAt(address: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${address}/`);
  expect(await page.title()).toBe('your app');
  return page;
}

describe('the blocks of README.md', () => {
  test('a dev server: the setting brings its pages, and the code beside it logs in and calls', async () => {
    const devServer = createServer((_req, res) => res.setHeader('Content-Type', 'text/html').end(PAGE));
    await new Promise<void>((resolve) => devServer.listen(0, 'localhost', resolve));
    const env = settingsIn(block('A dev server with hot reload', 'sh'));
    expect(env).toEqual({ FRONTEND: 'http://localhost:5173' });
    const FRONTEND = env.FRONTEND?.replace('5173', String((devServer.address() as AddressInfo).port)) ?? '';
    const gateway = await startGateway(simulator, { env: { FRONTEND } });
    const page = await openAt(`http://localhost:${gateway.port}`);
    const code = `${LOGIN}\n${block('Next to your frontend', 'js')}\ndone(await event.json());`;
    expect(await runIn(page, code)).toMatchObject({ event_id: 'evt-0001' });
    await page.close();
    devServer.closeAllConnections();
    devServer.close();
  });

  test('a built folder, and the browser client in its page', async () => {
    const env = settingsIn(block('A built folder', 'sh'));
    expect(env).toEqual({ FRONTEND: './dist-of-your-app' });
    const gateway = await startGateway(simulator, { env: { FRONTEND: folder } });
    const page = await openAt(`http://localhost:${gateway.port}`);
    const lines: string[] = [];
    page.on('console', (message) => lines.push(message.text()));
    const code = `${LOGIN}\n${block('The browser client', 'js')}
      stream.on('message', ({ type, symbol }) => type === 'quote' && answer.json().then(({ event_id }) => done([event_id, symbol])));
      window.gateway = gateway;`;
    expect(await runIn(page, code)).toEqual(['evt-0001', 'AAPL']);
    await page.evaluate('gateway.logout()');
    await until('told', () => lines.includes('show the login: logout'), 10_000);
    await page.close();
  });

  test('a simulated Finvera: its command is one, and the address is where it listens', () => {
    const shell = block('Next to your frontend', 'sh');
    const flags = /^npm run simulator -- (.*?)\s+#/m.exec(shell)?.[1]?.split(' ') ?? [];
    expect(readCommandLine(flags)).toMatchObject({ kind: 'start', options: { port: 4000, quoteRate: 1 } });
    expect(settingsIn(shell)).toEqual({ FINVERA_URL: 'http://localhost:4000' });
  });

  test('an origin of its own: the page there calls with credentials', async () => {
    const pages = await startGateway(simulator, { env: { FRONTEND: folder } });
    const own = `http://localhost:${pages.port}`;
    const env = settingsIn(block('An origin of its own', 'sh'));
    expect(env).toEqual({ PUBLIC_URL: 'https://api.example.com', ALLOWED_ORIGINS: 'https://app.example.com' });
    const gateway = await startGateway(simulator, { env: { ALLOWED_ORIGINS: own } });
    const address = `http://localhost:${gateway.port}`;
    const page = await openAt(own);
    const client = `(await import('${address}/bff/client.js')).createGatewayClient({ baseUrl: '${address}' })`;
    const code = block('An origin of its own', 'js').replace(env.PUBLIC_URL ?? '', address);
    expect(
      await runIn(page, `${LOGIN}\nawait ${client}.login(email, password);\n${code}\ndone(await event.json());`),
    ).toMatchObject({ event_id: 'evt-0001' });
    await page.close();
  });

  test('nginx: each line stands in the whole configuration, which is tested as it is', () => {
    const whole = readProjectFile('deploy/nginx/gateway.conf')
      .split('\n')
      .map((line) => line.trim());
    const lines = block('Same origin, behind nginx', 'nginx').split('\n');
    expect(lines.map((line) => line.trim()).filter((line) => !whole.includes(line))).toEqual([]);
  });

  test('production: the commands check the settings and start, and a browser behind nginx logs in', async () => {
    ensureBuilt();
    const redis = await startRedis();
    // Built already; and the address of Redis is this test's.
    const shell = block('Same origin, behind nginx', 'sh').replace('redis://127.0.0.1:6379', redis.url);
    const child = spawn(
      'bash',
      ['-ec', `npm() { :; }\n${shell.replace(/\nnode dist\/main\.js\n$/, '\nexec node dist/main.js\n')}`],
      {
        cwd: ROOT,
        env: {
          PATH: process.env.PATH,
          PORT: '0',
          MANAGEMENT_PORT: '0',
          FINVERA_URL: simulator.url,
          SHUTDOWN_DELAY: '0s',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const ended = new Promise((resolve) => child.once('close', resolve));
    try {
      const port = await portOf(child);
      const reply = await call(`http://127.0.0.1:${port}/bff/login`, {
        method: 'POST',
        headers: {
          Host: 'app.example.com',
          'X-Forwarded-For': '203.0.113.9',
          'X-Forwarded-Proto': 'https',
          Origin: 'https://app.example.com',
          'Sec-Fetch-Site': 'same-origin',
          'Content-Type': 'application/json',
        },
        body: JSON.stringify({ email: 'demo@finvera.test', password: 'demo-password' }),
      });
      expect([reply.status, json(reply).user?.email]).toEqual([200, 'demo@finvera.test']);
      expect(reply.setCookies[0]).toMatch(/^__Host-finvera_session=.*; Secure; SameSite=Strict/);
    } finally {
      child.kill('SIGTERM');
      await ended;
      await redis.close();
    }
  });
});

/** Once it is ready. */
async function portOf(child: ChildProcess): Promise<string> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += String(chunk)));
  const ready = () => /"address":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(output)?.[1];
  await until('ready', () => ready() !== undefined || child.exitCode !== null, 20_000);
  expect({ output, isReady: ready() !== undefined }).toMatchObject({ isReady: true });
  return ready() ?? '';
}
