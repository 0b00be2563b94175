// The gateway as a process: what it prints, what signals do, how it exits.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { call, json } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { freePort } from '../support/redis-server.ts';
import { createBrowser } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EVENT = '/delivery/api/v1/events/evt-0001';

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  stdout(): string;
  stderr(): string;
  lines(): Record<string, unknown>[];
  line(event: string): Promise<Record<string, unknown>>;
}

// A busy machine takes seconds to start a process.
jest.setTimeout(60_000);

const running = new Set<ChildProcess>();
let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  await simulator.close();
});

/** `node src/main.ts` with these variables only. */
function run(env: Record<string, string> = {}, args: readonly string[] = []): Running {
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const exited = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  const lines = () =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const find = (event: string) => lines().find((line) => line.event === event);
  return {
    child,
    exited,
    stdout: () => stdout,
    stderr: () => stderr,
    lines,
    async line(event) {
      await until(`the log line ${event}`, () => find(event) !== undefined || child.exitCode !== null, 30_000);
      return find(event) ?? { stderr };
    },
  };
}

const settings = async (changes: Record<string, string> = {}): Promise<Record<string, string>> => ({
  PORT: '0',
  HOST: '127.0.0.1',
  MANAGEMENT_PORT: String(await freePort()),
  FINVERA_URL: simulator.url,
  SHUTDOWN_DELAY: '0s',
  ...changes,
});

async function start(changes: Record<string, string> = {}): Promise<Running & { url: string; managementUrl: string }> {
  const process = run(await settings(changes));
  const ready = await process.line('ready');
  expect(ready).toMatchObject({ level: 'info', address: expect.stringMatching(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/) });
  return { ...process, url: String(ready.address), managementUrl: String(ready.management_address) };
}

/** A request that Finvera has and does not answer until `release`. */
async function startHeldRequest(url: string) {
  const browser = createBrowser(url);
  expect((await browser.login()).status).toBe(200);
  const hold = simulator.addFault({ fault: 'hold', match: { call: 'data' } });
  const answer = browser.fetch(EVENT);
  await simulator.waitForRequests('data', 1);
  return { answer, release: () => hold.remove() };
}

