import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hashSessionId, isSessionHash, isSessionId, newSessionId } from '../../../src/session/session-id.ts';
import { property } from '../../support/properties.ts';

describe('newSessionId', () => {
  test('is 43 characters that stand for 32 bytes, never twice the same', () => {
    const ids = Array.from({ length: 1_000 }, newSessionId);
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) {
      expect(id).toMatch(/^[A-Za-z0-9_-]{43}$/);
      expect(Buffer.from(id, 'base64url')).toHaveLength(32);
      expect(isSessionId(id)).toBe(true);
    }
  });
});

describe('isSessionId', () => {
  test('is true for exactly the canonical spelling of 32 bytes', () => {
    property.holds(fc.uint8Array({ minLength: 31, maxLength: 33 }), (bytes) => {
      expect(isSessionId(Buffer.from(bytes).toString('base64url'))).toBe(bytes.length === 32);
    });
  });

  test('is false for text that decodes to an id but is spelled otherwise', () => {
    const id = newSessionId();
    const twins = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].filter((last) =>
      isSessionId(id.slice(0, 42) + last),
    );
    expect(twins).toHaveLength(16);
  });

  test.each([
    ['empty', ''],
    ['too short', 'A'.repeat(42)],
    ['too long', 'A'.repeat(44)],
    ['with a line break behind', `${'A'.repeat(43)}\n`],
    ['with a character of plain base64', `${'A'.repeat(42)}+`],
    ['quoted', `"${'A'.repeat(41)}"`],
  ])('is false for what is %s', (_, value) => {
    expect(isSessionId(value)).toBe(false);
  });
});

describe('hashSessionId', () => {
  test('is the SHA-256 of the text', () => {
    const id = 'A'.repeat(43);
    if (!isSessionId(id)) throw new Error('not an id');
    expect(hashSessionId(id)).toBe('DwBzhbb51LfusnSGBa_hqYSgo7-j8BTQnip4TOnlzRo');
  });

  test('does not hold the id, and is told apart from what is no hash', () => {
    const id = newSessionId();
    const hash = hashSessionId(id);
    expect(hash).not.toBe(id);
    expect(isSessionHash(hash)).toBe(true);
    expect(isSessionHash(`${hash}x`)).toBe(false);
    expect(isSessionHash(hash.slice(1))).toBe(false);
    expect(isSessionHash(`${hash.slice(1)}:`)).toBe(false);
  });
});
