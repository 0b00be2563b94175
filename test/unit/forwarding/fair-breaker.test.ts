import { describe, expect, test } from '@jest/globals';
import { createFairBreaker } from '../../../src/forwarding/fair-breaker.ts';
import { createTestClock } from '../../support/test-clock.ts';

function setUp() {
  const clock = createTestClock(0);
  const breaker = createFairBreaker({ now: clock.now });
  const permit = (party?: string) => {
    const entered = breaker.enter(party);
    if (entered.kind === 'open') throw new Error('open');
    return entered;
  };
  const fail = (count: number, party?: string) => {
    for (let i = 0; i < count; i += 1) permit(party).fail();
  };
  const isOpenFor = (party?: string) => {
    const entered = breaker.enter(party);
    if (entered.kind === 'permit') entered.abandon();
    return entered.kind === 'open';
  };
  return { clock, breaker, permit, fail, isOpenFor };
}

describe('createFairBreaker', () => {
  test('opens for the one party whose requests fail, and for nobody else', () => {
    const { fail, isOpenFor, breaker } = setUp();
    fail(19, 'a');
    expect(isOpenFor('a')).toBe(false);
    fail(1, 'a');
    expect(isOpenFor('a')).toBe(true);
    expect([isOpenFor('b'), isOpenFor(undefined), breaker.state]).toEqual([false, false, 'closed']);
  });

  test('stays closed for others however often one party, or two, fail', () => {
    const { fail, isOpenFor, clock } = setUp();
    for (let round = 0; round < 4; round += 1) {
      fail(round === 0 ? 20 : 1, 'a');
      fail(round === 0 ? 20 : 1, 'b');
      expect([isOpenFor('a'), isOpenFor('b'), isOpenFor('c')]).toEqual([true, true, false]);
      clock.advance(2_000);
    }
  });

  test('opens for everybody when three parties fail', () => {
    const { fail, isOpenFor, breaker } = setUp();
    fail(8, 'a');
    fail(8, 'b');
    fail(3, 'c');
    expect(isOpenFor('d')).toBe(false);
    fail(1, 'c');
    expect([isOpenFor('a'), isOpenFor('d'), isOpenFor(undefined), breaker.state]).toEqual([true, true, true, 'open']);
  });

  test('lets one request of the party try after two seconds, and more when it succeeds', () => {
    const { fail, permit, isOpenFor, clock } = setUp();
    fail(20, 'a');
    clock.advance(2_000);
    const probe = permit('a');
    expect(isOpenFor('a')).toBe(true);
    probe.succeed();
    expect(isOpenFor('a')).toBe(false);
  });

  test('closes for everybody when a try of anybody succeeds', () => {
    const { fail, permit, isOpenFor, breaker, clock } = setUp();
    for (const party of ['a', 'b', 'c']) fail(party === 'c' ? 4 : 8, party);
    expect(breaker.state).toBe('open');
    clock.advance(2_000);
    permit('d').succeed();
    expect([isOpenFor('a'), isOpenFor('e'), breaker.state]).toEqual([false, false, 'closed']);
  });

  test('does not lose the party’s try where everybody’s is refused', () => {
    const { fail, isOpenFor, permit, clock } = setUp();
    fail(20, 'a');
    clock.advance(1_000);
    fail(12);
    clock.advance(1_000);
    // Open for everybody still, although the party might try.
    expect(isOpenFor('a')).toBe(true);
    clock.advance(1_000);
    permit('a').succeed();
    expect(isOpenFor('a')).toBe(false);
  });
});
