import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';
import { runCommand } from '../../../src/cli/run-command.ts';
import { loadSettings } from '../../../src/config/load.ts';
import { type Files, KEY, readFrom } from '../config/load-with.ts';

const CANARY = 'canary-7f3a9b';
const KEYS = { SESSION_KEYS: `k1:${KEY}` };

async function run(argv: readonly string[], env: Record<string, string> = {}, files: Files = {}) {
  const written = { stdout: '', stderr: '' };
  const to = (name: keyof typeof written) => ({ write: (text: string) => (written[name] += text) });
  const readFile = readFrom({ '/shipped.yaml': '', ...files });
  const options = { env, readFile, cwd: '/', shippedFile: '/shipped.yaml', stdout: to('stdout'), stderr: to('stderr') };
  return { code: await runCommand(argv, options), ...written };
}

describe('the command line', () => {
  test('leaves the start to the caller where no flag is given', async () => {
    expect(await run([])).toEqual({ code: undefined, stdout: '', stderr: '' });
  });

  test('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each([['--help'], ['-h'], ['sessions', '--help'], ['keys', '-h']])(
    'prints the usage with every flag for %s %s',
    async (...argv) => {
      const { code, stdout } = await run(argv);
      expect(code).toBe(0);
      for (const each of [
        '--check-config',
        '--print-config',
        '--version',
        '--help',
        'docs/configuration.md',
        'GATEWAY_CONFIG',
      ]) {
        expect(stdout).toContain(each);
      }
    },
  );

  test.each([
    [['--chekc-config'], /^unknown flag --chekc-config\. Did you mean --check-config\?\n\nUsage:/],
    [['--port=3000'], /^unknown flag --port\.\n\nUsage:/],
    [['start'], /^there is no such command\.\n\nUsage:/],
    [['session'], /^there is no such command\.\n\nUsage:/],
    [['sesions', 'list'], /^there is no such command\. Did you mean sessions list\?\n\nUsage:/],
    [['audti', 'verify', 'audit.log'], /^there is no such command\. Did you mean audit verify\?\n\nUsage:/],
    [['docter'], /^there is no such command\. Did you mean doctor\?\n\nUsage:/],
    [['--help', '--version'], /^one flag at a time, please\.\n\nUsage:/],
    [['--constructor'], /^unknown flag --constructor\./],
    [['constructor'], /^there is no such command/],
  ])('answers %j with the usage on stderr and exit code 2', async (argv, message) => {
    const { code, stdout, stderr } = await run(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('does not repeat what may be a secret', async () => {
    for (const argv of [[`--redis-url=redis://:${CANARY}@h`], [CANARY], ['--key', CANARY]]) {
      expect((await run(argv)).stderr).not.toContain(CANARY);
    }
  });

  test('is read without running anything', () => {
    expect(parseArguments([])).toEqual({ kind: 'start' });
    expect(parseArguments(['--check-config'])).toEqual({ kind: 'command', flag: '--check-config' });
  });
});

describe('--check-config', () => {
  test('says ok, and the warnings on stderr', async () => {
    expect(await run(['--check-config'], KEYS)).toEqual({ code: 0, stdout: 'ok\n', stderr: '' });
    const { code, stdout, stderr } = await run(['--check-config']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ok\n' });
    expect(stderr).toMatch(/^warning: SESSION_KEYS is not set.*\n$/);
  });

  test('prints every problem and nothing else, exit code 1', async () => {
    const { code, stdout, stderr } = await run(['--check-config'], {
      ...KEYS,
      PORT: 'x',
      LOG_LEVEL: 'y',
      SESSION_KEEP: '1',
    });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/^problem: SESSION_KEEP is not a setting\./),
      expect.stringMatching(/^problem: PORT must be/),
      expect.stringMatching(/^problem: LOG_LEVEL must be/),
      '',
    ]);
  });
});

describe('--print-config', () => {
  const ENV = {
    GATEWAY_CONFIG: '/own.yaml',
    FINVERA_API_KEY_FILE: '/key',
    REDIS_URL: `rediss://user:${CANARY}@redis.example.com:6380/1`,
    SESSION_KEYS: `k2:${KEY}`,
    LOGIN_LIMIT_ACCOUNT: 'off',
    FRONTEND: 'http://web:5173',
    PUBLIC_URL: 'https://app.example.com',
    TRUST_PROXY: '10.0.0.0/8',
  };
  const FILES = {
    '/key': CANARY,
    '/own.yaml':
      'sessionIdleTimeout: 720m\nroutes: [{path: /a, credential: api-key, apiKeyIn: query, headersTimeout: 60s, bodyTimeout: 250ms, maxBodyBytes: 1024}, {path: /b}]',
  };

  test('prints what is in force, each with its origin', async () => {
    const { code, stdout, stderr } = await run(['--print-config'], ENV, FILES);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const line of [
      'port: 3000 # default',
      'sessionIdleTimeout: 12h # /own.yaml',
      'sessionStore: redis # default',
      'redisUrl: rediss://[redacted]@redis.example.com:6380/1 # REDIS_URL',
      'finveraApiKey: "[redacted]" # FINVERA_API_KEY_FILE',
      '# SESSION_KEYS\nsessionKeys:\n  - k2:[redacted]',
      'loginLimitAccount: off # LOGIN_LIMIT_ACCOUNT',
      'frontend: http://web:5173 # FRONTEND',
      'cookieSecure: true # default',
      '# TRUST_PROXY\ntrustProxy:\n  - 10.0.0.0/8',
    ]) {
      expect(stdout).toContain(`${line}\n`);
    }
    expect(parse(stdout)).toMatchObject({
      routes: [
        {
          path: '/a',
          credential: 'api-key',
          apiKeyIn: 'query',
          headersTimeout: '1m',
          bodyTimeout: '250ms',
          maxBodyBytes: '1kb',
        },
        { path: '/b', credential: 'session' },
      ],
    });
  });

  test('never prints a secret', async () => {
    const { stdout, stderr } = await run(['--print-config'], ENV, FILES);
    expect(stdout + stderr).not.toContain(CANARY);
    expect(stdout + stderr).not.toContain(KEY);
  });

  test('shows what is unset as a comment, a random key too', async () => {
    const { stdout } = await run(['--print-config']);
    expect(stdout).toContain('#publicUrl: unset\n');
    expect(stdout).toContain('#sessionKeys: unset\n');
  });

  test('prints settings that, read again, are the same', async () => {
    const { stdout } = await run(['--print-config'], {
      ...KEYS,
      MANAGEMENT_PORT: '0',
      REFRESH_AHEAD: '0',
      MAX_BODY_BYTES: '1',
    });
    const again = stdout.replace(/^# SESSION_KEYS\nsessionKeys:\n {2}- .*\n/m, '');
    const load = (env: Record<string, string>, text: string) =>
      loadSettings({ env: { ...KEYS, ...env }, readFile: readFrom({ '/s': text }), cwd: '/', shippedFile: '/s' });
    const [one, other] = [load({ MANAGEMENT_PORT: '0', REFRESH_AHEAD: '0', MAX_BODY_BYTES: '1' }, ''), load({}, again)];
    if (one.kind !== 'ok' || other.kind !== 'ok') throw new Error(JSON.stringify([one, other]));
    const plain = (settings: unknown): unknown => JSON.parse(JSON.stringify(settings));
    expect(plain(other.settings)).toEqual(plain(one.settings));
  });

  test('prints the problems instead where there are any', async () => {
    const { code, stdout, stderr } = await run(['--print-config'], { PORT: 'x' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^problem: PORT must be/);
  });
});
