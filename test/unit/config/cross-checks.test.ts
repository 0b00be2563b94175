import { describe, expect, test } from '@jest/globals';
import { KEY, loadWith, PRODUCTION, problemsOf, settingsOf } from './load-with.ts';

const warningsOf = (env: Record<string, string>, routes = '') =>
  loadWith({ SESSION_KEYS: `k:${KEY}`, ...env }, { '/shipped.yaml': routes }).warnings;
const without = (name: keyof typeof PRODUCTION) => ({ ...PRODUCTION, [name]: '' });

describe('production', () => {
  test('accepts what is complete, without a word', () => {
    expect(loadWith(PRODUCTION)).toMatchObject({
      kind: 'ok',
      warnings: [],
      settings: { production: true, sessionStore: 'redis', sessionKeysAreRandom: false },
    });
  });

  test.each([
    ['no public address', without('PUBLIC_URL'), /^PUBLIC_URL is required in production/],
    ['no key', without('SESSION_KEYS'), /^SESSION_KEYS is required in production/],
    ['no store', without('REDIS_URL'), /^REDIS_URL is required in production; .* name SESSION_STORE=memory$/],
    ['an insecure cookie', { ...PRODUCTION, COOKIE_SECURE: 'false' }, /^COOKIE_SECURE must be true in production$/],
    [
      'an http address',
      { ...PRODUCTION, PUBLIC_URL: 'http://app.example.com' },
      /^PUBLIC_URL must be https in production/,
    ],
  ])('refuses %s', (_, env, message) => {
    expect(problemsOf(env)).toEqual([expect.stringMatching(message)]);
  });

  test('accepts the memory store where it is named, with a warning', () => {
    const env = { ...without('REDIS_URL'), SESSION_STORE: 'memory' };
    expect(settingsOf(env).sessionStore).toBe('memory');
    expect(warningsOf(env)).toEqual([expect.stringMatching(/^SESSION_STORE = memory is for one instance/)]);
  });

  test.each([
    [{ FINVERA_URL: 'http://finvera.internal' }, /^FINVERA_URL is plain http/],
    [{ FINVERA_STREAM_URL: 'ws://finvera.internal' }, /^FINVERA_STREAM_URL is plain ws/],
    [{ REDIS_URL: 'redis://redis' }, /^REDIS_URL is not encrypted/],
    [{ REDIS_URL: 'redis+cluster://redis' }, /^REDIS_URL is not encrypted/],
    [{ PUBLIC_URL: 'http://localhost:3000' }, /^PUBLIC_URL is plain http on this machine/],
  ])('warns of %j', (env, message) => {
    expect(warningsOf({ ...PRODUCTION, ...(env as Record<string, string>) })).toEqual([expect.stringMatching(message)]);
    expect(problemsOf({ ...PRODUCTION, ...(env as Record<string, string>) })).toEqual([]);
  });

  test('is told from what merely resembles it', () => {
    expect(warningsOf({ NODE_ENV: 'Production' })).toEqual([
      expect.stringMatching(/^NODE_ENV is not exactly production/),
    ]);
    expect(warningsOf({ NODE_ENV: 'test' })).toEqual([]);
  });

  test('does not call a value missing that is merely wrong', () => {
    expect(problemsOf({ ...PRODUCTION, PUBLIC_URL: 'app.example.com' })).toEqual([
      'PUBLIC_URL must be an origin such as https://app.example.com',
    ]);
  });
});

