import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createLoginThrottle, type LoginThrottle } from '../../../src/guards/login-throttle.ts';
import type { RedisConnection } from '../../../src/redis/redis-client.ts';
import { connectTo } from '../../support/redis-connection.ts';
import { startRedis, type TestRedis } from '../../support/redis-server.ts';
import { DAY, MINUTE } from '../../support/session-fixtures.ts';

let redis: TestRedis;
let connection: RedisConnection;
beforeAll(async () => {
  redis = await startRedis();
  connection = await connectTo(redis);
});
afterAll(async () => {
  connection.disconnect();
  await redis.close();
});
afterEach(() => {
  jest.useRealTimers();
});

const WINDOW_MS = 15 * MINUTE;
const ACCOUNT = { points: 4, windowMs: WINDOW_MS };
const ADDRESS = { points: 6, windowMs: WINDOW_MS };

/** 'passed', or the error's kind. */
const attempt = (throttle: LoginThrottle, email: string, ip: string) =>
  throttle.attempt(email, ip).then(
    () => 'passed',
    ({ kind }) => kind as string,
  );
const attempts = async (throttle: LoginThrottle, count: number, email: string, ip: string) => {
  const outcomes: string[] = [];
  for (let i = 0; i < count; i += 1) outcomes.push(await attempt(throttle, email, ip));
  return outcomes;
};
const passed = (count: number) => Array<string>(count).fill('passed');

describe.each(['memory', 'redis'])('the login throttle in %s', (where) => {
  const create = async (limits: Partial<Parameters<typeof createLoginThrottle>[0]>) => {
    await redis.client.flushall();
    return createLoginThrottle({
      account: undefined,
      address: undefined,
      redis: where === 'redis' ? connection : undefined,
      ...limits,
    });
  };

  test('lets everything pass where it is off', async () => {
    const throttle = await create({});
    expect(await attempts(throttle, 50, 'a@x', '192.0.2.1')).toEqual(passed(50));
  });

  test('limits an address, whatever the accounts', async () => {
    const throttle = await create({ address: ADDRESS });
    for (let i = 0; i < 6; i += 1) expect(await attempt(throttle, `${i}@x`, '192.0.2.1')).toBe('passed');
    expect(await attempt(throttle, '7@x', '192.0.2.1')).toBe('too_many_attempts');
    expect(await attempt(throttle, '7@x', '192.0.2.2')).toBe('passed');
  });

  test('counts an IPv6 customer as one', async () => {
    const throttle = await create({ address: { ...ADDRESS, points: 1 } });
    expect(await attempt(throttle, 'a@x', '2001:db8:1:2::1')).toBe('passed');
    expect(await attempt(throttle, 'b@x', '2001:db8:1:2:ffff::1')).toBe('too_many_attempts');
    expect(await attempt(throttle, 'b@x', '2001:db8:1:3::1')).toBe('passed');
  });

  test('lets one address spend half of an account’s attempts, and all addresses all of them', async () => {
    const throttle = await create({ account: ACCOUNT });
    expect(await attempts(throttle, 3, 'a@x', '192.0.2.1')).toEqual([...passed(2), 'too_many_attempts']);
    expect(await attempts(throttle, 2, 'a@x', '192.0.2.2')).toEqual(passed(2));
    expect(await attempt(throttle, 'a@x', '192.0.2.3')).toBe('too_many_attempts');
    expect(await attempt(throttle, 'b@x', '192.0.2.1')).toBe('passed');
  });

  test('gives at least one attempt to an address', async () => {
    const throttle = await create({ account: { ...ACCOUNT, points: 1 } });
    expect(await attempts(throttle, 2, 'a@x', '192.0.2.1')).toEqual(['passed', 'too_many_attempts']);
  });

  test('counts spellings of one account as one', async () => {
    const throttle = await create({ account: ACCOUNT });
    expect(await attempt(throttle, 'User@Example.com', '192.0.2.1')).toBe('passed');
    expect(await attempt(throttle, ' user@example.com ', '192.0.2.1')).toBe('passed');
    expect(await attempt(throttle, 'ｕser@example.com', '192.0.2.1')).toBe('too_many_attempts');
    expect(await attempt(throttle, 'u\u200bser@exam\u00adple.com', '192.0.2.1')).toBe('too_many_attempts');
  });

  test('recalls for a second what it refused, for whom it was, with the whole time to wait', async () => {
    const throttle = await create({ account: ACCOUNT });
    const recalled = (email: string, ip: string) => {
      try {
        throttle.recall(email, ip);
      } catch (error) {
        return error;
      }
      return undefined;
    };
    await attempts(throttle, 2, 'a@x', '192.0.2.1');
    expect(recalled('a@x', '192.0.2.1')).toBeUndefined();
    await attempt(throttle, 'a@x', '192.0.2.1');
    const refusal = recalled(' A@x', '192.0.2.1');
    expect(refusal).toMatchObject({ kind: 'too_many_attempts', limit: 'pair' });
    expect((refusal as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(WINDOW_MS - MINUTE);
    expect(recalled('a@x', '192.0.2.2')).toBeUndefined();
    expect(recalled('b@x', '192.0.2.1')).toBeUndefined();
    jest.useFakeTimers({ now: Date.now() });
    // The faked clock begins at nought, which is before the refusal.
    jest.advanceTimersByTime(24 * 60 * MINUTE);
    expect(recalled('a@x', '192.0.2.1')).toBeUndefined();
  });

  test('recalls nothing that was given back since', async () => {
    const throttle = await create({ account: { ...ACCOUNT, points: 2 } });
    const succeed = await throttle.attempt('a@x', '192.0.2.1');
    expect(await attempt(throttle, 'a@x', '192.0.2.1')).toBe('too_many_attempts');
    await succeed();
    expect(() => throttle.recall('a@x', '192.0.2.1')).not.toThrow();
  });

  test('gives the attempt back on success, in every count', async () => {
    const throttle = await create({ account: ACCOUNT, address: ADDRESS });
    for (let i = 0; i < 20; i += 1) {
      const succeed = await throttle.attempt('a@x', '192.0.2.1');
      await succeed();
    }
    expect(await attempts(throttle, 3, 'a@x', '192.0.2.1')).toEqual([...passed(2), 'too_many_attempts']);
  });

  test('counts for its address what it refuses for its account', async () => {
    const throttle = await create({ account: ACCOUNT, address: ADDRESS });
    expect(await attempts(throttle, 6, 'a@x', '192.0.2.1')).toEqual([
      ...passed(2),
      ...Array(4).fill('too_many_attempts'),
    ]);
    expect(await attempt(throttle, 'b@x', '192.0.2.1')).toBe('too_many_attempts');
    expect(await attempt(throttle, 'b@x', '192.0.2.2')).toBe('passed');
  });

  test('counts attempts that are under way, so that parallel ones cannot slip through', async () => {
    const throttle = await create({ account: ACCOUNT });
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => attempt(throttle, 'a@x', '192.0.2.1')));
    expect(outcomes.filter((outcome) => outcome === 'passed')).toHaveLength(2);
  });

  test('tells how long to wait, a second at least', async () => {
    const throttle = await create({ account: { points: 1, windowMs: WINDOW_MS } });
    await throttle.attempt('a@x', '192.0.2.1');
    const refusal = await throttle.attempt('a@x', '192.0.2.1').catch((error) => error);
    expect(refusal.retryAfterMs).toBeGreaterThan(WINDOW_MS - MINUTE);
    expect(refusal.retryAfterMs).toBeLessThanOrEqual(WINDOW_MS);
  });
});

