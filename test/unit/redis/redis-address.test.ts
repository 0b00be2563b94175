import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseRedisAddress } from '../../../src/redis/redis-address.ts';
import { property } from '../../support/properties.ts';

describe('parseRedisAddress', () => {
  test.each([
    ['redis://localhost', { kind: 'standalone', tls: false, nodes: [{ host: 'localhost', port: 6379 }] }],
    [
      'redis://10.0.0.1:7000/3',
      { kind: 'standalone', tls: false, nodes: [{ host: '10.0.0.1', port: 7000 }], database: 3 },
    ],
    ['rediss://cache.example', { kind: 'standalone', tls: true, nodes: [{ host: 'cache.example', port: 6379 }] }],
    ['redis://[2001:db8::1]:7000', { kind: 'standalone', tls: false, nodes: [{ host: '2001:db8::1', port: 7000 }] }],
    ['redis://localhost/', { kind: 'standalone', tls: false, nodes: [{ host: 'localhost', port: 6379 }] }],
    [
      'redis://user:p%40ss%2Fword@localhost',
      {
        kind: 'standalone',
        tls: false,
        nodes: [{ host: 'localhost', port: 6379 }],
        username: 'user',
        password: 'p@ss/word',
      },
    ],
    [
      'redis://:secret@localhost',
      { kind: 'standalone', tls: false, nodes: [{ host: 'localhost', port: 6379 }], password: 'secret' },
    ],
    [
      'redis://user@localhost',
      { kind: 'standalone', tls: false, nodes: [{ host: 'localhost', port: 6379 }], username: 'user' },
    ],
    [
      'redis+sentinel://a,b:1/my%20master',
      {
        kind: 'sentinel',
        tls: false,
        nodes: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 1 },
        ],
        masterName: 'my master',
      },
    ],
    ['rediss+sentinel://a/m', { kind: 'sentinel', tls: true, nodes: [{ host: 'a', port: 26379 }], masterName: 'm' }],
    [
      'redis+cluster://u:p:q@a:1,b:2',
      {
        kind: 'cluster',
        tls: false,
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
        username: 'u',
        password: 'p:q',
      },
    ],
    ['rediss+cluster://a', { kind: 'cluster', tls: true, nodes: [{ host: 'a', port: 6379 }] }],
  ])('reads %s', (url, expected) => {
    expect(parseRedisAddress(url)).toEqual(expected);
  });

  test.each([
    ['http://localhost', 'not of a known form'],
    ['redis://', 'not of a known form'],
    ['redis://localhost?db=1', 'not of a known form'],
    ['redis://a,b', 'use redis+sentinel:// or redis+cluster://'],
    ['redis+sentinel://a,b', 'names no master'],
    ['redis://localhost:0', 'not host:port'],
    ['redis://localhost:65536', 'not host:port'],
    ['redis://localhost:x', 'not host:port'],
    ['redis+cluster://a,,b', 'not host:port'],
    ['redis://2001:db8::1', 'not host:port'],
    ['redis://localhost/one', 'not a number'],
    ['redis://user:%zz@localhost', 'not percent-encoded'],
  ])('refuses %s', (url, sentence) => {
    expect(() => parseRedisAddress(url)).toThrow(sentence);
  });

  test('never tells the password in an error', () => {
    const password = fc.constant('canary-password');
    const rest = fc.oneof(fc.string(), fc.constantFrom('@', '@host:x', '@a,b', '@host/x', '@host:99999', '%zz@host'));
    property.holds(
      fc.constantFrom('redis', 'rediss', 'redis+sentinel', 'http'),
      password,
      rest,
      (scheme, secret, tail) => {
        try {
          parseRedisAddress(`${scheme}://user:${secret}${tail}`);
        } catch (error) {
          expect(String(error)).not.toContain(secret);
        }
      },
    );
  });
});
