import { afterEach, expect, jest, test } from '@jest/globals';
import { systemClock } from '../../../src/kernel/clock.ts';

afterEach(() => {
  jest.useRealTimers();
});

test('the system’s clock gives milliseconds since 1970', () => {
  jest.useFakeTimers({ now: 1_234_567 });
  expect(systemClock.now()).toBe(1_234_567);
});
