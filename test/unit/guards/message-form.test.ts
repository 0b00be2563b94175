import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { formFault, MAX_HEAD_BYTES } from '../../../src/guards/message-form.ts';

/** Node's view of a request: raw headers as given, the first of each name in `headers`. */
function faultOf(rawHeaders: readonly string[], httpVersion = '1.1', url = '/') {
  const headers: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2)
    headers[(rawHeaders[i] ?? '').toLowerCase()] ??= rawHeaders[i + 1] ?? '';
  return formFault({ rawHeaders, headers, httpVersion, url } as unknown as IncomingMessage)?.kind;
}

describe('formFault', () => {
  test.each([
    ['a name', 'app.example.com'],
    ['a name with a port', 'localhost:3000'],
    ['an IPv4 address', '192.0.2.1:80'],
    ['an IPv6 address', '[2001:db8::1]:3000'],
    ['an underscore', 'my_app.internal'],
  ])('finds none with a host that is %s', (_, host) => {
    expect(faultOf(['Host', host])).toBeUndefined();
  });

  test.each([
    ['', 'invalid_request'],
    ['a b', 'invalid_request'],
    ['a/b', 'invalid_request'],
    ['user@host', 'invalid_request'],
    ['a,b', 'invalid_request'],
    ['host:123456', 'invalid_request'],
    ['host:', 'invalid_request'],
    ['2001:db8::1', 'invalid_request'],
    ['x'.repeat(256), 'invalid_request'],
  ])('does not take %j for a host', (host, kind) => {
    expect(faultOf(['Host', host])).toBe(kind);
  });

  test('tells a target that is too long from fields that are', () => {
    const host = ['Host', 'a']; // nine bytes with what is between them
    const target = (bytes: number) => '/'.padEnd(bytes, 'x');
    expect(faultOf(host, '1.1', target(MAX_HEAD_BYTES - 9))).toBeUndefined();
    expect(faultOf(host, '1.1', target(MAX_HEAD_BYTES - 8))).toBe('headers_too_large');
    expect(faultOf(host, '1.1', target(MAX_HEAD_BYTES + 1))).toBe('uri_too_long');
    expect(faultOf([...host, 'X', 'x'.repeat(MAX_HEAD_BYTES - 15)])).toBeUndefined();
    expect(faultOf([...host, 'X', 'x'.repeat(MAX_HEAD_BYTES - 14)])).toBe('headers_too_large');
  });

  test('wants exactly one host', () => {
    expect(faultOf(['Host', 'a', 'hOST', 'a'])).toBe('invalid_request');
    expect(faultOf([])).toBe('invalid_request');
    expect(faultOf(['X-Host', 'a'])).toBe('invalid_request');
    expect(faultOf([], '1.0')).toBeUndefined();
    expect(faultOf(['Host', 'a', 'Host', 'b'], '1.0')).toBe('invalid_request');
  });

  test('checks each of two hosts', () => {
    expect(
      formFault({ rawHeaders: ['Host', 'a', 'Host', 'a b'], headers: {}, httpVersion: '1.1' } as never)?.detail,
    ).toBe('The Host is not valid.');
  });

  test.each([
    ['chunked', '1.1', undefined],
    [' Chunked ', '1.1', undefined],
    ['chunked', '1.0', 'invalid_request'],
    ['gzip, chunked', '1.1', 'not_implemented'],
    ['identity', '1.1', 'not_implemented'],
    ['', '1.1', 'not_implemented'],
  ])('on the transfer coding %j in HTTP/%s says %s', (coding, version, kind) => {
    expect(faultOf(['Host', 'a', 'Transfer-Encoding', coding], version)).toBe(kind);
  });

  test.each([
    ['100-continue', undefined],
    ['100-Continue', undefined],
    ['200-ok', 'expectation_failed'],
    ['100-continue, x', 'expectation_failed'],
    ['', 'expectation_failed'],
  ])('on the expectation %j says %s', (expectation, kind) => {
    expect(faultOf(['Host', 'a', 'Expect', expectation])).toBe(kind);
  });

  test('wants a version that has header fields', () => {
    expect(faultOf(['Host', 'a'], '0.9')).toBe('invalid_request');
  });

  test.each([
    ['1.1 other', undefined],
    ['1.1 other, 1.1 finvera-gateway', 'loop_detected'],
  ])('on a request that came via %s says %s', (via, kind) => {
    expect(faultOf(['Host', 'a', 'Via', via])).toBe(kind);
  });

  test('takes two hundred header fields and no more', () => {
    const others = (count: number) => Array.from({ length: count }, (_, i) => [`X-${i}`, '1']).flat();
    expect(faultOf(['Host', 'a', ...others(199)])).toBeUndefined();
    expect(faultOf(['Host', 'a', ...others(200)])).toBe('headers_too_large');
  });
});
