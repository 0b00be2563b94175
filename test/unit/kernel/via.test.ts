import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { hasBeenHere, VIA } from '../../../src/kernel/via.ts';
import { property } from '../../support/properties.ts';

describe('hasBeenHere', () => {
  test.each([
    VIA,
    `1.0 proxy.example, ${VIA}`,
    `${VIA}, 1.1 other`,
    'HTTP/1.1 finvera-gateway',
    '1.1 Finvera-Gateway (a comment)',
    ' 1.1\tfinvera-gateway ',
  ])('is true for %j', (via) => {
    expect(hasBeenHere(via)).toBe(true);
  });

  test.each(['', '1.1 proxy.example', '1.1 finvera-gateway2', 'finvera-gateway', '1.1 other (finvera-gateway)', ', ,'])(
    'is false for %j',
    (via) => {
      expect(hasBeenHere(via)).toBe(false);
    },
  );

  test('knows what it added itself, whatever others added before and after, and never throws', () => {
    const others = fc.array(fc.string().map((text) => text.replaceAll(',', '')));
    property.holds(others, others, (before, after) => {
      expect(hasBeenHere([...before, VIA, ...after].join(', '))).toBe(true);
      expect(typeof hasBeenHere(before.join(','))).toBe('boolean');
    });
  });
});