describe('a process that runs', () => {
  test('writes what it is told to write while it runs: by SIGUSR2 and by the management listener', async () => {
    const gateway = await start({ LOG_SAMPLING: '0' });
    const { url, managementUrl, child } = gateway;
    const lines = () => gateway.lines().filter(({ event }) => event === 'request');
    const verbosity = async () => json(await call(`${managementUrl}/log`));
    expect(await verbosity()).toEqual({ level: 'info', sampling: 0 });
    expect((await call(`${url}/health/live`)).status).toBe(200);
    expect((await call(`${url}/nowhere`)).status).toBe(404);
    await until('the line of the 404', () => lines().length > 0);
    child.kill('SIGUSR2');
    await gateway.line('log_changed');
    expect(await verbosity()).toEqual({ level: 'debug', sampling: 1 });
    expect((await call(`${url}/health/live`)).status).toBe(200);
    await until('the line of the 200', () => lines().length > 1);
    expect(lines().map(({ status }) => status)).toEqual([404, 200]);
    child.kill('SIGUSR2');
    await until('the settings to count again', async () => (await verbosity()).level === 'info');
    const headers = { 'Content-Type': 'application/json' };
    const reply = await call(`${managementUrl}/log`, { method: 'PUT', headers, body: '{"level":"silent"}' });
    expect(json(reply)).toEqual({ level: 'silent', sampling: 0 });
    child.kill('SIGTERM');
    expect(await gateway.exited).toBe(0);
    expect(gateway.lines().at(-1)).toMatchObject({ log: 'audit', event: 'audit_stopped' });
    expect(gateway.lines().filter(({ log, event }) => log === 'audit' && event === 'log_changed')).toHaveLength(3);
  });

  test('names its port in the ready line, serves, and ends with exit code 0 on SIGTERM', async () => {
    const gateway = await start();
    const browser = createBrowser(gateway.url);
    expect((await browser.login()).status).toBe(200);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(json(await call(`${gateway.url}/health`)).status).toBe('ok');
    expect((await call(`${gateway.managementUrl}/metrics`)).status).toBe(200);
    gateway.child.kill('SIGTERM');
    expect(await gateway.exited).toBe(0);
    expect(gateway.lines()).toContainEqual(expect.objectContaining({ event: 'stopped', outcome: 'finished' }));
    expect(gateway.stdout()).not.toContain('demo-password');
  });

  test('warns of the key it made up, and writes one JSON object a line', async () => {
    const gateway = await start();
    expect(gateway.stderr()).toMatch(/^warning: .*SESSION_KEYS.*$/m);
    for (const line of gateway.lines()) {
      expect(line).toMatchObject({ level: expect.any(String), time: expect.any(String), event: expect.any(String) });
    }
    gateway.child.kill('SIGINT');
    expect(await gateway.exited).toBe(0);
  });

  test('finishes the request under way before it ends', async () => {
    const gateway = await start();
    const { answer, release } = await startHeldRequest(gateway.url);
    gateway.child.kill('SIGTERM');
    await gateway.line('stopping');
    release();
    const reply = await answer;
    expect([reply.status, json(reply).event_id]).toEqual([200, 'evt-0001']);
    expect(await gateway.exited).toBe(0);
  });

  test('is not ready during SHUTDOWN_DELAY, while it still serves on both listeners', async () => {
    const gateway = await start({ SHUTDOWN_DELAY: '6s' });
    gateway.child.kill('SIGTERM');
    await gateway.line('stopping');
    for (const url of [gateway.url, gateway.managementUrl]) {
      for (const path of ['/health', '/health/ready']) {
        const reply = await call(url + path);
        expect([reply.status, json(reply).status]).toEqual([503, 'unavailable']);
      }
      expect((await call(`${url}/health/live`)).status).toBe(200);
    }
    const browser = createBrowser(gateway.url);
    const login = await browser.login();
    expect([login.status, login.headers.connection]).toEqual([200, 'close']);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(await gateway.exited).toBe(0);
  });

  test('keeps the management listener open while requests end', async () => {
    const gateway = await start();
    const { answer, release } = await startHeldRequest(gateway.url);
    gateway.child.kill('SIGTERM');
    await until('the public listener being closed', () =>
      call(`${gateway.url}/health/live`).then(
        () => false,
        () => true,
      ),
    );
    expect((await call(`${gateway.managementUrl}/metrics`)).status).toBe(200);
    expect((await call(`${gateway.managementUrl}/health/ready`)).status).toBe(503);
    release();
    expect((await answer).status).toBe(200);
    expect(await gateway.exited).toBe(0);
  });

  test('cuts what is not done at SHUTDOWN_TIMEOUT', async () => {
    const gateway = await start({ SHUTDOWN_TIMEOUT: '300ms' });
    const { answer } = await startHeldRequest(gateway.url);
    gateway.child.kill('SIGTERM');
    await expect(answer).rejects.toThrow();
    expect(await gateway.exited).toBe(0);
    expect(gateway.lines()).toContainEqual(expect.objectContaining({ event: 'stopped', outcome: 'cut' }));
  });

  test('ends at once on a second signal', async () => {
    const gateway = await start({ SHUTDOWN_DELAY: '10m' });
    gateway.child.kill('SIGTERM');
    await gateway.line('stopping');
    gateway.child.kill('SIGINT');
    expect(await gateway.exited).not.toBe(0);
  });

  test('has no management listener with MANAGEMENT_PORT=0', async () => {
    const gateway = run(await settings({ MANAGEMENT_PORT: '0' }));
    const ready = await gateway.line('ready');
    expect(ready.management_address).toBeUndefined();
    expectProblem(await call(`${ready.address}/metrics`), 404, 'not_found');
    gateway.child.kill('SIGTERM');
    expect(await gateway.exited).toBe(0);
  });

  test('needs no management listener to stop with a keep-alive connection open', async () => {
    const gateway = await start();
    const reply = await fetch(`${gateway.url}/health/live`, { headers: { Connection: 'keep-alive' } });
    expect(await reply.json()).toEqual({ status: 'ok' });
    gateway.child.kill('SIGTERM');
    expect(await gateway.exited).toBe(0);
  });
});

