import { describe, expect, test } from '@jest/globals';
import { codeOf, toGatewayError } from '../../../src/forwarding/upstream-error.ts';
import { ExchangeFault } from '../../../src/http-client/exchange-fault.ts';
import { GatewayError } from '../../../src/kernel/errors.ts';

const withCode = (code: string) => Object.assign(new Error('failed'), { code });

describe('toGatewayError', () => {
  test.each([
    ['a refused connection', withCode('ECONNREFUSED'), 'upstream_refused'],
    ['a reset', withCode('ECONNRESET'), 'upstream_refused'],
    ['a connection that broke', new ExchangeFault('broken', 'closed'), 'upstream_refused'],
    ['one that did not come about', new ExchangeFault('not_connected', 'refused'), 'upstream_refused'],
    ['one that takes too long', new ExchangeFault('connect_timeout', 'late'), 'upstream_timeout'],
    ['a time-out of the system', withCode('ETIMEDOUT'), 'upstream_timeout'],
    [
      'a time-out of the system, on the way',
      new ExchangeFault('broken', 'late', withCode('ETIMEDOUT')),
      'upstream_timeout',
    ],
    ['what is no HTTP', new ExchangeFault('malformed', 'bad'), 'upstream_invalid'],
    ['headers without end', new ExchangeFault('head_too_large', 'long'), 'upstream_invalid'],
    ['what is no error', 'text', 'upstream_refused'],
    ['nothing', undefined, 'upstream_refused'],
  ])('makes of %s: %s', (_, cause, kind) => {
    const error = toGatewayError(cause);
    expect(error.kind).toBe(kind);
    expect(error.cause).toBe(cause);
  });

  test('passes an own error as it is', () => {
    const own = new GatewayError('body_too_large');
    expect(toGatewayError(own)).toBe(own);
  });
});

describe('codeOf', () => {
  test('is the code where it is text', () => {
    expect(codeOf(withCode('X'))).toBe('X');
    expect(codeOf({ code: 7 })).toBeUndefined();
    expect(codeOf(null)).toBeUndefined();
    expect(codeOf('text')).toBeUndefined();
  });
});
