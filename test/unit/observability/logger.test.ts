import { describe, expect, test } from '@jest/globals';
import { Secret } from '../../../src/kernel/secret.ts';
import { allowedFields } from '../../../src/observability/logger.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';

describe('createLogger', () => {
  test('writes one line of JSON an event', () => {
    const { log, lines } = createRecordedLog('info');
    log.info({ event: 'ready', count: 2 }, 'ready');
    expect(lines()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        event: 'ready',
        count: 2,
        msg: 'ready',
      },
    ]);
  });

  test('keeps a line one line, whatever a value holds', () => {
    const { log, text } = createRecordedLog('info');
    log.info({ path: '/a\n{"level":"fatal"}\r\u2028' }, 'x');
    expect(text().trimEnd().split('\n')).toHaveLength(1);
  });

  test.each([
    ['trace', 6],
    ['debug', 5],
    ['info', 4],
    ['warn', 3],
    ['error', 2],
    ['fatal', 1],
    ['silent', 0],
  ] as const)('at %s writes %i of six levels', (level, count) => {
    const { log, lines } = createRecordedLog(level);
    const names = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
    for (const name of names) log[name]({ event: name }, name);
    expect(lines().map(({ level: written }) => written)).toEqual(names.slice(0, count));
    expect(names.filter((name) => log.isEnabled(name))).toEqual(names.slice(0, count));
  });

  test('drops every field that is not on the list, at every level', () => {
    const { log, text } = createRecordedLog('trace');
    const secret = 'canary-1';
    const fields = {
      cookie: secret,
      authorization: secret,
      password: secret,
      headers: { cookie: secret },
      token: secret,
      email: secret,
    };
    for (const name of ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const)
      log[name]({ event: 'e', ...fields }, 'm');
    expect(text()).not.toContain(secret);
  });
});

describe('allowedFields', () => {
  test('keeps plain values as they are', () => {
    expect(allowedFields({ event: 'e', status: 200, aborted: true, code: null })).toEqual({
      event: 'e',
      status: 200,
      aborted: true,
      code: null,
    });
  });

  test('leaves out what is undefined or not on the list', () => {
    expect(allowedFields({ event: undefined, nothing: 1, __proto__: { event: 'x' } })).toEqual({});
  });

  test('cuts what is long', () => {
    expect(allowedFields({ path: 'x'.repeat(5_000) }).path).toHaveLength(512);
    expect(allowedFields({ path: 'x'.repeat(512) }).path).toHaveLength(512);
    expect(allowedFields({ cause: { toString: () => 'y'.repeat(5_000) } }).cause).toHaveLength(512);
  });

  test('shows neither a secret nor what an object holds', () => {
    const fields = allowedFields({ error: new Secret('canary-1'), cause: { token: 'canary-2' } });
    expect(JSON.stringify(fields)).not.toContain('canary');
    expect(fields.error).toBe('[redacted]');
  });
});
