import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSessionCookie, readSessionCookie } from '../../../src/session/session-cookie.ts';
import { newSessionId } from '../../../src/session/session-id.ts';
import { PROPERTY_TIMEOUT_MS, thorough } from '../../support/properties.ts';

const NAME = '__Host-finvera_session';
const ID = newSessionId();
const OTHER = newSessionId();
const present = { kind: 'present', id: ID };

const read = (...cookieLines: string[]) =>
  readSessionCookie(
    cookieLines.flatMap((line) => ['Cookie', line]),
    NAME,
  );

describe('the session cookie', () => {
  test('is set with the prefix and every attribute, for whole seconds', () => {
    const cookie = createSessionCookie({ secure: true, sameSite: 'Strict' });
    expect(cookie.name).toBe(NAME);
    expect(cookie.set(ID, 90_999)).toBe(`${NAME}=${ID}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=90`);
  });

  test('is cleared with the same attributes', () => {
    const cookie = createSessionCookie({ secure: true, sameSite: 'None' });
    expect(cookie.clear()).toBe(`${NAME}=; Path=/; HttpOnly; Secure; SameSite=None; Max-Age=0`);
  });

  test('has no prefix where it is not Secure', () => {
    const cookie = createSessionCookie({ secure: false, sameSite: 'Lax' });
    expect(cookie.name).toBe('finvera_session');
    expect(cookie.set(ID, 1_000)).toBe(`finvera_session=${ID}; Path=/; HttpOnly; SameSite=Lax; Max-Age=1`);
    expect(cookie.read(['Cookie', `finvera_session=${ID}`])).toEqual(present);
    expect(cookie.read(['Cookie', `${NAME}=${ID}`])).toEqual({ kind: 'absent' });
  });

  test('never lives a negative time', () => {
    expect(createSessionCookie({ secure: true, sameSite: 'Strict' }).set(ID, -5_000)).toMatch(/; Max-Age=0$/);
  });
});

describe('readSessionCookie', () => {
  test.each([
    ['alone', [`${NAME}=${ID}`]],
    ['among others', [`a=1; ${NAME}=${ID}; b=2`]],
    ['without blanks', [`a=1;${NAME}=${ID};b=2`]],
    ['with blanks and tabs around', [`a=1; \t ${NAME} \t= \t${ID} \t`]],
    ['on a second line', ['a=1', `${NAME}=${ID}`]],
    ['twice with the same value', [`${NAME}=${ID}; ${NAME}=${ID}`]],
    ['twice with the same value on two lines', [`${NAME}=${ID}`, `${NAME}=${ID}`]],
  ])('finds the cookie %s', (_, lines) => {
    expect(read(...lines)).toEqual(present);
  });

  test('finds it whatever the case of the header’s name, and only there', () => {
    expect(readSessionCookie(['cOOkie', `${NAME}=${ID}`], NAME)).toEqual(present);
    expect(readSessionCookie(['X-Cookie', `${NAME}=${ID}`], NAME)).toEqual({ kind: 'absent' });
    expect(readSessionCookie(['Cookies', `${NAME}=${ID}`], NAME)).toEqual({ kind: 'absent' });
    expect(readSessionCookie(['X-Other', 'Cookie', 'Cookie', `${NAME}=${ID}`], NAME)).toEqual(present);
    expect(readSessionCookie(['X-Other', 'Cookie', `${NAME}=${ID}`, 'x'], NAME)).toEqual({ kind: 'absent' });
  });

  test.each([
    ['there is none', []],
    ['the line is empty', ['']],
    ['the name is spelled in another case', [`${NAME.toLowerCase()}=${ID}`]],
    ['the name only begins alike', [`${NAME}2=${ID}`]],
    ['the name only ends alike', [`x${NAME}=${ID}`]],
    ['there is no equals sign', [NAME]],
    ['it is the value of another', [`a=${NAME}=${ID}`]],
    ['the blank before it is none of HTTP’s', [`\u00a0${NAME}=${ID}`]],
    ['a form feed stands before it', [`\u000c${NAME}=${ID}`]],
    ['the blank behind the name is none of HTTP’s', [`${NAME}\u00a0=${ID}`]],
  ])('finds nothing where %s', (_, lines) => {
    expect(read(...lines)).toEqual({ kind: 'absent' });
  });

  test.each([
    ['it is empty', [`${NAME}=`]],
    ['it is no id', [`${NAME}=abc`]],
    ['it is quoted', [`${NAME}="${ID}"`]],
    ['it is escaped', [`${NAME}=%41${ID.slice(1)}`]],
    ['something stands behind it', [`${NAME}=${ID}=`]],
    ['a blank that is none of HTTP’s stands behind it', [`${NAME}=${ID}\u00a0`]],
    ['there are two that differ', [`${NAME}=${ID}; ${NAME}=${OTHER}`]],
    ['there are two that differ on two lines', [`${NAME}=${ID}`, `${NAME}=${OTHER}`]],
    ['there is an empty one beside it', [`${NAME}=; ${NAME}=${ID}`]],
    ['there is a malformed one behind it', [`${NAME}=${ID}; ${NAME}=x`]],
  ])('believes nothing where %s', (_, lines) => {
    expect(read(...lines)).toEqual({ kind: 'malformed' });
  });

  const pair = fc.oneof(
    fc.constantFrom(
      `${NAME}=${ID}`,
      `${NAME}=${OTHER}`,
      `${NAME}=`,
      `${NAME}`,
      `${NAME.toUpperCase()}=${ID}`,
      `\u00a0${NAME}=${ID}`,
    ),
    fc.string({ unit: 'binary' }).map((text) => text.replaceAll(';', '')),
    fc.tuple(fc.string(), fc.string()).map(([name, value]) => `${name}=${value}`.replaceAll(';', '')),
  );

  test('never throws, whatever the lines hold', () => {
    thorough.holds(fc.array(fc.string({ unit: 'binary' })), (rawHeaders) => {
      expect(['absent', 'present', 'malformed']).toContain(readSessionCookie(rawHeaders, NAME).kind);
    });
  });

  test(
    'does not depend on the order of the cookies, nor on how they are spread over lines',
    () => {
      const shuffled = fc
        .array(pair, { maxLength: 6 })
        .chain((pairs) =>
          fc.tuple(
            fc.constant(pairs),
            fc.shuffledSubarray(pairs, { minLength: pairs.length, maxLength: pairs.length }),
          ),
        );
      thorough.holds(shuffled, ([pairs, others]) => {
        const expected = read(pairs.join('; '));
        expect(read(others.join('; '))).toEqual(expected);
        expect(read(...others)).toEqual(expected);
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test('takes a value only from a cookie of exactly its name', () => {
    const name = fc.string({ unit: 'binary' }).filter((text) => !/[;=]/.test(text));
    thorough.holds(name, (text) => {
      const isOurs = text.replace(/^[ \t]+|[ \t]+$/g, '') === NAME;
      expect(read(`${text}=${ID}`).kind).toBe(isOurs ? 'present' : 'absent');
    });
  });
});
