// Live sessions straight into Redis, by the gateway's own modules, as if their users had logged in. Nobody logs in.
import { loadSettings } from '../../src/config/load.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { createRedisConnection, whenReady } from '../../src/redis/redis-client.ts';
import { createRedisSessionStore } from '../../src/session/redis-session-store.ts';
import { hashSessionId, newSessionId } from '../../src/session/session-id.ts';
import { createTokenSeal } from '../../src/session/token-seal.ts';

export interface Forgery {
  readonly redisUrl: string;
  /** As `SESSION_KEYS` is written. */
  readonly sessionKeys: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly accessLifeMs: number;
  readonly licensingTierId: string;
}

const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const IDLE_MS = 12 * 3_600_000;
const ABSOLUTE_MS = 30 * 24 * 3_600_000;
const WIDTH = 128;

/** Sessions of a user each. @returns their cookies. */
export async function forgeSessions(forgery: Forgery, count: number): Promise<string[]> {
  const loaded = loadSettings({ env: { SESSION_KEYS: forgery.sessionKeys } });
  if (loaded.kind === 'invalid') throw new Error(loaded.problems.join('\n'));
  const connection = createRedisConnection(
    new Secret(forgery.redisUrl),
    createLogger({ level: 'silent', destination: { write: () => undefined } }),
  );
  if (!(await whenReady(connection, 5_000))) throw new Error('Redis does not answer');
  const forge = createForge(forgery, createRedisSessionStore(connection), createTokenSeal(loaded.settings.sessionKeys));
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

function createForge(
  { accessToken, refreshToken, accessLifeMs, licensingTierId }: Forgery,
  store: ReturnType<typeof createRedisSessionStore>,
  seal: ReturnType<typeof createTokenSeal>,
) {
  return async (i: number): Promise<string> => {
    const now = Date.now();
    const id = newSessionId();
    const user = {
      user_id: `user-${i}`,
      email: 'user@finvera.test',
      username: 'user',
      licensing_tier_id: licensingTierId,
    };
    const tokens = {
      access: new Secret(accessToken),
      refresh: new Secret(refreshToken),
      accessExpiresAt: now + accessLifeMs,
      accessLifeMs,
    };
    const session = {
      hash: hashSessionId(id),
      version: 1,
      publicId: `public-${i}`,
      userId: user.user_id,
      createdAt: now,
      lastSeenAt: now,
      absoluteExpiresAt: now + ABSOLUTE_MS,
      ip: '192.0.2.1',
      userAgent: USER_AGENT,
      seal: await seal.seal(id, { user, tokens }),
    };
    await store.create(session, IDLE_MS, 20);
    return `__Host-finvera_session=${id}`;
  };
}
