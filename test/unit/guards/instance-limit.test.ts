// The limit of each instance above those of accounts and addresses, for a password sprayed from everywhere.
import { expect, test } from '@jest/globals';
import { createLoginThrottle, INSTANCE_LIMIT, TooManyAttempts } from '../../../src/guards/login-throttle.ts';

const ip = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;

async function refusalOf(attempt: Promise<unknown>): Promise<TooManyAttempts> {
  const outcome = await attempt.catch((error: unknown) => error);
  if (outcome instanceof TooManyAttempts) return outcome;
  throw new Error('the attempt was let through');
}

test('refuses what comes after 600 failed or pending logins within a minute, whoever asks', async () => {
  const throttle = createLoginThrottle({ account: undefined, address: undefined, redis: undefined });
  for (let i = 0; i < INSTANCE_LIMIT.points; i += 1) await throttle.attempt(`user${i}@finvera.test`, ip(i));
  const refusal = await refusalOf(throttle.attempt('other@finvera.test', '192.0.2.1'));
  expect([INSTANCE_LIMIT.points, refusal.limit, refusal.status, refusal.code]).toEqual([
    600,
    'instance',
    429,
    'too_many_attempts',
  ]);
  expect(refusal.retryAfterMs).toBeGreaterThan(0);
  expect(refusal.retryAfterMs).toBeLessThanOrEqual(60_000);
});

test('does not count logins that succeed', async () => {
  const throttle = createLoginThrottle({ account: undefined, address: undefined, redis: undefined });
  for (let i = 0; i < INSTANCE_LIMIT.points + 10; i += 1) await (await throttle.attempt('demo', ip(i)))();
  await expect(throttle.attempt('demo', '192.0.2.1')).resolves.toBeInstanceOf(Function);
});

test('is not used up by what another limit refuses', async () => {
  const address = { points: 1, windowMs: 60_000 };
  const throttle = createLoginThrottle({ account: undefined, address, redis: undefined });
  await throttle.attempt('user', '192.0.2.1');
  for (let i = 0; i < INSTANCE_LIMIT.points + 10; i += 1) {
    expect((await refusalOf(throttle.attempt('user', '192.0.2.1'))).limit).toBe('address');
  }
  await expect(throttle.attempt('user', '192.0.2.2')).resolves.toBeInstanceOf(Function);
});

test('costs no account and no address an attempt where it refuses', async () => {
  const limit = { points: 2, windowMs: 60_000 };
  const throttle = createLoginThrottle({ account: limit, address: limit, redis: undefined });
  for (let i = 0; i < INSTANCE_LIMIT.points; i += 1) await throttle.attempt(`user${i}@finvera.test`, ip(i));
  for (let i = 0; i < 5; i += 1) {
    expect((await refusalOf(throttle.attempt('other@finvera.test', '192.0.2.1'))).limit).toBe('instance');
  }
});
