/** Sessions in Redis: one hash a session, one sorted set a user. Holds seals and what listing needs, never a token. */
import { estimateKeys } from '../redis/estimate-keys.ts';
import { type RedisConnection, storeOperation } from '../redis/redis-client.ts';
import {
  EVENTS_CHANNEL,
  hashOfSessionKey,
  SESSION_KEY_PATTERN,
  sessionKey,
  userSessionsKey,
} from '../redis/redis-keys.ts';
import { createReplicaWait } from '../redis/replica-wait.ts';
import { scanKeys } from '../redis/scan-keys.ts';
import type { ForcedRefresh } from './session.ts';
import { isSessionHash, type SessionHash } from './session-id.ts';
import type { FoundSession, SessionStore, StoredSession } from './session-store.ts';

/** The field m: what listing needs, in short names. */
interface StoredMeta {
  readonly p: string;
  readonly u: string;
  readonly c: number;
  readonly i: string;
  readonly a: string;
}

const FIELDS = ['v', 'l', 'x', 'm', 's', 'f'] as const;

const formatForced = (forced: ForcedRefresh | undefined): string => (forced ? `${forced.at} ${forced.outcome}` : '');

/** The connection stays the caller's: `close` leaves it open. */
export function createRedisSessionStore(redis: RedisConnection): SessionStore {
  const replicated = createReplicaWait(redis);
  const read = async (hash: SessionHash): Promise<StoredSession | undefined> =>
    parseStored(hash, (await redis.hmget(sessionKey(hash), ...FIELDS)) as (string | null)[]);

  /** One that somebody else's hand has spoilt must not keep the others from being seen. */
  const find = async (hash: SessionHash): Promise<FoundSession> => {
    try {
      const session = await read(hash);
      return session ? { hash, session } : { hash };
    } catch (error) {
      const isSpoilt = error instanceof SyntaxError || (error as Error).message.startsWith('WRONGTYPE');
      if (isSpoilt) return { hash };
      throw error;
    }
  };

  /** Index entries outlive sessions that expired: they are taken out when somebody looks. */
  const listByUser = async (userId: string): Promise<StoredSession[]> => {
    const index = userSessionsKey(userId);
    const members = await redis.zrange(index, '0', '-1');
    const sessions = await Promise.all(members.map((hash) => (isSessionHash(hash) ? read(hash) : undefined)));
    const dead = members.filter((_, i) => sessions[i] === undefined);
    if (dead.length > 0) await redis.zrem(index, ...dead);
    return sessions.filter((session) => session !== undefined);
  };

  return {
    create: (session, ttlMs, keep) =>
      storeOperation(async () => {
        const index = userSessionsKey(session.userId);
        const lifeMs = session.absoluteExpiresAt - session.createdAt;
        // The session first: a listing that finds an entry without one takes the entry out, and the session would live
        // unlisted. Where it ends in between, nobody has its cookie yet.
        await writeNew(redis, session, ttlMs);
        const count = await redis.indexSession(index, session.createdAt, session.hash, Math.ceil(lifeMs));
        if (count <= keep) return [];
        await listByUser(session.userId);
        const surplus = (await redis.trimUser(index, keep)).filter(isSessionHash);
        await Promise.all(
          surplus.map((hash) => redis.endSession(sessionKey(hash), '', EVENTS_CHANNEL, `ended ${hash} limit`)),
        );
        return surplus;
      }),
    read: (hash) => storeOperation(() => read(hash)),
    writeSeal: (hash, write) =>
      storeOperation(async () => {
        const forced = formatForced(write.forced);
        const { version, seal, absoluteExpiresAt, ttlMs } = write;
        const result = await redis.replaceSeal(
          sessionKey(hash),
          version,
          seal,
          absoluteExpiresAt,
          ttlMs,
          forced,
          EVENTS_CHANNEL,
          `refreshed ${hash}`,
        );
        if (result === -1) return { kind: 'gone' };
        if (result === 0) return { kind: 'conflict' };
        await replicated();
        return { kind: 'written', version: result };
      }),
    reseal: (hash, read, seal) =>
      storeOperation(
        async () => (await redis.resealSession(sessionKey(hash), read, seal, EVENTS_CHANNEL, `resealed ${hash}`)) === 1,
      ),
    touch: (hash, lastSeenAt, ttlMs) =>
      storeOperation(async () => {
        await redis.touchSession(sessionKey(hash), lastSeenAt, ttlMs);
      }),
    noteForced: (hash, forced) =>
      storeOperation(async () => {
        await redis.noteForced(sessionKey(hash), formatForced(forced));
      }),
    end: ({ hash, userId }, reason, onlyVersion) =>
      storeOperation(async () => {
        const removed = await redis.endSession(
          sessionKey(hash),
          onlyVersion ?? '',
          EVENTS_CHANNEL,
          `ended ${hash} ${reason}`,
        );
        if (removed !== 1) return false;
        await replicated();
        await redis.zrem(userSessionsKey(userId), hash);
        return true;
      }),
    async *all() {
      const batches = scanKeys(redis, SESSION_KEY_PATTERN);
      while (true) {
        const { done, value } = await storeOperation(() => batches.next());
        if (done) return;
        const hashes = value.map((key) => hashOfSessionKey(key) ?? '').filter(isSessionHash);
        yield await storeOperation(() => Promise.all(hashes.map(find)));
      }
    },
    estimate: () => storeOperation(() => estimateKeys(redis, (key) => hashOfSessionKey(key) !== undefined)),
    listByUser: (userId) => storeOperation(() => listByUser(userId)),
    ping: () =>
      storeOperation(async () => {
        await redis.ping();
      }),
    async close() {},
  };
}

async function writeNew(redis: RedisConnection, session: StoredSession, ttlMs: number): Promise<void> {
  const { publicId, userId, createdAt, ip, userAgent } = session;
  const meta = JSON.stringify({ p: publicId, u: userId, c: createdAt, i: ip, a: userAgent } satisfies StoredMeta);
  const key = sessionKey(session.hash);
  const fields = { v: session.version, l: session.lastSeenAt, x: session.absoluteExpiresAt, m: meta, s: session.seal };
  const results = await redis.multi().hset(key, fields).pexpire(key, ttlMs).exec();
  for (const [error] of results ?? []) if (error) throw error;
}

function parseStored(hash: SessionHash, fields: readonly (string | null)[]): StoredSession | undefined {
  const [version, lastSeenAt, absoluteExpiresAt, meta, seal, forced] = fields;
  if (!version || !lastSeenAt || !absoluteExpiresAt || !meta || !seal) return undefined;
  const numbers = {
    version: Number(version),
    lastSeenAt: Number(lastSeenAt),
    absoluteExpiresAt: Number(absoluteExpiresAt),
  };
  // Compared with anything, no number would never be over.
  if (!Object.values(numbers).every(Number.isFinite)) return undefined;
  const { p, u, c, i, a } = JSON.parse(meta) as StoredMeta;
  const [at, outcome] = forced ? forced.split(' ') : [];
  return {
    hash,
    ...numbers,
    seal,
    publicId: p,
    userId: u,
    createdAt: c,
    ip: i,
    userAgent: a,
    ...(at && (outcome === 'refreshed' || outcome === 'unavailable') ? { forced: { at: Number(at), outcome } } : {}),
  };
}
