import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { corsHeaders, isPreflight, preflightHeaders } from '../../../src/guards/cors.ts';

const ALLOWED = new Set(['https://partner.example.org']);
const requestWith = (method: string, headers: Record<string, string>) =>
  ({ method, headers }) as unknown as IncomingMessage;
const valueIn = (headers: readonly string[], name: string) => {
  const at = headers.indexOf(name);
  return at < 0 ? undefined : headers[at + 1];
};

describe('corsHeaders', () => {
  test('allows an allowed origin, exactly and with credentials', () => {
    const headers = corsHeaders('https://partner.example.org', ALLOWED);
    expect(valueIn(headers, 'Access-Control-Allow-Origin')).toBe('https://partner.example.org');
    expect(valueIn(headers, 'Access-Control-Allow-Credentials')).toBe('true');
    expect(valueIn(headers, 'Access-Control-Expose-Headers')).toContain('X-Request-Id');
    expect(valueIn(headers, 'Access-Control-Expose-Headers')).not.toContain('*');
  });

  test.each([
    undefined,
    'null',
    '',
    '*',
    'https://evil.example',
    'https://partner.example.org/',
    'https://partner.example.org.evil.example',
  ])('tells %j nothing but that the answer varies', (origin) => {
    expect(corsHeaders(origin, ALLOWED)).toEqual(['Vary', 'Origin, Sec-Fetch-Site']);
  });
});

describe('isPreflight', () => {
  const headers = { origin: 'https://a.example', 'access-control-request-method': 'POST' };

  test('is true for OPTIONS with an origin and a method', () => {
    expect(isPreflight(requestWith('OPTIONS', headers))).toBe(true);
  });

  test.each<[string, Record<string, string>]>([
    ['GET', headers],
    ['OPTIONS', { origin: 'https://a.example' }],
    ['OPTIONS', { 'access-control-request-method': 'POST' }],
  ])('is false for %s with %j', (method, given) => {
    expect(isPreflight(requestWith(method, given))).toBe(false);
  });
});

describe('preflightHeaders', () => {
  const asked = (names: string | undefined) =>
    preflightHeaders(requestWith('OPTIONS', names === undefined ? {} : { 'access-control-request-headers': names }));

  test('tells methods and how long to remember', () => {
    expect(asked(undefined)).toEqual([
      'Access-Control-Allow-Methods',
      'GET, HEAD, POST, PUT, PATCH, DELETE',
      'Access-Control-Max-Age',
      '600',
    ]);
  });

  test('gives back the header names that are asked for', () => {
    expect(valueIn(asked('content-type, X-Csrf'), 'Access-Control-Allow-Headers')).toBe('content-type, X-Csrf');
  });

  test.each(['', 'a\r\nSet-Cookie: x', 'a;b', '*', 'x'.repeat(1_025)])(
    'gives back nothing that is not sane: %j',
    (names) => {
      expect(asked(names)).not.toContain('Access-Control-Allow-Headers');
    },
  );
});
