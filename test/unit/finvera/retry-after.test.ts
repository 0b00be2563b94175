import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseRetryAfter } from '../../../src/finvera/retry-after.ts';
import { property } from '../../support/properties.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const DAY_MS = 24 * 3_600_000;

describe('parseRetryAfter', () => {
  test.each([
    ['0', 0],
    ['7', 7_000],
    [' 7 ', 7_000],
    ['86400', DAY_MS],
    ['86401', DAY_MS],
    ['999999999', DAY_MS],
    ['Thu, 01 Jan 2026 00:00:09 GMT', 9_000],
    ['Thursday, 01-Jan-26 00:00:09 GMT', 9_000],
    ['Thu, 01 Jan 2026 00:00:00 GMT', 0],
    ['Wed, 31 Dec 2025 23:59:59 GMT', 0],
    ['Fri, 01 Jan 2027 00:00:00 GMT', DAY_MS],
  ])('takes %j for %i ms', (value, expected) => {
    expect(parseRetryAfter(value, NOW)).toBe(expected);
  });

  test.each([undefined, '', 'soon', '-5', '1.5', '1e3', '0x10', '9999999999', 'Mon'])(
    'does not understand %j',
    (value) => {
      expect(parseRetryAfter(value, NOW)).toBeUndefined();
    },
  );

  test('never gives a time that is negative or beyond a day, whatever the value', () => {
    property.holds(fc.oneof(fc.string(), fc.integer().map(String), fc.date().map(String)), (value) => {
      const ms = parseRetryAfter(value, NOW);
      if (ms === undefined) return;
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(ms).toBeLessThanOrEqual(DAY_MS);
    });
  });
});