describe('the login throttle in redis alone', () => {
  test('is shared by all instances', async () => {
    await redis.client.flushall();
    const options = { account: ACCOUNT, address: undefined, redis: connection };
    const [one, other] = [createLoginThrottle(options), createLoginThrottle(options)];
    expect(await attempts(one, 2, 'a@x', '192.0.2.1')).toEqual(passed(2));
    expect(await attempt(other, 'a@x', '192.0.2.1')).toBe('too_many_attempts');
  });

  test('keeps neither names nor anything that never expires', async () => {
    await redis.client.flushall();
    const throttle = createLoginThrottle({ account: ACCOUNT, address: ADDRESS, redis: connection });
    await throttle.attempt('somebody@example.com', '192.0.2.1');
    expect(await redis.dump()).not.toContain('somebody');
    const keys = await redis.client.keys('*');
    expect(keys).toHaveLength(3);
    for (const key of keys) {
      expect(key).toMatch(/^finvera:throttle:/);
      expect(await redis.client.pttl(key)).toBeGreaterThan(0);
    }
  });

  test('goes on counting in this process while redis is gone', async () => {
    const own = await startRedis();
    const ownConnection = await connectTo(own);
    await own.stop();
    const throttle = createLoginThrottle({ account: ACCOUNT, address: undefined, redis: ownConnection });
    expect(await attempts(throttle, 3, 'a@x', '192.0.2.1')).toEqual([...passed(2), 'too_many_attempts']);
    ownConnection.disconnect();
    await own.close();
  });
});

describe('the login throttle in memory alone', () => {
  test('forgets after its window', async () => {
    jest.useFakeTimers();
    const throttle = createLoginThrottle({ account: ACCOUNT, address: undefined, redis: undefined });
    expect(await attempts(throttle, 3, 'a@x', '192.0.2.1')).toEqual([...passed(2), 'too_many_attempts']);
    jest.advanceTimersByTime(WINDOW_MS + 1_000);
    expect(await attempt(throttle, 'a@x', '192.0.2.1')).toBe('passed');
  });

  test('does not forget a window of thirty days at once', async () => {
    const throttle = createLoginThrottle({
      account: { points: 4, windowMs: 30 * DAY },
      address: undefined,
      redis: undefined,
    });
    await attempts(throttle, 2, 'a@x', '192.0.2.1');
    await new Promise((resolve) => setTimeout(resolve, 20)); // an overflowing timer fires after a millisecond
    expect(await attempt(throttle, 'a@x', '192.0.2.1')).toBe('too_many_attempts');
  });
});
