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

  test('equals another of the same value only', () => {
    expect(secret.equals(new Secret(CANARY))).toBe(true);
    expect(secret.equals(new Secret(`${CANARY}x`))).toBe(false);
    expect(secret.equals(new Secret(CANARY.toUpperCase()))).toBe(false);
    expect(new Secret('').equals(new Secret(''))).toBe(true);
  });
});