describe('combinations', () => {
  test.each([
    ['redis without an address', { SESSION_STORE: 'redis' }, /^SESSION_STORE = redis needs REDIS_URL/],
    [
      'None without Secure',
      { COOKIE_SAMESITE: 'None', COOKIE_SECURE: 'false' },
      /^COOKIE_SAMESITE = None needs COOKIE_SECURE=true/,
    ],
    [
      'one port twice',
      { PORT: '80', HOST: '127.0.0.1', MANAGEMENT_PORT: '80' },
      /^MANAGEMENT_PORT must not be that of PORT/,
    ],
    ['one port twice by another name', { PORT: '80', HOST: 'localhost', MANAGEMENT_PORT: '80' }, /^MANAGEMENT_PORT/],
    ['one port within all addresses', { PORT: '80', MANAGEMENT_PORT: '80' }, /^MANAGEMENT_PORT/],
    [
      'origins of another site',
      { PUBLIC_URL: 'https://app.example.com', ALLOWED_ORIGINS: 'https://app.example.org' },
      'ALLOWED_ORIGINS holds https://app.example.org, on another site than PUBLIC_URL: that needs COOKIE_SAMESITE=None',
    ],
    [
      'origins of another site than localhost',
      { PORT: '8080', ALLOWED_ORIGINS: 'https://app.example.org' },
      'ALLOWED_ORIGINS holds https://app.example.org, on another site than http://localhost:8080 (PUBLIC_URL is not set): that needs COOKIE_SAMESITE=None',
    ],
  ])('refuses %s', (_, env, message) => {
    expect(problemsOf(env as Record<string, string>)).toEqual([
      message instanceof RegExp ? expect.stringMatching(message) : message,
    ]);
  });

  test.each([
    ['two ports on one host', { PORT: '80', MANAGEMENT_PORT: '81' }],
    ['one port on two hosts', { PORT: '80', HOST: '10.0.0.1', MANAGEMENT_PORT: '80' }],
    ['any port for both', { PORT: '0', MANAGEMENT_PORT: '0' }],
    ['origins of the same site', { PUBLIC_URL: 'https://app.example.com', ALLOWED_ORIGINS: 'https://www.example.com' }],
    [
      'origins of another site with None',
      { PUBLIC_URL: 'https://app.example.com', ALLOWED_ORIGINS: 'https://a.example.org', COOKIE_SAMESITE: 'None' },
    ],
    ['a dev server', { ALLOWED_ORIGINS: 'http://localhost:5173' }],
    ['no refresh ahead', { REFRESH_AHEAD: '0' }],
    ['idle beyond absolute: the earlier end counts', { SESSION_IDLE_TIMEOUT: '2h', SESSION_ABSOLUTE_TIMEOUT: '1h' }],
  ])('accepts %s', (_, env) => {
    expect(problemsOf(env as Record<string, string>)).toEqual([]);
  });

  test.each([
    [{ TRUST_PROXY: '0.0.0.0/0' }, /^TRUST_PROXY trusts every address/],
    [{ TRUST_PROXY: '10.0.0.0/8,::/0' }, /^TRUST_PROXY trusts every address/],
    [{ SESSION_STORE: 'memory', REDIS_URL: 'redis://h' }, /^SESSION_STORE = memory leaves REDIS_URL unused/],
    [{ PUBLIC_URL: 'http://app.example.com' }, /^PUBLIC_URL is plain http: browsers drop the Secure cookie/],
  ])('warns of %j', (env, message) => {
    expect(warningsOf(env as Record<string, string>)).toEqual([expect.stringMatching(message)]);
  });

  test('finds nothing wrong with plain http and a cookie that is not Secure, outside production', () => {
    expect(warningsOf({ PUBLIC_URL: 'http://app.example.com', COOKIE_SECURE: 'false' })).toEqual([]);
  });

  test('asks for the key that a route needs', () => {
    const files = { '/shipped.yaml': 'routes: [{path: /bad/}, {path: /a, credential: api-key}]' };
    const required = 'FINVERA_API_KEY is required by the route /a (credential: api-key), or FINVERA_API_KEY_FILE';
    expect(problemsOf({}, files)).toEqual([expect.stringMatching(/^routes\[0\]/), required]);
    expect(problemsOf({ FINVERA_API_KEY: 'key' }, files)).toHaveLength(1);
  });
});
