/** The session store of the settings, for a command: the gateway's own way to Redis, with one sentence where there is none. */
import { type LoadedSettings, loadSettings } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import { createLogger } from '../observability/logger.ts';
import { parseRedisAddress } from '../redis/redis-address.ts';
import { createRedisConnection, type RedisConnection, whenReady } from '../redis/redis-client.ts';
import { createRedisSessionStore } from '../session/redis-session-store.ts';
import type { SessionStore } from '../session/session-store.ts';
import type { CommandOptions } from './command-options.ts';

const WAIT_MS = 3_000;

export interface OpenStore {
  readonly settings: Settings;
  readonly store: SessionStore;
  readonly redis: RedisConnection;
  /** Where it is, without user and password. */
  readonly place: string;
}

/**
 * Works on the store, then closes it.
 * @throws Error with a sentence, where the settings are invalid, name no Redis, or it does not answer.
 */
export async function withStore<T>(options: CommandOptions, work: (open: OpenStore) => Promise<T>): Promise<T> {
  const { settings } = validSettings(options);
  const { sessionStore, redisUrl } = settings;
  if (sessionStore === 'memory' || redisUrl === undefined) {
    throw new Error(
      'the settings keep sessions in the memory of the gateway: nobody else can see them. Set REDIS_URL as the gateway has it.',
    );
  }
  const connection = openConnection(redisUrl);
  try {
    const place = placeOf(redisUrl);
    const why = await connection.whenUsable();
    if (why !== undefined)
      throw new Error(`Redis at ${place} cannot be reached (${why}): is REDIS_URL the gateway's, and Redis up?`);
    return await work({ settings, store: createRedisSessionStore(connection.redis), redis: connection.redis, place });
  } finally {
    connection.redis.disconnect();
  }
}

type ValidSettings = Extract<LoadedSettings, { kind: 'ok' }>;

/** @throws Error that holds every problem. */
export function validSettings(options: CommandOptions): ValidSettings {
  const loaded = loadSettings(options);
  if (loaded.kind === 'ok') return loaded;
  throw new Error(`the settings cannot be used:\n${loaded.problems.map((each) => `  ${each}`).join('\n')}`);
}

/** A connection that keeps the reason for which it does not come about. */
export function openConnection(redisUrl: NonNullable<Settings['redisUrl']>) {
  const redis = createRedisConnection(redisUrl, createLogger({ level: 'silent', destination: { write() {} } }));
  let why = 'no answer';
  redis.on('error', (error: Error & { lastNodeError?: Error }) => {
    why = (error.lastNodeError ?? error).message;
  });
  return {
    redis,
    /** Undefined once it can be used; else why it cannot. */
    whenUsable: async (): Promise<string | undefined> => ((await whenReady(redis, WAIT_MS)) ? undefined : why),
  };
}

export function placeOf(redisUrl: NonNullable<Settings['redisUrl']>): string {
  const { nodes } = parseRedisAddress(redisUrl.reveal());
  return nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
}
