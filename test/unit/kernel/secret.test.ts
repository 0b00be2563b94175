import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { Secret } from '../../../src/kernel/secret.ts';

const CANARY = 'canary-value';
const secret = new Secret(CANARY);

describe('Secret', () => {
  test('reveals its value and its length', () => {
    expect(secret.reveal()).toBe(CANARY);
    expect(secret.length).toBe(CANARY.length);
  });

  test.each([
    ['interpolated', () => `${secret}`],
    ['concatenated', () => `a${String(secret)}`],
    ['serialised', () => JSON.stringify({ secret })],
    ['inspected', () => inspect({ deep: { secret } }, { depth: 9, showHidden: true })],
    ['formatted', () => inspect(secret, { customInspect: false, showHidden: true })],
    ['spread', () => JSON.stringify({ ...secret })],
    ['thrown', () => String(new Error(`failed with ${secret}`))],
    ['enumerated', () => JSON.stringify([Object.keys(secret), Object.values(secret), Object.entries(secret)])],
  ])('is not seen where it is %s', (_, show) => {
    expect(show()).not.toContain(CANARY);
  });

  test('prints that it is redacted', () => {
    expect(`${secret} ${JSON.stringify(secret)} ${inspect(secret)}`).toBe('[redacted] "[redacted]" [redacted]');
  });

  test('is taken out of what others say, also where they escape it; nothing else is', () => {
    const secret = new Secret('k/1+2');
    expect(secret.hideIn('bad key k/1+2, ?apikey=k%2F1%2B2&x=k')).toBe('bad key [redacted], ?apikey=[redacted]&x=k');
    expect(new Secret('').hideIn('abc')).toBe('abc');
  });

  test('equals another of the same value only', () => {
    expect(secret.equals(new Secret(CANARY))).toBe(true);
    expect(secret.equals(new Secret(`${CANARY}x`))).toBe(false);
    expect(secret.equals(new Secret(CANARY.toUpperCase()))).toBe(false);
    expect(new Secret('').equals(new Secret(''))).toBe(true);
  });
});
