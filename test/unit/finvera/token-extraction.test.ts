import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_ACCESS_LIFE_MS, extractTokens, type TokenAnswer } from '../../../src/finvera/token-extraction.ts';
import { PROPERTY_TIMEOUT_MS, thorough } from '../../support/properties.ts';

const NOW = 1_800_000_000_000;
const DAY_MS = 24 * 3_600_000;
const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (claims: object) => `${base64({ alg: 'none' })}.${base64(claims)}.c2ln`;

const answer = (changes: Partial<TokenAnswer>): TokenAnswer => ({
  setCookies: [],
  body: undefined,
  receivedAt: NOW,
  ...changes,
});

/** The grant as plain values. */
function extract(changes: Partial<TokenAnswer>) {
  const grant = extractTokens(answer(changes));
  return grant && { ...grant, access: grant.access.reveal(), refresh: grant.refresh?.reveal() };
}

describe('where the tokens are', () => {
  test('in cookies, as documented', () => {
    const setCookies = [
      'DT_AUTH_TOKEN=access; Path=/; HttpOnly; Secure; Max-Age=3600',
      'DT_REFRESH_TOKEN=refresh; Path=/; HttpOnly; Secure; Max-Age=2592000',
    ];
    expect(extract({ setCookies, body: { message: 'Authentication successful', expires_in: 3600 } })).toEqual({
      access: 'access',
      refresh: 'refresh',
      accessLifeMs: 3_600_000,
      accessExpiresAt: NOW + 3_600_000,
      refreshExpiresAt: NOW + 30 * DAY_MS,
    });
  });

  test('in JSON, as in the Python sample', () => {
    expect(extract({ body: { token: 'access', refresh_token: 'refresh', expires_in: 60 } })).toEqual({
      access: 'access',
      refresh: 'refresh',
      accessLifeMs: 60_000,
      accessExpiresAt: NOW + 60_000,
    });
  });

  test('one here and one there, the cookie first', () => {
    expect(
      extract({ setCookies: ['DT_REFRESH_TOKEN=cookie'], body: { token: 'json', refresh_token: 'no' } }),
    ).toMatchObject({
      access: 'json',
      refresh: 'cookie',
    });
    expect(
      extract({ setCookies: ['DT_AUTH_TOKEN=cookie'], body: { token: 'no', refresh_token: 'json' } }),
    ).toMatchObject({
      access: 'cookie',
      refresh: 'json',
    });
  });

  test('an access token alone is enough', () => {
    expect(extract({ body: { token: 'access' } })).toEqual({
      access: 'access',
      refresh: undefined,
      accessLifeMs: DEFAULT_ACCESS_LIFE_MS,
      accessExpiresAt: NOW + DEFAULT_ACCESS_LIFE_MS,
    });
  });

  test('the last cookie of a name wins, as in a browser', () => {
    expect(extract({ setCookies: ['DT_AUTH_TOKEN=old', 'DT_AUTH_TOKEN=new'] })).toMatchObject({ access: 'new' });
    expect(extract({ setCookies: ['DT_AUTH_TOKEN=old', 'DT_AUTH_TOKEN=; Max-Age=0'] })).toBeUndefined();
  });

  test('quotes around a cookie’s value do not belong to it', () => {
    expect(extract({ setCookies: ['DT_AUTH_TOKEN="access"'] })).toMatchObject({ access: 'access' });
  });

  test('an equals sign in a value belongs to it', () => {
    expect(extract({ setCookies: ['DT_AUTH_TOKEN=YWJj=='] })).toMatchObject({ access: 'YWJj==' });
  });

  test.each<[string, Partial<TokenAnswer>]>([
    ['nothing', {}],
    ['a body that is an array', { body: ['token'] }],
    ['a body that is a string', { body: 'token' }],
    ['a body that is null', { body: null }],
    ['a refresh token only', { body: { refresh_token: 'refresh' } }],
    ['a token that is no string', { body: { token: 7 } }],
    ['an empty token', { body: { token: '' } }],
    ['a token with a line break', { body: { token: 'a\r\nX-Injected: 1' } }],
    ['a token with a blank', { body: { token: 'a b' } }],
    ['a token beyond ASCII', { body: { token: 'ä' } }],
    ['a token that would end a cookie', { body: { token: 'a;b' } }],
    ['a token that is too long', { body: { token: 'x'.repeat(8_193) } }],
    ['an empty cookie', { setCookies: ['DT_AUTH_TOKEN='] }],
    ['a cookie that is taken away', { setCookies: ['DT_AUTH_TOKEN=access; Max-Age=0'] }],
    ['a cookie that ended long ago', { setCookies: ['DT_AUTH_TOKEN=access; max-age=-1'] }],
    ['a cookie of another case', { setCookies: ['dt_auth_token=access'] }],
    ['a cookie without a value', { setCookies: ['DT_AUTH_TOKEN'] }],
    ['a cookie whose name only ends alike', { setCookies: ['X_DT_AUTH_TOKEN=access'] }],
  ])('finds none in %s', (_, changes) => {
    expect(extract(changes)).toBeUndefined();
  });

  test('takes a token of the greatest length', () => {
    expect(extract({ body: { token: 'x'.repeat(8_192) } })).toBeDefined();
  });
});

