// The package as `npm pack` makes it: installed in an empty folder, it runs, and its types are right.
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
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
import { buildSync } from 'esbuild';
import { createSimulator } from '../../simulator/simulator.ts';
import { ensureBuilt } from '../support/built-gateway.ts';
import { json } from '../support/http-client.ts';
import { createBrowser } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';
import { ROOT, readPackage } from '../unit/project/files.ts';

jest.setTimeout(120_000);

let folder: string;
let installed: string;
/** What `npm pack` says of it. */
let tarballSum: string;

beforeAll(() => {
  ensureBuilt();
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'finvera-gateway-package-')));
  // Built already: the script that builds before a pack must not build once more, under other tests.
  const packed = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], ROOT);
  expect(packed.status).toBe(0);
  tarballSum = integrityIn(packed.stdout);
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
const integrityIn = (report: string) => /"integrity": "(sha512-[^"]+)"/.exec(report)?.[1] ?? report;
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

test('is the same, byte for byte, built once more, later and elsewhere', () => {
  const copy = mkdtempSync(join(folder, 'built-elsewhere-'));
  const { files } = readPackage();
  const sources = ['package.json', 'README.md', 'tsconfig.json', 'tsconfig.build.json', '.ci', 'src'];
  for (const path of [...sources, ...files.filter((file) => file !== 'dist')]) {
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const packed = run('npm', ['pack', '--json', '--pack-destination', copy], copy);
  expect([packed.status, integrityIn(packed.stdout)]).toEqual([0, tarballSum]);
});

test('does the main job in an empty folder, as the command finvera-gateway', async () => {
  const simulator = await createSimulator();
  const command = join(installed, manifest().bin['finvera-gateway']);
  expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env -S node --\S+ --\S+\n/);
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
import {
  createGatewayClient, GatewayError,
  type ClientErrorCode, type GatewayErrorCode, type GatewayStream, type ListedSession, type ServerErrorCode,
  type SessionAnswer, type SessionEventMap, type StreamEventMap, type StreamState,
} from 'finvera-gateway/client';
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

const gateway = createGatewayClient({ baseUrl: 'https://app.example.com' });
same<ReturnType<typeof gateway.login>, Promise<SessionAnswer>>(true);
same<ReturnType<typeof gateway.session>, Promise<SessionAnswer | undefined>>(true);
same<ReturnType<typeof gateway.sessions>, Promise<readonly ListedSession[]>>(true);
same<ReturnType<typeof gateway.logout>, Promise<void>>(true);
same<ReturnType<typeof gateway.endSession>, Promise<void>>(true);
same<ReturnType<typeof gateway.stream>, GatewayStream>(true);
// In place of the global one: whoever takes a fetch takes this.
const replaced: typeof fetch = gateway.fetch;
same<SessionEventMap, { signedIn: SessionAnswer; signedOut: string; refreshed: undefined; expiring: 'idle' | 'absolute' }>(true);
same<StreamEventMap['state'], StreamState>(true);
same<StreamState, 'connecting' | 'open' | 'waiting' | 'closed'>(true);
same<GatewayErrorCode, ServerErrorCode | ClientErrorCode>(true);
same<ClientErrorCode, 'invalid_use' | 'network_error' | 'cookie_refused' | 'unexpected_answer'>(true);
same<GatewayError['requestId'], string | undefined>(true);
// A test of types that could not fail would be none.
// @ts-expect-error these are not the same
same<string, string | undefined>(true);

// @ts-expect-error there is no such option
createGatewayClient({ baseURL: 'https://app.example.com' });
// @ts-expect-error what is listed is not the page's to change
void gateway.sessions().then(([session]) => { if (session) session.current = true; });
// @ts-expect-error nobody gets a token from it
void gateway.session().then((answer) => answer?.session.access_token);
// @ts-expect-error a stream's query is text
gateway.stream({ query: { limit: 5 } });
// @ts-expect-error an error is not changed
export const change = (error: GatewayError) => { error.code = 'not_found'; };

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
    if (error instanceof GatewayError && error.code === 'login_rejected') console.log(error.requestId?.length, response.ok, replaced);
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

test('has types that a page compiles with, strictly, and so does the React hook of the examples', () => {
  const example = (name: string) => readFileSync(join(ROOT, 'examples/react-hook', name), 'utf8');
  const component = /```tsx\n([\s\S]*?)```/.exec(example('README.md'))?.[1] ?? '';
  linkModule(join(folder, 'node_modules'), '@types/react');
  linkModule(join(folder, 'node_modules'), 'csstype');
  const files = {
    'page.ts': PAGE,
    'use-session.ts': example('use-session.ts'),
    'account.tsx': `import { askWhoIsThere, gateway, useSession } from './use-session.js';
declare function LoginForm(props: { onSubmit: (email: string, password: string) => void }): React.JSX.Element;
${component}
export { Account };`,
  };
  const options = { lib: ['ES2022', 'DOM'], types: ['react'], module: 'ESNext', moduleResolution: 'bundler' };
  expect(compile(files, { ...options, jsx: 'preserve' })).toBe('');
});

test('has types that a server compiles with, strictly', () => {
  linkModule(join(folder, 'node_modules'), '@types/node');
  linkModule(join(folder, 'node_modules'), 'undici-types');
  const options = { lib: ['ES2024'], types: ['node'], module: 'NodeNext', moduleResolution: 'NodeNext' };
  // The declarations of Node and of other packages are not ours to check.
  expect(compile({ 'server.ts': SERVER }, { ...options, skipLibCheck: true })).toBe('');
});

/** @returns what the compiler has to say. */
function compile(files: Readonly<Record<string, string>>, options: object): string {
  const own = mkdtempSync(join(folder, 'program-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
  writeFileSync(join(own, 'package.json'), '{"type":"module"}');
  const compilerOptions = {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    target: 'ES2022',
    ...options,
  };
  writeFileSync(join(own, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }));
  return run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', own], own).stdout;
}

test('what a page does not use of the client is not in its bundle', () => {
  const sizeOf = (source: string) => {
    const { outputFiles } = buildSync({
      stdin: { contents: source, resolveDir: folder },
      bundle: true,
      write: false,
      format: 'esm',
      minify: true,
      logLevel: 'error',
    });
    return outputFiles[0]?.text.length ?? 0;
  };
  const whole = sizeOf("import { createGatewayClient } from 'finvera-gateway/client'; createGatewayClient();");
  const error = sizeOf("import { GatewayError } from 'finvera-gateway/client'; console.log(GatewayError);");
  expect(whole).toBeGreaterThan(3_000);
  expect(error).toBeLessThan(600);
  expect(sizeOf("import 'finvera-gateway/client';")).toBe(0);
});

test('the client of the package is the one that is served, before it is made small', async () => {
  const { createGatewayClient } = await import(join(installed, 'dist/client/client.js'));
  expect(createGatewayClient({ baseUrl: 'https://app.example.com' })).toHaveProperty('stream');
});