describe('a process that cannot run', () => {
  test('names every problem with its settings and exits with 1', async () => {
    const gateway = run({
      PORT: '99999',
      FINVERA_URL: 'ftp://finvera',
      SESSION_IDLE_TIMEOUT: 'soon',
      COOKIE_SECURE: 'perhaps',
      SESSION_KEYS: 'k1:dG9vLXNob3J0LXNlY3JldA',
      LOGIN_LIMIT_ACCOUNT: '10 per hour',
    });
    expect(await gateway.exited).toBe(1);
    expect(gateway.stdout()).toBe('');
    for (const name of [
      'PORT',
      'FINVERA_URL',
      'SESSION_IDLE_TIMEOUT',
      'COOKIE_SECURE',
      'SESSION_KEYS',
      'LOGIN_LIMIT_ACCOUNT',
    ]) {
      expect(gateway.stderr()).toMatch(new RegExp(`^problem: .*${name}`, 'm'));
    }
    expect(gateway.stderr()).not.toContain('dG9vLXNob3J0LXNlY3JldA');
    expect(gateway.stderr()).not.toMatch(/^\s+at /m);
  });

  test('refuses in production what is for development only', async () => {
    const gateway = run(await settings({ NODE_ENV: 'production' }));
    expect(await gateway.exited).toBe(1);
    for (const name of ['SESSION_KEYS', 'PUBLIC_URL']) {
      expect(gateway.stderr()).toMatch(new RegExp(`^problem: .*${name}`, 'm'));
    }
    expect(gateway.stderr()).toMatch(/^problem: .*(SESSION_STORE|REDIS_URL)/m);
  });

  test('exits with 1 and a sentence where its port is taken', async () => {
    const gateway = run(await settings({ PORT: String(simulator.port) }));
    expect(await gateway.exited).toBe(1);
    expect(gateway.stderr()).toMatch(/cannot listen: .*EADDRINUSE/);
    expect(gateway.stderr()).not.toMatch(/^\s+at /m);
  });
});

