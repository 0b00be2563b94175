import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadSettings } from '../../../src/config/load.ts';
import { KEY, loadWith, OTHER_KEY, PRODUCTION, problemsOf, readFrom, settingsOf } from './load-with.ts';

const OVERLAY = { GATEWAY_CONFIG: '/etc/gateway.yaml' };
const overlay = (text: string) => ({ '/etc/gateway.yaml': text });

describe('where settings come from', () => {
  test('starts with nothing set, on the shipped file alone', () => {
    const loaded = loadSettings({ env: {} });
    expect(loaded).toMatchObject({
      kind: 'ok',
      settings: {
        production: false,
        port: 3000,
        sessionStore: 'memory',
        sessionKeysAreRandom: true,
        finveraStreamUrl: 'wss://api.finvera.news',
        allowedOrigins: [],
        trustProxy: [],
        loginLimitAccount: { points: 10, windowMs: 900_000 },
      },
      origins: { port: 'config/gateway.yaml', finveraStreamUrl: 'default', routes: 'config/gateway.yaml' },
      warnings: [expect.stringMatching(/^SESSION_KEYS is not set/)],
    });
  });

  test('lets the file win over the shipped one, and the environment over both', () => {
    const loaded = loadWith(
      { ...OVERLAY, PORT: '3', SESSION_KEYS: `k:${KEY}` },
      { '/shipped.yaml': 'port: 1\nmanagementPort: 1\nlogLevel: warn', ...overlay('port: 2\nmanagementPort: 2') },
    );
    expect(loaded).toMatchObject({
      kind: 'ok',
      settings: { port: 3, managementPort: 2, logLevel: 'warn', refreshAhead: 60_000 },
      origins: {
        port: 'PORT',
        managementPort: '/etc/gateway.yaml',
        logLevel: 'config/gateway.yaml',
        refreshAhead: 'default',
        sessionKeys: 'SESSION_KEYS',
      },
      warnings: [],
    });
  });

  test('replaces the list of routes whole', () => {
    const files = { '/shipped.yaml': 'routes: [{path: /a}, {path: /b}]', ...overlay('routes: [{path: /c}]') };
    expect(settingsOf(OVERLAY, files).routes.map(({ path }) => path)).toEqual(['/c']);
    expect(settingsOf(OVERLAY, { ...files, ...overlay('port: 1') }).routes.map(({ path }) => path)).toEqual([
      '/a',
      '/b',
    ]);
    expect(settingsOf(OVERLAY, { ...files, ...overlay('routes: []') }).routes).toEqual([]);
  });

  test('reads every kind of value from YAML', () => {
    const text = [
      'port: 0',
      'sessionIdleTimeout: 90s',
      'maxBodyBytes: 2048',
      'cookieSecure: false',
      'allowedOrigins: [http://localhost:5173]',
      'trustProxy:\n  - 10.0.0.0/8',
      "loginLimitAddress: 'off'",
      'redisUrl: redis://127.0.0.1',
    ];
    expect(settingsOf(OVERLAY, overlay(text.join('\n')))).toMatchObject({
      port: 0,
      sessionIdleTimeout: 90_000,
      maxBodyBytes: 2048,
      cookieSecure: false,
      allowedOrigins: ['http://localhost:5173'],
      trustProxy: ['10.0.0.0/8'],
      sessionStore: 'redis',
    });
    expect(settingsOf(OVERLAY, overlay(text.join('\n')))).not.toHaveProperty('loginLimitAddress');
  });

  test('splits lists in variables at commas', () => {
    const env = { TRUST_PROXY: '10.0.0.0/8, ::1', SESSION_KEYS: `b:${OTHER_KEY},a:${KEY}` };
    expect(settingsOf(env).trustProxy).toEqual(['10.0.0.0/8', '::1']);
    expect(settingsOf(env).sessionKeys.map(({ kid }) => kid)).toEqual(['b', 'a']);
    expect(problemsOf({ TRUST_PROXY: '10.0.0.0/8,,::1' })).toEqual([
      expect.stringMatching(/^TRUST_PROXY entry 2 must be an address/),
    ]);
  });

  test('counts an empty variable as unset', () => {
    const env = { PORT: '', PUBLIC_URL: ' ', GATEWAY_CONFIG: '', SESSION_NONSENSE: '', FINVERA_API_KEY_FILE: '' };
    expect(settingsOf(env)).toMatchObject({ port: 3000 });
    expect(settingsOf(env)).not.toHaveProperty('publicUrl');
  });

  test('derives the address of the stream', () => {
    expect(settingsOf({ FINVERA_URL: 'http://localhost:4000/base' }).finveraStreamUrl).toBe('ws://localhost:4000/base');
    expect(settingsOf({ FINVERA_STREAM_URL: 'wss://stream.example.com' }).finveraStreamUrl).toBe(
      'wss://stream.example.com',
    );
  });

  test('makes up a different key at each start without SESSION_KEYS', () => {
    const [one, other] = [settingsOf({}), settingsOf({})].map(({ sessionKeys }) => sessionKeys[0]?.key.reveal());
    expect(one).not.toBe(other);
  });

  test('reads the process and the disk where it is given neither', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-config-'));
    try {
      writeFileSync(join(folder, 'index.html'), '');
      writeFileSync(join(folder, 'own.yaml'), 'frontend: .');
      const loaded = loadSettings({ env: { GATEWAY_CONFIG: 'own.yaml' }, cwd: folder });
      expect(loaded).toMatchObject({ kind: 'ok', settings: { frontend: { kind: 'folder', path: folder } } });
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(loadSettings().kind).toMatch(/ok|invalid/);
  });
});

