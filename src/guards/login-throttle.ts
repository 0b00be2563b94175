/**
 * Limits login attempts per account and per address. An attempt counts before the exchange, so that parallel ones count
 * too, and is given back on success. Shared through Redis; while that is down each instance counts in memory. A generous
 * limit of each instance stands above, for a password sprayed over many accounts from many addresses.
 */
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
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
   * @throws TooManyAttempts with the time to wait.
   */
  attempt(email: string, ip: string): Promise<() => Promise<void>>;
  /**
   * Refuses at once, without asking Redis, what was refused here within the last second. For what stands before
   * `attempt`: a flood of attempts must not become one of commands.
   * @throws TooManyAttempts
   */
  recall(email: string, ip: string): void;
}

/** `too_many_attempts`, and for the audit trail which limit it was. */
export class TooManyAttempts extends GatewayError {
  readonly limit: LimitName;

  constructor(limit: LimitName, retryAfterMs: number) {
    super('too_many_attempts', { retryAfterMs: Math.max(1_000, retryAfterMs) });
    this.limit = limit;
  }
}

type LimitName = 'address' | 'pair' | 'account' | 'instance';

/** So long a refusal is remembered: not longer, since an attempt that was pending may be given back. */
const REFUSAL_KEPT_MS = 1_000;
const MAX_REFUSALS = 10_000;

/** Failed or pending logins of one instance, whatever else is allowed or off. */
export const INSTANCE_LIMIT: AttemptLimit = { points: 600, windowMs: 60_000 };

/** Moments of the monotonic clock. */
interface Refusal {
  readonly at: number;
  readonly until: number;
}

interface Counter {
  readonly name: LimitName;
  readonly limiter: RateLimiterAbstract;
  key(email: string, ip: string): string;
}

export function createLoginThrottle({ account, address, redis }: LoginThrottleOptions): LoginThrottle {
  const counters: Counter[] = [];
  if (address) {
    const limiter = createLimiter('address', address, redis);
    counters.push({ name: 'address', limiter, key: (_email, ip) => addressKey(ip) });
  }
  if (account) {
    // Half of an account's budget for each address: while one guesses, the right password from elsewhere still works.
    const half = { ...account, points: Math.max(1, Math.floor(account.points / 2)) };
    counters.push({
      name: 'pair',
      limiter: createLimiter('pair', half, redis),
      key: (email, ip) => `${accountKey(email)}:${addressKey(ip)}`,
    });
    counters.push({ name: 'account', limiter: createLimiter('account', account, redis), key: accountKey });
  }
  // The last one: what another limit refused must not use up everybody's.
  counters.push({ name: 'instance', limiter: createLimiter('instance', INSTANCE_LIMIT, undefined), key: () => 'all' });
  const refusals = new LRUCache<string, Refusal>({ max: MAX_REFUSALS });
  return {
    recall(email, ip) {
      const now = performance.now();
      for (const { name, key } of counters) {
        const refusal = refusals.get(`${name}:${key(email, ip)}`);
        if (refusal && now - refusal.at < REFUSAL_KEPT_MS) throw new TooManyAttempts(name, refusal.until - now);
      }
    },
    async attempt(email, ip) {
      const counted: (() => Promise<unknown>)[] = [];
      const giveBack = async () => {
        await Promise.allSettled(counted.map((each) => each()));
      };
      for (const { name, limiter, key } of counters) {
        const counter = key(email, ip);
        try {
          await limiter.consume(counter);
        } catch (refusal) {
          if (!(refusal instanceof RateLimiterRes)) throw refusal;
          // Others' attempts are not this account's and this address' fault.
          if (name === 'instance') await giveBack();
          const at = performance.now();
          refusals.set(`${name}:${counter}`, { at, until: at + refusal.msBeforeNext });
          throw new TooManyAttempts(name, refusal.msBeforeNext);
        }
        counted.push(() => {
          refusals.delete(`${name}:${counter}`);
          return limiter.reward(counter);
        });
      }
      return giveBack;
    },
  };
}

/** Spelling variants of one account are one; format characters (U+200B, U+00AD …) show nowhere and may be dropped anywhere. */
export function accountName(email: string): string {
  return email
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .trim()
    .toLowerCase();
}

/** The name itself is not kept. */
function accountKey(email: string): string {
  return createHash('sha256').update(accountName(email)).digest('base64url');
}

/** The longest a timer can wait, 24.8 days: in memory a longer window would be forgotten after a millisecond. */
const MAX_TIMER_SECONDS = Math.floor((2 ** 31 - 1) / 1_000);

function createLimiter(name: string, limit: AttemptLimit, redis: RedisConnection | undefined): RateLimiterAbstract {
  const options = {
    points: limit.points,
    duration: Math.ceil(limit.windowMs / 1_000),
    keyPrefix: `${THROTTLE_PREFIX}:${name}`,
  };
  const memory = new RateLimiterMemory({ ...options, duration: Math.min(options.duration, MAX_TIMER_SECONDS) });
  return redis ? new RateLimiterRedis({ ...options, storeClient: redis, insuranceLimiter: memory }) : memory;
}
