// What a start loads, as the build joins it: it needs no package beside it, loads nothing that only some need, and has the licences of what it holds.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ensureBuilt } from '../support/built-gateway.ts';
import { MEMORY_FLAGS } from '../support/memory-flags.ts';
import { until } from '../support/until.ts';
import { ROOT } from '../unit/project/files.ts';

const ENVIRONMENT = { PATH: process.env.PATH, PORT: '0', MANAGEMENT_PORT: '0', SHUTDOWN_DELAY: '0s' };

/** What they have given until now. */
function textOf(...streams: readonly Readable[]): () => string {
  let text = '';
  for (const stream of streams) {
    stream.on('data', (chunk) => {
      text += String(chunk);
    });
  }
  return () => text;
}

const addressIn = (log: string) => /"address":"([^"]+)"/.exec(log)?.[1]?.replace('0.0.0.0', '127.0.0.1');

let folder: string;
/** The text of each file of the bundle, by its name. */
let files: ReadonlyMap<string, string>;

beforeAll(() => {
  ensureBuilt();
  folder = mkdtempSync(join(tmpdir(), 'gateway-bundled-'));
  for (const path of ['dist/main.js', 'dist/cli', 'config', 'package.json']) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
  const cli = join(folder, 'dist/cli');
  files = new Map(readdirSync(cli).map((name) => [name, readFileSync(join(cli, name), 'utf8')]));
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('without any package beside it', () => {
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const child = spawn(process.execPath, [join(folder, 'dist/main.js'), ...args], {
      cwd: folder,
      env: { ...ENVIRONMENT, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    return { child, ended, output: textOf(child.stdout, child.stderr) };
  };

  test.each([
    ['traces off', {}],
    ['traces on', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }],
    ['a proxied frontend', { FRONTEND: 'http://127.0.0.1:9' }],
    ['a store that is away', { REDIS_URL: 'redis://127.0.0.1:9' }],
  ])('it starts and ends with %s', async (_what, env) => {
    const { child, ended, output } = run([], env);
    await until(`ready:\n${output()}`, () => /"event":"ready"/.test(output()), 15_000);
    const address = addressIn(output());
    expect((await fetch(`${address}/health/live`)).status).toBe(200);
    expect((await fetch(`${address}/delivery/api/v1/events`)).status).toBe(401);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  test('it sends its traces', async () => {
    let sent = '';
    const collector = createServer((req, res) => {
      req.on('data', (chunk) => {
        sent += String(chunk);
      });
      req.on('end', () => res.end('{}'));
    }).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const { port } = collector.address() as AddressInfo;
    const { child, ended, output } = run([], { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    await until(`ready:\n${output()}`, () => /"event":"ready"/.test(output()), 15_000);
    const address = addressIn(output());
    expect((await fetch(`${address}/delivery/api/v1/events`)).status).toBe(401);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    await new Promise((resolve) => {
      collector.close(resolve);
      collector.closeAllConnections();
    });
    expect(sent).toContain('"resourceSpans"');
  });

  test('it makes a key, and says what is wrong with the settings', async () => {
    const made = run(['keys', 'new']);
    expect(await made.ended).toBe(0);
    expect(made.output()).toMatch(/[\w-]{43}/);
    const checked = run(['--check-config'], { SESSION_IDLE_TIMEUOT: '1h' });
    expect(await checked.ended).toBe(1);
    expect(checked.output()).toContain('SESSION_IDLE_TIMEOUT');
  });
});

test('in a terminal it writes lines for people, with the package for it beside it', async () => {
  const isTerminal = 'data:text/javascript,process.stdout.isTTY = true';
  const child = spawn(process.execPath, ['--import', isTerminal, join(ROOT, 'dist/main.js')], {
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = textOf(child.stdout);
  const ended = new Promise((resolve) => child.once('close', resolve));
  await until(`ready:\n${output()}`, () => /INFO.*ready/.test(output()), 15_000);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(output()).toMatch(/INFO.*stopped/);
});

test('a terminal whose reader has stopped holds nothing up: not an answer, and not the end', async () => {
  const command = `echo pid=$$; exec ${process.execPath} ${join(ROOT, 'dist/main.js')}`;
  // What script writes is read only until the gateway is ready.
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const output = textOf(child.stdout);
  await until(`ready:\n${output()}`, () => /INFO.*ready.*http/.test(output()), 15_000);
  child.stdout.pause();
  child.stdout.removeAllListeners('data');
  const pid = Number(/pid=(\d+)/.exec(output())?.[1]);
  const address = addressIn(output());
  const long = 'x'.repeat(400);
  const hasEnded = () => {
    try {
      process.kill(pid, 0);
      return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  };
  try {
    for (let i = 0; i < 2_000; i += 1) {
      const answer = await fetch(`${address}/bff/${i}${long}`, { signal: AbortSignal.timeout(10_000) });
      expect(answer.status).toBe(404);
    }
    process.kill(pid, 'SIGTERM');
    await until('ended', hasEnded, 10_000);
  } finally {
    child.stdout.destroy();
    if (!hasEnded()) process.kill(pid, 'SIGKILL');
    child.kill('SIGKILL');
    await ended;
  }
}, 60_000);

test('the young heap is small after a start, and grows with what then stays', () => {
  const program = `
    import { getHeapSpaceStatistics } from 'node:v8';
    const megabytes = () => getHeapSpaceStatistics().find((each) => each.space_name === 'new_space').space_size / 2 ** 20;
    await import(${JSON.stringify(join(folder, 'dist/main.js'))});
    const after = megabytes();
    globalThis.kept = Array.from({ length: 600_000 }, (_, i) => ({ i }));
    console.log(after, megabytes());`;
  const flags = [...MEMORY_FLAGS, '--input-type=module', '--eval', program, 'main.js', '--print-config'];
  const { stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8', env: { PATH: process.env.PATH } });
  const [after, grown] = stdout.trim().split('\n').at(-1)?.split(' ').map(Number) ?? [];
  expect(after).toBeLessThanOrEqual(4);
  // Twice what the flag says: the young heap is two halves.
  const limit = Number(/semi-space-size=(\d+)/.exec(MEMORY_FLAGS.join(' '))?.[1]);
  expect(grown).toBe(2 * limit);
});

test('what only some need is in files that a start does not load', () => {
  const loaded = new Set<string>();
  const load = (name: string) => {
    if (loaded.has(name)) return;
    loaded.add(name);
    for (const [, next = ''] of (files.get(name) ?? '').matchAll(
      /^(?:import|export|\}) ?(?:.* )?(?:from )?"\.\/(.*)";$/gm,
    ))
      load(next);
  };
  load('start-process.js');
  const holding = (source: string) =>
    [...files].filter(([, text]) => text.includes(`\n// ${source}`)).map(([name]) => name);
  for (const source of ['src/gateway.ts', 'src/redis/', 'node_modules/express/', 'node_modules/zod/']) {
    expect(holding(source).filter((name) => loaded.has(name))).not.toEqual([]);
  }
  for (const source of [
    'src/observability/otel-tracing.ts',
    'node_modules/@opentelemetry/sdk-trace-base/',
    'src/cli/doctor.ts',
  ]) {
    expect(holding(source)).not.toEqual([]);
    expect(holding(source).filter((name) => loaded.has(name))).toEqual([]);
  }
});

test('no file that is imported lazily is without the names that are asked of it', () => {
  // How the bundler gives a CommonJS module: its exports as one, under `default`. OpenTelemetry's detector of hosts is not used.
  const wrong = [...files].filter(
    ([name, text]) => /^export default require_/m.test(text) && !/^getMachineId-/.test(name),
  );
  expect(wrong.map(([name]) => name)).toEqual([]);
});

test('every file is ASCII: V8 keeps each character of others in two bytes', () => {
  for (const [name, text] of files) expect([name, /[^\0-\x7f]/.exec(text)?.[0]]).toEqual([name, undefined]);
});

test('the licence of every package whose code is in it is beside it', () => {
  const licences = readFileSync(join(ROOT, 'dist/third-party-licences.txt'), 'utf8');
  const packages = new Set(
    [...files.values()].flatMap((text) =>
      [...text.matchAll(/^\/\/ node_modules\/(?:.*\/node_modules\/)?((?:@[^/\n]+\/)?[^/\n]+)\//gm)].map(
        ([, name = '']) => name,
      ),
    ),
  );
  expect(packages.size).toBeGreaterThan(50);
  const entries = licences.split(/^-{80}$/m).map((entry) => entry.trim());
  for (const name of packages) {
    const entry = entries.find((each) => each.startsWith(`${name} `));
    expect([name, entry?.length ?? 0]).toEqual([name, expect.any(Number)]);
    // More than a name: the text, with whose it is.
    expect([name, /copyright|©|permission is hereby granted/i.test(entry ?? '')]).toEqual([name, true]);
  }
});
