import { describe, expect, test } from '@jest/globals';
import { GatewayError } from '../../../src/kernel/errors.ts';

describe('GatewayError', () => {
  test.each([
    ['invalid_request', 400, 'invalid_request'],
    ['session_required', 401, 'session_required'],
    ['session_expired', 401, 'session_expired'],
    ['login_rejected', 401, 'login_rejected'],
    ['origin_forbidden', 403, 'origin_forbidden'],
    ['not_found', 404, 'not_found'],
    ['method_not_allowed', 405, 'method_not_allowed'],
    ['body_too_large', 413, 'body_too_large'],
    ['unsupported_media_type', 415, 'unsupported_media_type'],
    ['too_many_attempts', 429, 'too_many_attempts'],
    ['rate_limited', 429, 'rate_limited'],
    ['internal_error', 500, 'internal_error'],
    ['upstream_invalid', 502, 'upstream_invalid'],
    ['upstream_refused', 502, 'upstream_unavailable'],
    ['upstream_unavailable', 503, 'upstream_unavailable'],
    ['store_unavailable', 503, 'store_unavailable'],
    ['draining', 503, 'unavailable'],
    ['upstream_timeout', 504, 'upstream_timeout'],
  ] as const)('%s is %i with the code %s', (kind, status, code) => {
    const error = new GatewayError(kind);
    expect(error).toMatchObject({ kind, status, code, name: 'GatewayError' });
    expect(error).toBeInstanceOf(Error);
  });

  test('has a public sentence of its own unless it is told another', () => {
    expect(new GatewayError('not_found')).toMatchObject({
      detail: 'There is nothing at this path.',
      message: 'There is nothing at this path.',
    });
    expect(new GatewayError('not_found', { detail: 'No such session.' })).toMatchObject({
      detail: 'No such session.',
      message: 'No such session.',
    });
  });

  test('keeps its cause apart from its public face', () => {
    const cause = new Error('connect ECONNREFUSED 10.0.0.1');
    const error = new GatewayError('upstream_refused', { cause });
    expect(error.cause).toBe(cause);
    expect(`${error.message} ${error.detail}`).not.toContain('10.0.0.1');
    expect(Object.hasOwn(new GatewayError('not_found'), 'cause')).toBe(false);
  });

  test('carries what becomes a header', () => {
    expect(new GatewayError('too_many_attempts', { retryAfterMs: 1_500 }).retryAfterMs).toBe(1_500);
    expect(new GatewayError('method_not_allowed', { allow: ['GET'] }).allow).toEqual(['GET']);
    expect(new GatewayError('not_found')).toMatchObject({ retryAfterMs: undefined, allow: undefined });
  });
});
