import { describe, expect, test } from '@jest/globals';
import { loadWith, problemsOf } from './load-with.ts';

describe('misspelt variables', () => {
  test.each([
    ['SESSION_IDLE_TIMEOUTS', 'SESSION_IDLE_TIMEOUT'],
    ['SESSION_KEY', 'SESSION_KEYS'],
    ['SESSION_KEY_FILE', 'SESSION_KEYS_FILE'],
    ['FINVERA_APIKEY', 'FINVERA_API_KEY'],
    ['COOKIE_SAME_SITE', 'COOKIE_SAMESITE'],
    ['LOGIN_LIMIT_ADRESS', 'LOGIN_LIMIT_ADDRESS'],
    ['SHUTDOWN_TIMEUOT', 'SHUTDOWN_TIMEOUT'],
    ['REFRESH_AHAED', 'REFRESH_AHEAD'],
  ])('under our prefixes are an error: %s is taken for %s', (name, meant) => {
    expect(problemsOf({ [name]: '1' })).toEqual([`${name} is not a setting. Did you mean ${meant}?`]);
  });

  test('under our prefixes that resemble nothing are an error that lists what there is', () => {
    expect(problemsOf({ COOKIE_DOMAIN: 'example.com' })).toEqual([
      'COOKIE_DOMAIN is not a setting. Settings with this prefix: COOKIE_SECURE, COOKIE_SAMESITE.',
    ]);
  });

  test.each(['ALLOWED_ORIGIN', 'TRUSTED_PROXY', 'REDIS_URI', 'MAX_BODY_BYTE'])(
    'elsewhere are a warning: %s',
    (name) => {
      const loaded = loadWith({ [name]: '1' });
      expect(loaded.kind).toBe('ok');
      expect(loaded.warnings).toContainEqual(
        expect.stringMatching(`^${name} is not a setting, and is ignored. Did you mean `),
      );
    },
  );

  test('are not seen in what desktops, Kubernetes, npm and shells set', () => {
    const loaded = loadWith({
      SESSION_MANAGER: 'local/host:@/tmp/.ICE-unix/1,unix/host:/tmp/.ICE-unix/1',
      FINVERA_GATEWAY_SERVICE_HOST: '10.0.0.1',
      FINVERA_GATEWAY_SERVICE_PORT: '3000',
      FINVERA_GATEWAY_SERVICE_PORT_HTTP: '3000',
      FINVERA_GATEWAY_PORT: 'tcp://10.0.0.1:3000',
      FINVERA_GATEWAY_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
      FINVERA_GATEWAY_PORT_3000_TCP_ADDR: '10.0.0.1',
      REDIS_PORT: 'tcp://10.0.0.2:6379',
      HOME: '/root',
      HOSTNAME: 'pod',
      POST: '1',
      PATH: '/bin',
      npm_config_loglevel: 'silent',
      XDG_SESSION_TYPE: 'wayland',
    });
    expect(loaded).toMatchObject({ kind: 'ok', warnings: [expect.stringMatching(/^SESSION_KEYS is not set/)] });
  });
});
