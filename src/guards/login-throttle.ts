/**
 * Limits login attempts per account and per address. An attempt counts before the exchange, so that parallel ones count
 * too, and is given back on success. Shared through Redis; while that is down each instance counts in memory.
 */
import { createHash } from 'node:crypto';
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { AttemptLimit } from '../config/settings.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { RedisConnection } from '../redis/redis-client.ts';
import { THROTTLE_PREFIX } from '../redis/redis-keys.ts';
import { addressKey } from './client-address.ts';

export interface LoginThrottleOptions {
  /** Undefined: this limit is off. */
  readonly account: AttemptLimit | undefined;
  readonly address: AttemptLimit | undefined;
  /** Undefined: counts in memory only. */
  readonly redis: RedisConnection | undefined;
}

export interface LoginThrottle {
  /**
   * Counts an attempt.
   * @returns to be called if it succeeded: gives the attempt back.
   * @throws GatewayError `too_many_attempts` with the time to wait.
   */
  attempt(email: string, ip: string): Promise<() => Promise<void>>;
}

interface Counter {
  readonly limiter: RateLimiterAbstract;
  key(email: string, ip: string): string;
}

export function createLoginThrottle({ account, address, redis }: LoginThrottleOptions): LoginThrottle {
  const counters: Counter[] = [];
  if (address) {
    counters.push({ limiter: createLimiter('address', address, redis), key: (_email, ip) => addressKey(ip) });
  }
  if (account) {
    // Half of an account's budget for each address: while one guesses, the right password from elsewhere still works.
    const half = { ...account, points: Math.max(1, Math.floor(account.points / 2)) };
    counters.push({
      limiter: createLimiter('pair', half, redis),
      key: (email, ip) => `${accountKey(email)}:${addressKey(ip)}`,
    });
    counters.push({ limiter: createLimiter('account', account, redis), key: accountKey });
  }
  return {
    async attempt(email, ip) {
      const counted: (() => Promise<unknown>)[] = [];
      for (const { limiter, key } of counters) {
        const name = key(email, ip);
        try {
          await limiter.consume(name);
        } catch (refusal) {
          if (!(refusal instanceof RateLimiterRes)) throw refusal;
          throw new GatewayError('too_many_attempts', { retryAfterMs: Math.max(1_000, refusal.msBeforeNext) });
        }
        counted.push(() => limiter.reward(name));
      }
      return async () => {
        await Promise.allSettled(counted.map((giveBack) => giveBack()));
      };
    },
  };
}

/** Spelling variants of one account count as one; the name itself is not kept. */
function accountKey(email: string): string {
  return createHash('sha256').update(email.normalize('NFKC').trim().toLowerCase()).digest('base64url');
}

function createLimiter(name: string, limit: AttemptLimit, redis: RedisConnection | undefined): RateLimiterAbstract {
  const options = {
    points: limit.points,
    duration: Math.ceil(limit.windowMs / 1_000),
    keyPrefix: `${THROTTLE_PREFIX}:${name}`,
  };
  const memory = new RateLimiterMemory(options);
  return redis ? new RateLimiterRedis({ ...options, storeClient: redis, insuranceLimiter: memory }) : memory;
}
