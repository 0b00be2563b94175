import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CompactEncrypt } from 'jose';
import { decryptJwe, kidOf } from '../../../src/session/sealed-jwe.ts';
import { PROPERTY_TIMEOUT_MS, property } from '../../support/properties.ts';

const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(32).fill(8);
const encrypt = (text: string, header = {}, key = KEY) =>
  new CompactEncrypt(Buffer.from(text))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'k1', ...header })
    .encrypt(key);
const headerOnly = (header: unknown) => `${Buffer.from(JSON.stringify(header)).toString('base64url')}.`;

describe('kidOf', () => {
  test('is the key’s name in a header that the seal made', async () => {
    expect(kidOf(await encrypt('x'))).toBe('k1');
  });

  test.each([
    ['another key management', { alg: 'A256KW', enc: 'A256GCM', kid: 'k1' }],
    ['none at all', { alg: 'none', kid: 'k1' }],
    ['another encryption', { alg: 'dir', enc: 'A128GCM', kid: 'k1' }],
    ['compression', { alg: 'dir', enc: 'A256GCM', kid: 'k1', zip: 'DEF' }],
    ['a critical extension', { alg: 'dir', enc: 'A256GCM', kid: 'k1', crit: ['b64'] }],
    ['no name', { alg: 'dir', enc: 'A256GCM' }],
    ['a name that is no text', { alg: 'dir', enc: 'A256GCM', kid: ['k1'] }],
    ['no object', null],
    ['a text', 'k1'],
  ])('is nothing for a header with %s', (_, header) => {
    expect(kidOf(headerOnly(header))).toBeUndefined();
  });
});

describe('decryptJwe', () => {
  test(
    'opens what jose made under the same key, whatever the text',
    async () => {
      await property.holdsAsync(fc.string({ unit: 'grapheme' }), async (text) => {
        const jwe = await encrypt(text);
        expect(decryptJwe(jwe, KEY)).toBe(text);
        expect(() => decryptJwe(jwe, OTHER_KEY)).toThrow();
      });
    },
    PROPERTY_TIMEOUT_MS,
  );

  test('does not open one whose header was replaced', async () => {
    const [, ...rest] = (await encrypt('x')).split('.');
    const [header] = (await encrypt('x', { kid: 'k2' })).split('.');
    expect(() => decryptJwe([header, ...rest].join('.'), KEY)).toThrow();
  });

  test('does not take a tag that was cut: a short one can be guessed', async () => {
    const parts = (await encrypt('x')).split('.');
    for (const bytes of [0, 4, 8, 12, 15]) {
      const tag = Buffer.from(parts[4] ?? '', 'base64url')
        .subarray(0, bytes)
        .toString('base64url');
      expect(() => decryptJwe([...parts.slice(0, 4), tag].join('.'), KEY)).toThrow('not a compact JWE');
    }
  });

  test.each<[string, (parts: string[]) => string[]]>([
    ['a part too few', (parts) => parts.slice(0, 4)],
    ['a part too many', (parts) => [...parts, 'x']],
    ['an encrypted key', ([header = '', , ...rest]) => [header, 'AAAA', ...rest]],
    ['a short nonce', ([header = '', key = '', , ...rest]) => [header, key, 'AAAA', ...rest]],
    ['nothing', () => []],
  ])('does not open one with %s', async (_, change) => {
    const jwe = change((await encrypt('x')).split('.')).join('.');
    expect(() => decryptJwe(jwe, KEY)).toThrow('not a compact JWE');
  });
});