describe('the commands', () => {
  test('--version tells the version of the package', async () => {
    const process = run({}, ['--version']);
    expect(await process.exited).toBe(0);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(process.stdout()).toBe(`${version}\n`);
  });

  test('--help names every flag', async () => {
    const process = run({}, ['--help']);
    expect(await process.exited).toBe(0);
    for (const flag of ['--check-config', '--print-config', '--version', '--help']) {
      expect(process.stdout()).toContain(flag);
    }
  });

  test('--check-config says ok, or names all problems and exits with 1; it starts nothing', async () => {
    const good = run(await settings(), ['--check-config']);
    expect(await good.exited).toBe(0);
    expect(good.stdout()).toBe('ok\n');
    const bad = run({ PORT: 'x', HOST: 'a b', SESSION_MAX_PER_USER: '0' }, ['--check-config']);
    expect(await bad.exited).toBe(1);
    for (const name of ['PORT', 'HOST', 'SESSION_MAX_PER_USER']) expect(bad.stderr()).toContain(name);
    expect(bad.stdout()).toBe('');
  });

  test('--print-config shows the settings in force, where each is from, and no secret', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'finvera-config-'));
    try {
      const file = join(folder, 'own.yaml');
      writeFileSync(file, 'sessionIdleTimeout: 30m\n');
      writeFileSync(join(folder, 'key'), 'sk_from_a_file\n');
      const sealing = Buffer.alloc(32, 7).toString('base64url');
      const env = await settings({
        GATEWAY_CONFIG: file,
        FINVERA_API_KEY_FILE: join(folder, 'key'),
        SESSION_KEYS: `k1:${sealing}`,
        REDIS_URL: 'redis://user:redis-password@127.0.0.1:6379',
      });
      const process = run(env, ['--print-config']);
      expect(await process.exited).toBe(0);
      expect(process.stdout()).toMatch(/^sessionIdleTimeout: 30m #.*own\.yaml/m);
      expect(process.stdout()).toMatch(/^host: 127\.0\.0\.1 #.*HOST/m);
      expect(process.stdout()).toMatch(/^sessionAbsoluteTimeout: 30d #/m);
      for (const secret of ['sk_from_a_file', sealing, 'redis-password']) {
        expect(process.stdout() + process.stderr()).not.toContain(secret);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('that nobody knows are refused with the usage', async () => {
    const process = run({}, ['--chek-config']);
    expect(await process.exited).not.toBe(0);
    expect(process.stderr()).toContain('--check-config');
    expect(process.stdout()).toBe('');
  });
});

describe('an error that nobody caught', () => {
  test('is logged, what is under way is finished, and the process ends with 1', async () => {
    const planted = `data:text/javascript,process.on('SIGUSR2',()=>{throw new Error('planted')})`;
    const child = spawn(process.execPath, ['--import', planted, 'src/main.ts'], {
      cwd: ROOT,
      env: {
        PATH: process.env.PATH ?? '',
        FINVERA_URL: simulator.url,
        HOST: '127.0.0.1',
        PORT: '0',
        MANAGEMENT_PORT: '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let stdout = '';
    child.stdout?.on('data', (chunk) => {
      stdout += String(chunk);
    });
    const ended = once(child, 'close');
    await until('it is ready', () => stdout.includes('"event":"ready"'), 30_000);
    const url = /"address":"([^"]+)"/.exec(stdout)?.[1] ?? '';
    const browser = createBrowser(url);
    await browser.login();
    const slow = simulator.addFault({ match: { call: 'data' }, fault: 'hold' });
    const underWay = browser.fetch(EVENT);
    await simulator.waitForRequests('data', 1);
    child.kill('SIGUSR2');
    await until('it is logged', () => stdout.includes('"event":"uncaught"'));
    slow.remove();
    expect((await underWay).status).toBe(200);
    const [code] = await ended;
    running.delete(child);
    expect(code).toBe(1);
    expect(stdout).toContain('"error":"planted"');
  });
});

describe('a log that nobody reads', () => {
  test.each([
    ['whose reader has gone', `sed -u '/"event":"ready"/q'`],
    ['whose reader has stopped', `{ sed -u '/"event":"ready"/q'; exec sleep 120; }`],
  ])('%s delays neither an answer nor the end', async (_name, reader) => {
    const gateway = `sh -c 'echo "pid $$" >&2; exec "${process.execPath}" src/main.ts'; echo "code $?" >&2`;
    const child = spawn('sh', ['-c', `{ ${gateway}; } | ${reader}`], {
      cwd: ROOT,
      env: { PATH: process.env.PATH ?? '', ...(await settings()) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (chunk) => {
        said[name] += String(chunk);
      });
    }
    try {
      await until('it is ready', () => said.stdout.includes('"event":"ready"'), 30_000);
      const url = /"address":"([^"]+)"/.exec(said.stdout)?.[1] ?? '';
      const browser = createBrowser(url);
      // More than a pipe holds, in lines that are collected and in one that is written at once: the login's.
      for (let i = 0; i < 40; i += 1) {
        const calls = Array.from({ length: 50 }, () => browser.fetch('/bff/nothing-here'));
        await Promise.all(calls);
      }
      expect((await browser.login()).status).toBe(200);
      expect((await browser.fetch(EVENT)).status).toBe(200);
      process.kill(Number(/pid (\d+)/.exec(said.stderr)?.[1]), 'SIGTERM');
      await until('it has ended', () => said.stderr.includes('code '), 15_000);
      expect(said.stderr).toContain('code 0\n');
    } finally {
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL');
      } catch {
        // All of them have ended.
      }
    }
  });
});
