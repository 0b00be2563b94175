import { describe, expect, test } from '@jest/globals';
import { apiKey, randomSessionKey, sessionKeys } from '../../../src/config/session-keys.ts';
import { KEY, OTHER_KEY } from './load-with.ts';

const messagesOf = (entries: readonly string[]) =>
  sessionKeys.schema.safeParse(entries).error?.issues.map(({ message }) => message);

describe('session keys', () => {
  test('keep their order, names and values', () => {
    const keys = sessionKeys.schema.parse([`new:${KEY}`, `old_1-x:${OTHER_KEY}`]);
    expect(keys.map(({ kid, key }) => [kid, key.reveal()])).toEqual([
      ['new', KEY],
      ['old_1-x', OTHER_KEY],
    ]);
  });

  test.each([
    ['no kid', KEY],
    ['an empty kid', `:${KEY}`],
    ['a kid that is too long', `${'k'.repeat(33)}:${KEY}`],
    ['a kid with a dot', `k.1:${KEY}`],
    ['a key of 31 bytes', `k:${Buffer.alloc(31).toString('base64url')}`],
    ['a key of 33 bytes', `k:${Buffer.alloc(33).toString('base64url')}`],
    ['a padded key', `k:${KEY}=`],
    ['a key in base64, not base64url', `k:${'+'.repeat(43)}`],
    ['a key whose unused bits are not zero', `k:${KEY.slice(0, -1)}d`],
    ['an empty entry', ''],
  ])('refuse %s', (_, entry) => {
    expect(messagesOf([entry])).toEqual([expect.stringMatching(/^must be kid:key/)]);
  });

  test('refuse one kid twice, one key twice, and no key at all', () => {
    expect(messagesOf([`a:${KEY}`, `a:${OTHER_KEY}`])).toEqual(['names one kid twice']);
    expect(messagesOf([`a:${KEY}`, `b:${KEY}`])).toEqual(['holds one key twice']);
    expect(messagesOf([])).toEqual(['must hold at least one key']);
  });

  test('are printed by their kid alone', () => {
    expect(sessionKeys.format(sessionKeys.schema.parse([`a:${KEY}`]))).toEqual(['a:[redacted]']);
  });

  test('are made up differently each time, in the form of a written one', () => {
    const [one, other] = [randomSessionKey(), randomSessionKey()];
    expect(one.key.reveal()).not.toBe(other.key.reveal());
    expect(messagesOf([`${one.kid}:${one.key.reveal()}`])).toBeUndefined();
  });
});

test.each(['', 'with blank', 'line\nbreak', 'ümlaut', 'x'.repeat(1025)])('an API key is refused: %j', (text) => {
  expect(apiKey.schema.safeParse(text).success).toBe(false);
});
