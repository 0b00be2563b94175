// Live sessions straight into Redis, by the gateway's own modules, as if their users had logged in. Nobody logs in.
import { loadSettings } from '../src/config/load.ts';
import { Secret } from '../src/kernel/secret.ts';
import { createLogger } from '../src/observability/logger.ts';
import { createRedisConnection, whenReady } from '../src/redis/redis-client.ts';
import { createRedisSessionStore } from '../src/session/redis-session-store.ts';
import { hashSessionId, newSessionId } from '../src/session/session-id.ts';
import { createTokenSeal } from '../src/session/token-seal.ts';
import { ACCESS_TOKEN, IDLE_SECONDS, REFRESH_TOKEN } from './job.ts';

export const SESSION_KEYS = `bench:${Buffer.alloc(32, 7).toString('base64url')}`;

const USER = { email: 'user@finvera.test', username: 'user', licensing_tier_id: 'enterprise' };
const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const DAY_MS = 24 * 3_600_000;
const WIDTH = 128;

/** Sessions with tokens of 900 and 700 characters, each of a user of its own. @returns their cookies. */
export async function forgeSessions(redisUrl: string, count: number): Promise<string[]> {
  const loaded = loadSettings({ env: { SESSION_KEYS } });
  if (loaded.kind === 'invalid') throw new Error(loaded.problems.join('\n'));
  const connection = createRedisConnection(
    new Secret(redisUrl),
    createLogger({ level: 'silent', destination: { write: () => undefined } }),
  );
  if (!(await whenReady(connection, 5_000))) throw new Error('Redis does not answer');
  const forge = createForge(createRedisSessionStore(connection), createTokenSeal(loaded.settings.sessionKeys));
  const cookies: string[] = [];
  try {
    while (cookies.length < count) {
      const width = Math.min(WIDTH, count - cookies.length);
      cookies.push(...(await Promise.all(Array.from({ length: width }, (_, i) => forge(cookies.length + i)))));
    }
  } finally {
    connection.disconnect();
  }
  return cookies;
}

function createForge(store: ReturnType<typeof createRedisSessionStore>, seal: ReturnType<typeof createTokenSeal>) {
  return async (i: number): Promise<string> => {
    const now = Date.now();
    const id = newSessionId();
    const user = { ...USER, user_id: `user-${i}` };
    const tokens = {
      access: new Secret(ACCESS_TOKEN),
      refresh: new Secret(REFRESH_TOKEN),
      accessExpiresAt: now + DAY_MS,
      accessLifeMs: DAY_MS,
    };
    const session = {
      hash: hashSessionId(id),
      version: 1,
      publicId: `public-${i}`,
      userId: user.user_id,
      createdAt: now,
      lastSeenAt: now,
      absoluteExpiresAt: now + 30 * DAY_MS,
      ip: '192.0.2.1',
      userAgent: USER_AGENT,
      seal: await seal.seal(id, { user, tokens }),
    };
    await store.create(session, IDLE_SECONDS * 1_000, 20);
    return `__Host-finvera_session=${id}`;
  };
}
