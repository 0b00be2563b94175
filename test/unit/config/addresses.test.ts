import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { baseUrl, frontend, listenHost, origin, proxyAddress, redisUrl } from '../../../src/config/addresses.ts';
import type { ValueKind } from '../../../src/config/values.ts';

const messageOf = <T>(kind: ValueKind<T>, text: string) => kind.schema.safeParse(text).error?.issues[0]?.message;
const accepts = <T>(kind: ValueKind<T>, text: string) => kind.schema.safeParse(text).success;

describe('base addresses', () => {
  const kind = baseUrl(['https', 'http'], 'https://api.example.com');

  test.each([
    ['https://api.example.com', 'https://api.example.com'],
    ['https://api.example.com/', 'https://api.example.com'],
    ['https://API.example.com:443/base//', 'https://api.example.com/base'],
    ['http://127.0.0.1:4000', 'http://127.0.0.1:4000'],
    ['http://[::1]:4000/x', 'http://[::1]:4000/x'],
  ])('reads %s as %s', (text, normal) => {
    expect(kind.schema.parse(text)).toBe(normal);
  });

  test.each([
    'ftp://api.example.com',
    'api.example.com',
    'https:api.example.com',
    'https://',
    'https://user:password@api.example.com',
    'https://user@api.example.com',
    'https://api.example.com?key=1',
    'https://api.example.com/#x',
    'https://api.example.com:99999',
    'https:\\\\api.example.com',
    'https://api.example.com /x',
  ])('refuses %s', (text) => {
    expect(messageOf(kind, text)).toMatch(/^must be an address such as https:\/\/api\.example\.com/);
  });
});

describe('origins', () => {
  test.each(['https://app.example.com', 'http://localhost:5173', 'https://app.example.com:8443', 'http://[::1]:3000'])(
    'accepts %s as it is',
    (text) => {
      expect(origin.schema.parse(text)).toBe(text);
    },
  );

  test.each([
    ['https://App.Example.com', 'https://app.example.com'],
    ['https://app.example.com/', 'https://app.example.com'],
    ['https://app.example.com/path?x', 'https://app.example.com'],
    ['https://app.example.com:443', 'https://app.example.com'],
    ['http://app.example.com:80', 'http://app.example.com'],
    ['https://münchen.example', 'https://xn--mnchen-3ya.example'],
    ['https://user:pw@app.example.com', 'https://app.example.com'],
  ])('refuses %s and says %s is right', (text, right) => {
    expect(messageOf(origin, text)).toMatch(new RegExp(`: ${right}$`));
  });

  test.each(['*', 'null', 'https://*.example.com'])('refuses %s: not exact', (text) => {
    expect(messageOf(origin, text)).toMatch(/^must be exact/);
  });

  test.each(['', 'app.example.com', 'file:///x', 'ws://app.example.com', 'https://'])('refuses %j', (text) => {
    expect(messageOf(origin, text)).toBe('must be an origin such as https://app.example.com');
  });

  test('accepts exactly what a browser would send', () => {
    fc.assert(
      fc.property(fc.webUrl(), (url) => {
        expect(accepts(origin, new URL(url).origin)).toBe(true);
        expect(accepts(origin, `${new URL(url).origin}/`)).toBe(false);
      }),
    );
  });
});

describe('trusted proxies', () => {
  test.each(['10.0.0.0/8', '192.0.2.7', '0.0.0.0/0', '::1', 'fd00::/8', '::ffff:10.0.0.0/104', '2001:db8::/128'])(
    'accepts %s',
    (text) => {
      expect(proxyAddress.schema.parse(text)).toBe(text);
    },
  );

  test.each([
    '',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fd00::/129',
    'fe80::1%eth0',
    'proxy',
    '10.0.0.0/-1',
    'loopback',
  ])('refuses %j', (text) => {
    expect(messageOf(proxyAddress, text)).toMatch(/^must be an address or CIDR/);
  });
});

describe('hosts to listen on', () => {
  test.each(['0.0.0.0', '::', '127.0.0.1', 'localhost', 'gateway.internal'])('accepts %s', (text) => {
    expect(accepts(listenHost, text)).toBe(true);
  });

  test.each(['', 'localhost:3000', 'http://localhost', '[::1]', 'a b'])('refuses %j', (text) => {
    expect(accepts(listenHost, text)).toBe(false);
  });
});

describe('the frontend', () => {
  test('is an http address or a folder', () => {
    expect(frontend.schema.parse('http://web:5173/')).toEqual({ kind: 'proxy', url: 'http://web:5173' });
    expect(frontend.schema.parse('./public')).toEqual({ kind: 'folder', path: './public' });
    expect(frontend.schema.parse('C:\\site')).toEqual({ kind: 'folder', path: 'C:\\site' });
  });

  test.each(['https://web.example.com', 'localhost:5173', 'http://u:p@web', 'http://web?x', 'file:///site'])(
    'refuses %s',
    (text) => {
      expect(messageOf(frontend, text)).toMatch(/^must be a folder/);
    },
  );
});

describe('the address of Redis', () => {
  test.each([
    'redis://127.0.0.1',
    'redis://127.0.0.1:6379/3',
    'rediss://user:p%40ss@redis.example.com:6380',
    'redis://:password@redis',
    'redis://[::1]:6379',
    'redis+sentinel://a:26379,b:26379/main',
    'redis+sentinel://user:password@a,b/main',
    'redis+cluster://a:7000,b:7001,c:7002',
    'rediss+cluster://user:password@a:7000',
  ])('accepts %s', (text) => {
    expect(redisUrl.schema.parse(text).reveal()).toBe(text);
  });

  test.each([
    '',
    'redis',
    'http://redis',
    'redis://',
    'redis://a,b',
    'redis://a:0',
    'redis://a:65536',
    'redis://a/main',
    'redis://a?db=1',
    'redis://us@er:pass@a',
    'redis://user:pa/ss@a',
    'redis://user:pa%zz@a',
    'redis+sentinel://a:26379',
    'redis+cluster://a:7000/0',
    'redis+cluster://a:7000,,b:7001',
  ])('refuses %j', (text) => {
    expect(messageOf(redisUrl, text)).toMatch(/^must be redis:\/\//);
  });

  test('is printed without user and password', () => {
    const format = (text: string) => redisUrl.format(redisUrl.schema.parse(text));
    expect(format('rediss://user:canary@h:1/2')).toBe('rediss://[redacted]@h:1/2');
    expect(format('redis+sentinel://:canary@a:1,b:2/main')).toBe('redis+sentinel://[redacted]@a:1,b:2/main');
    expect(format('redis://h')).toBe('redis://h');
  });
});
