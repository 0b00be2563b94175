import type { IncomingMessage } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  stripCredentials,
  withoutSessionCookie,
  withoutSessionSetCookie,
} from '../../../src/frontend/strip-credentials.ts';
import { property } from '../../support/properties.ts';

function strip(headers: Record<string, string>) {
  const req = { headers: { ...headers } } as unknown as IncomingMessage;
  stripCredentials(req);
  return req.headers;
}

describe('stripCredentials', () => {
  test('leaves what the frontend may see', () => {
    const headers = { host: 'app.example.com', accept: '*/*', cookie: 'theme=dark', 'x-custom': '1' };
    expect(strip(headers)).toEqual(headers);
  });

  test.each([
    'authorization',
    'proxy-authorization',
    'expect',
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-forwarded-port',
    'x-real-ip',
    'x-csrf',
  ])('takes away %s', (name) => {
    expect(strip({ [name]: 'x', accept: '*/*' })).toEqual({ accept: '*/*' });
  });

  test('takes the session cookie from among others', () => {
    expect(strip({ cookie: 'a=1; __Host-finvera_session=secret; b=2' })).toEqual({ cookie: 'a=1; b=2' });
  });

  test('takes the whole header where nothing else is in it', () => {
    expect(strip({ cookie: '__Host-finvera_session=secret' })).toEqual({});
  });
});

describe('withoutSessionCookie', () => {
  test.each([
    [undefined, undefined],
    ['', undefined],
    ['a=1', 'a=1'],
    ['finvera_session=x', undefined],
    ['__HOST-FINVERA_SESSION=x; a=1', 'a=1'],
    ['a=1;finvera_session=x', 'a=1'],
    [' \u00a0finvera_session =x; a=1', 'a=1'],
    ['finvera_session', undefined],
    ['finvera_session=x; finvera_session=y; a=1', 'a=1'],
    ['a=finvera_session=x', 'a=finvera_session=x'],
    ['finvera_session2=x', 'finvera_session2=x'],
  ])('makes of %j: %j', (header, expected) => {
    expect(withoutSessionCookie(header)).toBe(expected);
  });

  test('never lets the session’s value through, in whatever spelling of its name', () => {
    const name = fc.constantFrom(
      '__Host-finvera_session',
      'finvera_session',
      '__host-FINVERA_session',
      ' finvera_session ',
    );
    const other = fc.stringMatching(/^[a-z]{1,5}=[a-z]{0,5}$/);
    property.holds(fc.array(other), name, fc.nat(5), (others, cookie, at) => {
      const pairs = [...others.slice(0, at), `${cookie}=canary-1`, ...others.slice(at)];
      expect(withoutSessionCookie(pairs.join('; ')) ?? '').not.toContain('canary-1');
      expect(withoutSessionCookie(pairs.join('; ')) ?? '').toBe(others.join('; '));
    });
  });
});

describe('withoutSessionSetCookie', () => {
  test('lets the frontend set its cookies, but not the gateway’s', () => {
    const lines = [
      'theme=dark; Path=/',
      '__Host-finvera_session=x; Path=/',
      'FINVERA_SESSION=y',
      ' finvera_session=z',
      'a=b',
    ];
    expect(withoutSessionSetCookie(lines)).toEqual(['theme=dark; Path=/', 'a=b']);
  });
});
