import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { editDistance, nearest, suggestion } from '../../../src/config/near-miss.ts';

const NAMES = ['sessionIdleTimeout', 'sessionStore', 'port', 'host'];

describe('near misses', () => {
  test.each([
    ['sesionIdleTimeout', 'sessionIdleTimeout'],
    ['SESSION_IDLE_TIMEOUT', 'sessionIdleTimeout'],
    ['session-store', 'sessionStore'],
    ['prot', 'port'],
  ])('takes %s for %s', (word, meant) => {
    expect(nearest(word, NAMES)).toBe(meant);
  });

  test.each(['', 'database', 'po', 'sessions'])('takes %j for nothing', (word) => {
    expect(nearest(word, NAMES)).toBeUndefined();
  });

  test('offers the name, else what it is given instead', () => {
    expect(suggestion('prot', NAMES)).toBe(' Did you mean port?');
    expect(suggestion('database', NAMES, ' None.')).toBe(' None.');
    expect(suggestion('database', NAMES)).toBe('');
  });

  test('counts a swap of neighbours as one step', () => {
    expect(editDistance('prot', 'port')).toBe(1);
    expect(editDistance('abc', '')).toBe(3);
  });

  test('measures symmetrically, and nothing between equal words', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        (a, b) => editDistance(a, b) === editDistance(b, a) && editDistance(a, a) === 0,
      ),
    );
  });
});
