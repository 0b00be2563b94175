// Whose limit is remembered for how long, and what other instances are told of it.
import { describe, expect, test } from '@jest/globals';
import { createUpstreamLimits, credentialTag, type LimitChannel } from '../../../src/cache/upstream-limits.ts';
import { createTestClock } from '../../support/test-clock.ts';

const A = credentialTag('a');
const B = credentialTag('b');

/** A channel whose ends are in the test's hands. */
function createWire(): LimitChannel & { told: [string, number][]; hear(tag: string, forMs: number): void } {
  const listeners: ((tag: string, forMs: number) => void)[] = [];
  const told: [string, number][] = [];
  return {
    told,
    tellLimited: (tag, forMs) => void told.push([tag, forMs]),
    onLimited: (listener) => void listeners.push(listener),
    hear(tag, forMs) {
      for (const listener of listeners) listener(tag, forMs);
    },
  };
}

describe('a limit', () => {
  test('holds for its credential alone, and ends when Finvera said', () => {
    const clock = createTestClock();
    const limits = createUpstreamLimits(clock);
    expect(limits.any()).toBe(false);
    limits.learn(A, 5_000);
    clock.advance(1_000);
    expect([limits.waitMs(A), limits.waitMs(B), limits.waitMs(credentialTag(undefined))]).toEqual([
      4_000,
      undefined,
      undefined,
    ]);
    clock.advance(3_999);
    expect(limits.waitMs(A)).toBe(1);
    clock.advance(1);
    expect([limits.waitMs(A), limits.any()]).toEqual([undefined, false]);
  });

  test('is lengthened by a later end and never shortened', () => {
    const limits = createUpstreamLimits(createTestClock());
    limits.learn(A, 5_000);
    limits.learn(A, 1_000);
    expect(limits.waitMs(A)).toBe(5_000);
    limits.learn(A, 9_000);
    expect(limits.waitMs(A)).toBe(9_000);
  });

  test('of no time is none', () => {
    const limits = createUpstreamLimits(createTestClock());
    limits.learn(A, 0);
    expect(limits.any()).toBe(false);
  });

  test('of a day tells the day, and is tried again after an hour', () => {
    const clock = createTestClock();
    const limits = createUpstreamLimits(clock);
    limits.learn(A, 24 * 3_600_000);
    clock.advance(3_599_999);
    expect(limits.waitMs(A)).toBe(24 * 3_600_000 - 3_599_999);
    clock.advance(1);
    expect(limits.waitMs(A)).toBeUndefined();
  });

  test('is one of a bounded number: those that are over leave first', () => {
    const clock = createTestClock();
    const limits = createUpstreamLimits(clock);
    limits.learn(A, 10_000);
    for (let i = 1; i < 20_000; i += 1) limits.learn(credentialTag(`user-${i}`), 10);
    clock.advance(10);
    limits.learn(B, 10_000);
    expect([limits.size, limits.waitMs(A), limits.waitMs(B)]).toEqual([2, 9_990, 10_000]);
  });

  test('of the oldest gives way where all still hold', () => {
    const limits = createUpstreamLimits(createTestClock());
    for (let i = 0; i < 20_001; i += 1) limits.learn(credentialTag(`user-${i}`), 10_000);
    expect([limits.size, limits.waitMs(credentialTag('user-0')), limits.waitMs(credentialTag('user-1'))]).toEqual([
      20_000,
      undefined,
      10_000,
    ]);
  });
});

describe('other instances', () => {
  test('are told what was learned here, once', () => {
    const wire = createWire();
    const limits = createUpstreamLimits(createTestClock(), wire);
    limits.learn(A, 5_000);
    limits.learn(A, 4_000);
    expect(wire.told).toEqual([[A, 5_000]]);
  });

  test('are believed, and not told again what they said', () => {
    const wire = createWire();
    const limits = createUpstreamLimits(createTestClock(), wire);
    wire.hear(A, 5_000);
    expect([limits.waitMs(A), wire.told]).toEqual([5_000, []]);
  });
});

test('a tag holds nothing of the user', () => {
  expect(credentialTag('0b0e7a1c-user')).toMatch(/^[\w-]{43}$/);
  expect(credentialTag('api-key')).not.toBe(credentialTag(undefined));
});
