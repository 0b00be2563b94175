// The package as `npm pack` makes it: installed in an empty folder, it runs, and its types are right.
import { spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { createSimulator } from '../../simulator/simulator.ts';
import { ensureBuilt } from '../support/built-gateway.ts';
import { json } from '../support/http-client.ts';
import { createBrowser } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';
import { ROOT } from '../unit/project/files.ts';

jest.setTimeout(120_000);

let folder: string;
let installed: string;

beforeAll(() => {
  ensureBuilt();
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'finvera-gateway-package-')));
  // Built already: the script that builds before a pack must not build once more, under other tests.
  const packed = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT);
  expect(packed.status).toBe(0);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
  const modules = join(folder, 'node_modules');
  installed = join(modules, 'finvera-gateway');
  mkdirSync(installed, { recursive: true });
  run('tar', ['-xzf', join(folder, tarball), '-C', installed, '--strip-components=1'], folder);
  // What npm would fetch is what is here: the dependencies, and nothing that is only for development.
  for (const name of Object.keys(manifest().dependencies)) linkModule(modules, name);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(command: string, args: readonly string[], cwd: string) {
  return spawnSync(command, args, { cwd, encoding: 'utf8' });
}
const manifest = () => JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
function linkModule(modules: string, name: string): void {
  mkdirSync(join(modules, name, '..'), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
}

test('holds what runs, and no source, test or secret', () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' });
  for (const wanted of [
    'dist/main.js',
    'dist/library.d.ts',
    'dist/client/client.d.ts',
    'dist/client/bundle.js',
    'config/gateway.yaml',
  ]) {
    expect(files).toContain(wanted);
  }
  expect(files.filter((file) => /^(?:src|test|simulator|bench|\.ci|deploy)\b|\.test\.|\.env/.test(file))).toEqual([]);
});

test('does the main job in an empty folder, as the command finvera-gateway', async () => {
  const simulator = await createSimulator();
  const command = join(installed, manifest().bin['finvera-gateway']);
  expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const child = spawn(process.execPath, [command], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: '0', MANAGEMENT_PORT: '0', FINVERA_URL: simulator.url },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += String(chunk);
  });
  await until('ready', () => /"address":"[^"]+"/.test(output), 20_000);
  const port = /"address":"[^"]*:(\d+)"/.exec(output)?.[1];
  const browser = createBrowser(`http://127.0.0.1:${port}`);
  expect((await browser.login()).status).toBe(200);
  expect(json(await browser.fetch('/delivery/api/v1/events/evt-0001'))).toMatchObject({ event_id: 'evt-0001' });
  expect((await browser.fetch('/bff/client.js')).text).toContain('createGatewayClient');
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  await simulator.close();
});

/** A front end's own program: no types of Node's, those of the browser, and a bundler. */
const PAGE = `
import { createGatewayClient, GatewayError, type SessionAnswer } from 'finvera-gateway/client';
const gateway = createGatewayClient({ baseUrl: 'https://app.example.com' });
export async function start(): Promise<SessionAnswer | undefined> {
  const stop: () => void = gateway.on('signedOut', (reason: string) => console.log(reason));
  gateway.on('signedIn', ({ user }) => console.log(user.licensing_tier_id.toUpperCase()));
  // @ts-expect-error there is no such event
  gateway.on('signedUp', () => undefined);
  // @ts-expect-error a login has a password
  await gateway.login('demo@finvera.test').catch(() => stop());
  const response: Response = await gateway.fetch(new URL('/delivery', location.href), { method: 'GET' });
  const stream = gateway.stream({ query: { view: 'all' } });
  stream.on('closed', ({ code }: { code: number }) => console.log(code));
  stream.subscribe('AAPL', { type: 'quote' });
  try {
    return await gateway.session();
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'login_rejected') console.log(error.requestId?.length, response.ok);
    // @ts-expect-error there is no such code
    if (error instanceof GatewayError && error.code === 'login_refused') return undefined;
    throw error;
  }
}
`;
const SERVER = `
import { createServer } from 'node:http';
import { createGateway, SettingsError, type GatewaySettings } from 'finvera-gateway';
const settings: GatewaySettings = { sessionIdleTimeout: '12h', port: 0, routes: [{ path: '/delivery' }] };
// @ts-expect-error there is no such setting
const wrong: GatewaySettings = { sessionIdleTime: '12h' };
const gateway = createGateway(settings);
const server = createServer(gateway.handler);
gateway.hardenServer(server);
server.on('upgrade', (req, socket, head) => gateway.upgrade(req, socket, head) || socket.destroy());
export const problems = (error: unknown): readonly string[] => (error instanceof SettingsError ? error.problems : [String(wrong)]);
`;

test.each([
  [
    'a page that a bundler makes',
    PAGE,
    { lib: ['ES2022', 'DOM'], types: [], module: 'ESNext', moduleResolution: 'bundler' },
  ],
  [
    'a server',
    SERVER,
    {
      lib: ['ES2024'],
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
      module: 'NodeNext',
      moduleResolution: 'NodeNext',
    },
  ],
])('has types that %s compiles with, strictly', (name, source, options) => {
  const own = mkdtempSync(join(folder, 'program-'));
  writeFileSync(join(own, 'program.ts'), source);
  writeFileSync(join(own, 'package.json'), '{"type":"module"}');
  const compilerOptions = {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: name === 'a server',
    target: 'ES2022',
    ...options,
  };
  writeFileSync(join(own, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
  const { stdout } = run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', own], own);
  expect(stdout).toBe('');
});

test('the client of the package is the one that is served, before it is made small', async () => {
  const { createGatewayClient } = await import(join(installed, 'dist/client/client.js'));
  expect(createGatewayClient({ baseUrl: 'https://app.example.com' })).toHaveProperty('stream');
});