describe('how long they live', () => {
  const lifeOf = (changes: Partial<TokenAnswer>) => extract(changes)?.accessLifeMs;

  test.each<[string, unknown, number]>([
    ['a number', 60, 60_000],
    ['digits in a string', '60', 60_000],
    ['a fraction', 0.5, 500],
    ['zero, which is no life', 0, DEFAULT_ACCESS_LIFE_MS],
    ['a negative number', -60, DEFAULT_ACCESS_LIFE_MS],
    ['not a number', 'soon', DEFAULT_ACCESS_LIFE_MS],
    ['infinity', Number.POSITIVE_INFINITY, DEFAULT_ACCESS_LIFE_MS],
    ['more than a refresh token lives', 10 ** 12, 30 * DAY_MS],
  ])('expires_in is %s', (_, expires_in, expected) => {
    expect(lifeOf({ body: { token: 'access', expires_in } })).toBe(expected);
  });

  test('the difference of exp and iat counts where the answer tells nothing, whatever finvera’s clock says', () => {
    expect(lifeOf({ body: { token: jwt({ iat: 100, exp: 400 }) } })).toBe(300_000);
    expect(lifeOf({ body: { token: jwt({ exp: 400 }) } })).toBe(DEFAULT_ACCESS_LIFE_MS);
    expect(lifeOf({ body: { token: jwt({ iat: 400, exp: 100 }) } })).toBe(DEFAULT_ACCESS_LIFE_MS);
    expect(lifeOf({ body: { token: jwt({ iat: '1', exp: '2' }) } })).toBe(DEFAULT_ACCESS_LIFE_MS);
    expect(lifeOf({ body: { token: 'a.b.c' } })).toBe(DEFAULT_ACCESS_LIFE_MS);
  });

  test('the shortest of what is told counts', () => {
    const token = jwt({ iat: 0, exp: 300 });
    expect(lifeOf({ body: { token, expires_in: 3600 } })).toBe(300_000);
    expect(lifeOf({ body: { token, expires_in: 60 } })).toBe(60_000);
    expect(lifeOf({ setCookies: [`DT_AUTH_TOKEN=${token}; Max-Age=10`], body: { expires_in: 3600 } })).toBe(10_000);
  });

  test('expires_in says nothing of the refresh token', () => {
    expect(extract({ body: { token: 'a', refresh_token: 'r', expires_in: 60 } })).not.toHaveProperty(
      'refreshExpiresAt',
    );
    expect(
      extract({ body: { token: 'a', refresh_token: jwt({ iat: 0, exp: 900 }), expires_in: 60 } })?.refreshExpiresAt,
    ).toBe(NOW + 900_000);
  });
});

describe('whatever the answer is', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('access', 'a\nb', '"q"', jwt({ iat: 1, exp: 2 })),
  );
  const cookie = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(fc.constantFrom('DT_AUTH_TOKEN', 'DT_REFRESH_TOKEN'), value, fc.string({ unit: 'binary' }))
      .map(([name, text, rest]) => `${name}=${text}; ${rest}`),
  );
  const body = fc.oneof(
    fc.anything(),
    fc.record({ token: fc.oneof(value, fc.anything()), refresh_token: value, expires_in: fc.anything() }),
  );

  test(
    'nothing is thrown, and tokens fit into a header without breaking it',
    () => {
      thorough.holds(fc.array(cookie, { maxLength: 4 }), body, (setCookies, json) => {
        const grant = extractTokens(answer({ setCookies, body: json }));
        if (!grant) return;
        for (const token of [grant.access, grant.refresh]) {
          if (token) expect(token.reveal()).toMatch(/^[\x21-\x7e]{1,8192}$/);
          if (token) expect(token.reveal()).not.toMatch(/[;,"\\]/);
        }
        expect(grant.accessLifeMs).toBeGreaterThan(0);
        expect(grant.accessLifeMs).toBeLessThanOrEqual(30 * DAY_MS);
        expect(grant.accessExpiresAt).toBe(NOW + grant.accessLifeMs);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );
});
