import { describe, expect, test } from '@jest/globals';
import {
  absoluteEnd,
  activityIntervalMs,
  endOf,
  needsActivityWrite,
  storeTtlMs,
} from '../../../src/session/session.ts';
import { DAY, HOUR, MINUTE, SECOND, TIMES, tokensNamed, withoutRefresh } from '../../support/session-fixtures.ts';

const NOW = 1_800_000_000_000;
const GRACE_MS = MINUTE;

describe('activityIntervalMs', () => {
  test.each([
    [12 * HOUR, MINUTE],
    [10 * MINUTE, MINUTE],
    [5 * MINUTE, 30 * SECOND],
    [10 * SECOND, SECOND],
  ])('is a tenth of an idle timeout of %i ms, at most a minute', (idle, expected) => {
    expect(activityIntervalMs(idle)).toBe(expected);
  });
});

describe('absoluteEnd', () => {
  const tokens = tokensNamed('0', NOW);

  test('is the setting’s where the refresh token’s end is not known', () => {
    expect(absoluteEnd(NOW, tokens, TIMES)).toBe(NOW + 30 * DAY);
  });

  test('is never beyond the refresh token’s end', () => {
    expect(absoluteEnd(NOW, { ...tokens, refreshExpiresAt: NOW + DAY }, TIMES)).toBe(NOW + DAY);
    expect(absoluteEnd(NOW, { ...tokens, refreshExpiresAt: NOW + 40 * DAY }, TIMES)).toBe(NOW + 30 * DAY);
  });

  test('is the access token’s end where there is no refresh token', () => {
    expect(absoluteEnd(NOW, withoutRefresh(tokens), TIMES)).toBe(NOW + HOUR);
  });
});

describe('storeTtlMs', () => {
  test('is the idle timeout and the interval at which activity is written', () => {
    expect(storeTtlMs(NOW, NOW, NOW + 30 * DAY, TIMES)).toBe(12 * HOUR + GRACE_MS);
  });

  test('counts from the last activity', () => {
    expect(storeTtlMs(NOW, NOW - HOUR, NOW + 30 * DAY, TIMES)).toBe(11 * HOUR + GRACE_MS);
  });

  test('is never beyond the absolute end', () => {
    expect(storeTtlMs(NOW, NOW, NOW + HOUR, TIMES)).toBe(HOUR);
  });

  test('is a whole number of at least one, as Redis wants it', () => {
    expect(storeTtlMs(NOW, NOW, NOW - HOUR, TIMES)).toBe(1);
    expect(storeTtlMs(NOW, NOW, NOW + 1.2, TIMES)).toBe(2);
  });
});

describe('endOf', () => {
  const living = { lastSeenAt: NOW, absoluteExpiresAt: NOW + 30 * DAY };

  test.each([
    ['lives', living, NOW + 12 * HOUR + GRACE_MS - 1, undefined],
    ['is idle when the timeout and the interval have passed', living, NOW + 12 * HOUR + GRACE_MS, 'idle'],
    ['lives to its absolute end', { ...living, absoluteExpiresAt: NOW + HOUR }, NOW + HOUR - 1, undefined],
    ['is over at its absolute end', { ...living, absoluteExpiresAt: NOW + HOUR }, NOW + HOUR, 'absolute'],
  ])('tells that a session %s', (_, session, now, expected) => {
    expect(endOf(session, now, TIMES)).toBe(expected);
  });

  test('agrees with the store’s own expiry', () => {
    const ttlMs = storeTtlMs(NOW, living.lastSeenAt, living.absoluteExpiresAt, TIMES);
    expect(endOf(living, NOW + ttlMs - 1, TIMES)).toBeUndefined();
    expect(endOf(living, NOW + ttlMs, TIMES)).toBe('idle');
  });
});

describe('needsActivityWrite', () => {
  test('is true once the interval has passed', () => {
    expect(needsActivityWrite(NOW, NOW + MINUTE - 1, TIMES)).toBe(false);
    expect(needsActivityWrite(NOW, NOW + MINUTE, TIMES)).toBe(true);
  });
});