describe('secrets from files', () => {
  test('win like variables, without the line break at their end', () => {
    const loaded = loadWith(
      { FINVERA_API_KEY_FILE: '/run/key', REDIS_URL_FILE: 'redis' },
      { '/run/key': 'abc\r\n\n', '/redis': 'redis://h\n' },
    );
    if (loaded.kind !== 'ok') throw new Error(loaded.problems.join());
    expect(loaded.settings.finveraApiKey?.reveal()).toBe('abc');
    expect(loaded.settings.redisUrl?.reveal()).toBe('redis://h');
    expect(loaded.origins).toMatchObject({ finveraApiKey: 'FINVERA_API_KEY_FILE', redisUrl: 'REDIS_URL_FILE' });
  });

  test('keep a list of keys apart', () => {
    const files = { '/keys': `b:${OTHER_KEY},\na:${KEY}\n` };
    expect(settingsOf({ SESSION_KEYS_FILE: '/keys' }, files).sessionKeys.map(({ kid }) => kid)).toEqual(['b', 'a']);
  });

  test.each([
    [
      { FINVERA_API_KEY: 'a', FINVERA_API_KEY_FILE: '/key' },
      'FINVERA_API_KEY and FINVERA_API_KEY_FILE are both set: set one of them',
    ],
    [
      { FINVERA_API_KEY_FILE: '/none' },
      'FINVERA_API_KEY_FILE: the file /none cannot be read (ENOENT); it must be a readable file',
    ],
    [{ FINVERA_API_KEY_FILE: '/empty' }, 'FINVERA_API_KEY_FILE: the file /empty is empty'],
    [{ REDIS_URL_FILE: '/key' }, /^REDIS_URL \(from REDIS_URL_FILE\) must be redis:\/\//],
    [
      { SESSION_STORE_FILE: '/key' },
      'SESSION_STORE_FILE is not a setting. Only secrets come from files: set SESSION_STORE itself.',
    ],
  ])('are a problem: %j', (env, message) => {
    const expected = message instanceof RegExp ? expect.stringMatching(message) : message;
    expect(problemsOf({ ...env } as Record<string, string>, { '/key': 'key', '/empty': '\n' })).toEqual([expected]);
  });

  test('do not pass for missing where they cannot be read', () => {
    const { REDIS_URL: _, SESSION_KEYS: __, ...rest } = PRODUCTION;
    const problems = problemsOf({ ...rest, REDIS_URL_FILE: '/none', SESSION_KEYS_FILE: '/none' });
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toMatch(/required/);
  });
});

describe('problems of files', () => {
  test.each([
    [
      'sesionIdleTimeout: 12h',
      'sesionIdleTimeout in /etc/gateway.yaml is not a setting. Did you mean sessionIdleTimeout?',
    ],
    [
      'SESSION_IDLE_TIMEOUT: 12h',
      'SESSION_IDLE_TIMEOUT in /etc/gateway.yaml is not a setting. Did you mean sessionIdleTimeout?',
    ],
    ['route: []', 'route in /etc/gateway.yaml is not a setting. Did you mean routes?'],
    ['stream: {}', 'stream in /etc/gateway.yaml is not a setting. Did you mean streams?'],
    ['streams: [a]', 'streams must be a mapping such as {mode: tunnel} (in /etc/gateway.yaml)'],
    ['streams: {mod: hub}', 'streams has an unknown key mod. Did you mean mode? (in /etc/gateway.yaml)'],
    ['constructor: 1', 'constructor in /etc/gateway.yaml is not a setting.'],
    ['port:', 'port in /etc/gateway.yaml has no value: give it one or remove it'],
    ['routes:', 'routes in /etc/gateway.yaml has no value: give it one or remove it'],
    ['port: [1]', 'PORT (port in /etc/gateway.yaml) must be a whole number from 0 to 65535'],
    ['port: {a: 1}', 'PORT (port in /etc/gateway.yaml) must be a whole number from 0 to 65535'],
    [
      'sessionIdleTimeout: 90',
      /^SESSION_IDLE_TIMEOUT \(sessionIdleTimeout in \/etc\/gateway\.yaml\) must be a duration/,
    ],
    ['trustProxy: 10.0.0.0/8', 'TRUST_PROXY (trustProxy in /etc/gateway.yaml) must be a list'],
    ['routes: [{path: /a/}]', /^routes\[0\]\.path must not end with a slash.* \(in \/etc\/gateway\.yaml\)$/],
    ['port: 1\nport: 2', '/etc/gateway.yaml is not valid YAML at line 2, column 1 (DUPLICATE_KEY)'],
    ['a: [1', /^\/etc\/gateway\.yaml is not valid YAML at line 1, column \d+ \(/],
    ['- port: 1', '/etc/gateway.yaml must be a mapping of settings, such as logLevel: info'],
    ['hello', '/etc/gateway.yaml must be a mapping of settings, such as logLevel: info'],
    ['port: !!js/function 1', /^\/etc\/gateway\.yaml is not valid YAML at line 1/],
    [
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]`,
      '/etc/gateway.yaml must be a mapping of settings, such as logLevel: info',
    ],
    ['finveraApiKey: canary', /^finveraApiKey in .* is a secret, .* use FINVERA_API_KEY or FINVERA_API_KEY_FILE$/],
    ['sessionKeys: [canary]', /^sessionKeys in .* is a secret, .* use SESSION_KEYS or SESSION_KEYS_FILE$/],
    ['redisUrl: redis://:canary@h', /^redisUrl in .* is a secret, .* use REDIS_URL or REDIS_URL_FILE$/],
  ])('are told: %j', (text, message) => {
    expect(problemsOf(OVERLAY, overlay(text))).toEqual([
      message instanceof RegExp ? expect.stringMatching(message) : message,
    ]);
  });

  test('accept an empty file', () => {
    expect(problemsOf(OVERLAY, overlay(''))).toEqual([]);
    expect(problemsOf(OVERLAY, overlay('# nothing\n'))).toEqual([]);
  });

  test('name the file of GATEWAY_CONFIG that is missing, and do not guess what it would set', () => {
    const problems = problemsOf({ ...OVERLAY, NODE_ENV: 'production' });
    expect(problems).toEqual([
      'GATEWAY_CONFIG: the file /etc/gateway.yaml cannot be read (ENOENT); it must be a readable YAML file',
    ]);
  });

  test('name the shipped file that is missing', () => {
    const loaded = loadSettings({ env: {}, readFile: readFrom({}), shippedFile: '/gone.yaml' });
    expect(loaded).toMatchObject({
      kind: 'invalid',
      problems: [expect.stringMatching(/^config\/gateway\.yaml: the file \/gone\.yaml/)],
    });
  });

  test('are told of a value that the environment replaces, too', () => {
    expect(problemsOf({ ...OVERLAY, PORT: '1' }, overlay('port: x'))).toHaveLength(1);
  });

  test('tell of a frontend folder without index.html', () => {
    const message = 'FRONTEND must be a folder with a readable index.html (ENOENT), or an http:// address';
    expect(problemsOf({ FRONTEND: './public' })).toEqual([message]);
    expect(settingsOf({ FRONTEND: './public' }, { '/public/index.html': '' }).frontend).toEqual({
      kind: 'folder',
      path: '/public',
    });
  });
});

describe('all at once', () => {
  test('tells every problem of every source together', () => {
    const problems = problemsOf(
      {
        NODE_ENV: 'production',
        ...OVERLAY,
        PORT: 'x',
        LOG_LEVEL: 'loud',
        COOKIE_SECURE: 'false',
        COOKIE_SAMESITE: 'None',
        SESSION_IDLE_TIMEOUTS: '1h',
        SESSION_IDLE_TIMEOUT: '31d',
        SESSION_KEYS: 'short',
        REDIS_URL_FILE: '/none',
        TRUST_PROXY: 'a,b',
      },
      overlay('unknown: 1\nmaxBodyBytes: big\nfinveraApiKey: k\nroutes: [{path: /a/, credential: x, other: 1}]'),
    );
    for (const each of [
      /^PORT /,
      /^LOG_LEVEL /,
      /^COOKIE_SECURE must be true in production/,
      /^COOKIE_SAMESITE = None needs/,
      /^SESSION_IDLE_TIMEOUTS is not a setting\. Did you mean SESSION_IDLE_TIMEOUT\?/,
      /^SESSION_KEYS entry 1/,
      /^REDIS_URL_FILE/,
      /^TRUST_PROXY entry 1/,
      /^TRUST_PROXY entry 2/,
      /^PUBLIC_URL is required/,
      /^unknown in/,
      /^MAX_BODY_BYTES \(maxBodyBytes in/,
      /^finveraApiKey in/,
      /^routes\[0\]\.path/,
      /^routes\[0\]\.credential/,
      /^routes\[0\] has an unknown key other/,
    ]) {
      expect(problems).toContainEqual(expect.stringMatching(each));
    }
    expect(problems).toHaveLength(16);
  });
});
