// The sessions of the benchmark: with the job's tokens, under keys that every gateway it starts is given.
import { forgeSessions as forge } from '../test/support/forge-sessions.ts';
import { ACCESS_TOKEN, REFRESH_TOKEN } from './job.ts';

export const SESSION_KEYS = `bench:${Buffer.alloc(32, 7).toString('base64url')}`;

/** @returns the cookies of live sessions, each of a user of its own. */
export function forgeSessions(redisUrl: string, count: number): Promise<string[]> {
  return forge(
    {
      redisUrl,
      sessionKeys: SESSION_KEYS,
      accessToken: ACCESS_TOKEN,
      refreshToken: REFRESH_TOKEN,
      accessLifeMs: 24 * 3_600_000,
      licensingTierId: 'enterprise',
    },
    count,
  );
}
