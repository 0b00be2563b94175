import { describe, expect, test } from '@jest/globals';
import { createStuffingWatch, SUSPECT_ACCOUNTS } from '../../../src/guards/stuffing-watch.ts';
import { MINUTE } from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

function setUp() {
  const clock = createTestClock();
  const watch = createStuffingWatch(clock, 15 * MINUTE);
  /** What is said of so many accounts that fail one after the other. */
  const fail = (count: number, ip: string, from = 0) =>
    Array.from({ length: count }, (_, i) => watch.noteFailure(`account-${from + i}`, ip));
  return { clock, watch, fail };
}

describe('createStuffingWatch', () => {
  test('suspects an address that fails on many accounts, once in a window', () => {
    const { fail } = setUp();
    expect(fail(SUSPECT_ACCOUNTS + 30, '192.0.2.1').map((count) => count ?? 0)).toEqual([
      ...Array(SUSPECT_ACCOUNTS - 1).fill(0),
      SUSPECT_ACCOUNTS,
      ...Array(30).fill(0),
    ]);
  });

  test('does not suspect it again for an account that it knows already', () => {
    const { fail } = setUp();
    expect(fail(SUSPECT_ACCOUNTS, '192.0.2.1')).toContain(SUSPECT_ACCOUNTS);
    expect(fail(SUSPECT_ACCOUNTS, '192.0.2.1')).toEqual(Array(SUSPECT_ACCOUNTS).fill(undefined));
  });

  test('suspects nobody who fails on few accounts, however often', () => {
    const { fail } = setUp();
    for (let i = 0; i < 20; i += 1) expect(fail(SUSPECT_ACCOUNTS - 1, '192.0.2.1')).not.toContain(SUSPECT_ACCOUNTS);
  });

  test('keeps addresses apart, and IPv6 by its /64 together', () => {
    const { fail } = setUp();
    expect(fail(SUSPECT_ACCOUNTS - 1, '192.0.2.1')).not.toContain(SUSPECT_ACCOUNTS);
    expect(fail(1, '192.0.2.2', 50)).toEqual([undefined]);
    fail(SUSPECT_ACCOUNTS - 1, '2001:db8::1');
    expect(fail(1, '2001:db8::ffff', 50)).toEqual([SUSPECT_ACCOUNTS]);
  });

  test('begins anew with the next window', () => {
    const { clock, fail } = setUp();
    expect(fail(SUSPECT_ACCOUNTS, '192.0.2.1')).toContain(SUSPECT_ACCOUNTS);
    clock.advance(15 * MINUTE);
    expect(fail(SUSPECT_ACCOUNTS, '192.0.2.1')).toContain(SUSPECT_ACCOUNTS);
  });
});
