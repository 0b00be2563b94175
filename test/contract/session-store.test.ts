// What every session store must do, run against each. Time is supplied: for Redis its keys' lives are shortened instead.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RedisConnection } from '../../src/redis/redis-client.ts';
import { userSessionsKey } from '../../src/redis/redis-keys.ts';
import { createMemorySessionStore } from '../../src/session/memory-session-store.ts';
import { createRedisSessionStore } from '../../src/session/redis-session-store.ts';
import type { SessionStore, StoredSession } from '../../src/session/session-store.ts';
import { connectTo } from '../support/redis-connection.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { DAY, HOUR, MINUTE, storedSession } from '../support/session-fixtures.ts';
import { createTestClock, type TestClock } from '../support/test-clock.ts';

interface Subject {
  readonly store: SessionStore;
  readonly clock: TestClock;
  /** Moves the time of the clock and of the store. */
  passes(ms: number): Promise<void>;
}

interface Implementation {
  readonly name: string;
  begin(): Promise<void>;
  subject(): Promise<Subject>;
  end(): Promise<void>;
}

const memory: Implementation = {
  name: 'memory',
  begin: async () => undefined,
  async subject() {
    const clock = createTestClock();
    return { store: createMemorySessionStore(clock), clock, passes: async (ms) => clock.advance(ms) };
  },
  end: async () => undefined,
};

function redisImplementation(): Implementation {
  let redis: TestRedis;
  let connection: RedisConnection;
  return {
    name: 'redis',
    async begin() {
      redis = await startRedis();
      connection = await connectTo(redis);
    },
    async subject() {
      await redis.client.flushall();
      const clock = createTestClock();
      const passes = async (ms: number) => {
        clock.advance(ms);
        for (const key of await redis.client.keys('*')) {
          const leftMs = (await redis.client.pttl(key)) - ms;
          if (leftMs > 0) await redis.client.pexpire(key, leftMs);
          else await redis.client.del(key);
        }
      };
      return { store: createRedisSessionStore(connection), clock, passes };
    },
    async end() {
      connection.disconnect();
      await redis.close();
    },
  };
}

async function allOf(store: SessionStore) {
  const found = [];
  for await (const batch of store.all()) found.push(...batch);
  return found;
}

/** Far from the edge, so that the milliseconds a real Redis takes do not matter. */
const A_LITTLE = MINUTE;

describe.each([memory, redisImplementation()])('the session store: $name', (implementation) => {
  let subject: Subject;
  let store: SessionStore;

  beforeAll(() => implementation.begin());
  afterAll(() => implementation.end());
  beforeEach(async () => {
    subject = await implementation.subject();
    ({ store } = subject);
  });
  afterEach(() => store.close());

  const sessionAt = (ageMs: number, changes: Partial<StoredSession> = {}) =>
    storedSession(subject.clock.now(), { createdAt: subject.clock.now() - ageMs, ...changes });
  const create = async (session: StoredSession, ttlMs = HOUR, keep = 20) => {
    await store.create(session, ttlMs, keep);
    return session;
  };
  const write = (version: number, changes = {}) => ({
    version,
    seal: 'seal-2',
    absoluteExpiresAt: subject.clock.now() + DAY,
    ttlMs: HOUR,
    ...changes,
  });

  test('answers a ping', async () => {
    await store.ping();
  });

  describe('reading', () => {
    test('gives back what was created, all of it', async () => {
      const session = await create(sessionAt(5, { ip: '2001:db8::1', userAgent: 'ä "quoted" \u{1f600}' }));
      expect(await store.read(session.hash)).toEqual(session);
    });

    test('finds nothing that was not created', async () => {
      expect(await store.read(storedSession(0).hash)).toBeUndefined();
    });

    test('finds a session to the end of its life and not beyond', async () => {
      const session = await create(sessionAt(0), HOUR);
      await subject.passes(HOUR - A_LITTLE);
      expect(await store.read(session.hash)).toEqual(session);
      await subject.passes(A_LITTLE);
      expect(await store.read(session.hash)).toBeUndefined();
    });

    test('keeps a session for 30 days', async () => {
      const session = await create(sessionAt(0), 30 * DAY);
      await subject.passes(30 * DAY - A_LITTLE);
      expect(await store.read(session.hash)).toEqual(session);
    });
  });

  describe('writing a seal', () => {
    test('replaces it and counts the version up', async () => {
      const session = await create(sessionAt(0));
      const { absoluteExpiresAt, seal } = write(1);
      expect(await store.writeSeal(session.hash, write(1))).toEqual({ kind: 'written', version: 2 });
      expect(await store.read(session.hash)).toEqual({ ...session, version: 2, seal, absoluteExpiresAt });
      expect(await store.writeSeal(session.hash, write(2))).toEqual({ kind: 'written', version: 3 });
    });

    test('is refused where another wrote first, and changes nothing', async () => {
      const session = await create(sessionAt(0));
      await store.writeSeal(session.hash, write(1, { seal: 'theirs' }));
      expect(await store.writeSeal(session.hash, write(1, { seal: 'ours' }))).toEqual({ kind: 'conflict' });
      expect(await store.read(session.hash)).toMatchObject({ version: 2, seal: 'theirs' });
    });

    test('is refused at a version that is yet to come', async () => {
      const session = await create(sessionAt(0));
      expect(await store.writeSeal(session.hash, write(2))).toEqual({ kind: 'conflict' });
    });

    test('lets one of many writers of the same version through', async () => {
      const session = await create(sessionAt(0));
      const kinds = await Promise.all(
        Array.from(
          { length: 10 },
          async (_, i) => (await store.writeSeal(session.hash, write(1, { seal: `${i}` }))).kind,
        ),
      );
      expect(kinds.filter((kind) => kind === 'written')).toHaveLength(1);
      expect(kinds.filter((kind) => kind === 'conflict')).toHaveLength(9);
    });

    test('does not create a session that ended, nor one that never was', async () => {
      const session = await create(sessionAt(0));
      await store.end(session, 'logout');
      expect(await store.writeSeal(session.hash, write(1))).toEqual({ kind: 'gone' });
      expect(await store.read(session.hash)).toBeUndefined();
      expect(await store.listByUser(session.userId)).toEqual([]);
    });

    test('does not create a session that expired', async () => {
      const session = await create(sessionAt(0), HOUR);
      await subject.passes(HOUR);
      expect(await store.writeSeal(session.hash, write(1))).toEqual({ kind: 'gone' });
    });

    test('sets the life anew', async () => {
      const session = await create(sessionAt(0), HOUR);
      await store.writeSeal(session.hash, write(1, { ttlMs: 2 * HOUR }));
      await subject.passes(2 * HOUR - A_LITTLE);
      expect(await store.read(session.hash)).toBeDefined();
      await subject.passes(A_LITTLE);
      expect(await store.read(session.hash)).toBeUndefined();
    });

    test('notes a forced refresh, and leaves an older note where there is none', async () => {
      const session = await create(sessionAt(0));
      const forced = { at: subject.clock.now(), outcome: 'refreshed' as const };
      await store.writeSeal(session.hash, write(1, { forced }));
      expect((await store.read(session.hash))?.forced).toEqual(forced);
      await store.writeSeal(session.hash, write(2));
      expect((await store.read(session.hash))?.forced).toEqual(forced);
    });
  });

  describe('sealing anew', () => {
    test('replaces the seal that was read, and nothing else', async () => {
      const session = await create(sessionAt(0), HOUR);
      await subject.passes(A_LITTLE);
      expect(await store.reseal(session.hash, session.seal, 'anew')).toBe(true);
      expect(await store.read(session.hash)).toEqual({ ...session, seal: 'anew' });
      expect(await store.writeSeal(session.hash, write(1))).toEqual({ kind: 'written', version: 2 });
    });

    test('does not prolong the life', async () => {
      const session = await create(sessionAt(0), HOUR);
      await subject.passes(HOUR - A_LITTLE);
      await store.reseal(session.hash, session.seal, 'anew');
      await subject.passes(A_LITTLE);
      expect(await store.read(session.hash)).toBeUndefined();
    });

    test('gives way to whoever wrote another seal since', async () => {
      const session = await create(sessionAt(0));
      await store.writeSeal(session.hash, write(1));
      expect(await store.reseal(session.hash, session.seal, 'anew')).toBe(false);
      expect(await store.read(session.hash)).toMatchObject({ seal: 'seal-2', version: 2 });
    });

    test('does not create a session that ended', async () => {
      const session = await create(sessionAt(0));
      await store.end(session, 'logout');
      expect(await store.reseal(session.hash, session.seal, 'anew')).toBe(false);
      expect(await store.read(session.hash)).toBeUndefined();
    });
  });

  describe('noting activity', () => {
    test('moves the last activity and the life forward', async () => {
      const session = await create(sessionAt(0), HOUR);
      await subject.passes(30 * MINUTE);
      await store.touch(session.hash, subject.clock.now(), HOUR);
      expect(await store.read(session.hash)).toEqual({ ...session, lastSeenAt: subject.clock.now() });
      await subject.passes(HOUR - A_LITTLE);
      expect(await store.read(session.hash)).toBeDefined();
      await subject.passes(A_LITTLE);
      expect(await store.read(session.hash)).toBeUndefined();
    });

    test('never moves them back, nor for the same moment', async () => {
      const session = await create(sessionAt(0), HOUR);
      await store.touch(session.hash, session.lastSeenAt - 1, 1);
      await store.touch(session.hash, session.lastSeenAt, 1);
      await subject.passes(A_LITTLE);
      expect(await store.read(session.hash)).toEqual(session);
    });

    test('does not change the version', async () => {
      const session = await create(sessionAt(0));
      await store.touch(session.hash, session.lastSeenAt + 5, HOUR);
      expect(await store.writeSeal(session.hash, write(1))).toEqual({ kind: 'written', version: 2 });
      expect(await store.read(session.hash)).toMatchObject({ lastSeenAt: session.lastSeenAt + 5 });
    });

    test('does not create a session that ended', async () => {
      const session = await create(sessionAt(0));
      await store.end(session, 'logout');
      await store.touch(session.hash, session.lastSeenAt + 5, HOUR);
      expect(await store.read(session.hash)).toBeUndefined();
    });
  });

  describe('noting a forced refresh', () => {
    test('replaces what was noted', async () => {
      const session = await create(sessionAt(0));
      await store.noteForced(session.hash, { at: 5, outcome: 'unavailable' });
      expect(await store.read(session.hash)).toEqual({ ...session, forced: { at: 5, outcome: 'unavailable' } });
      await store.noteForced(session.hash, { at: 6, outcome: 'refreshed' });
      expect(await store.read(session.hash)).toEqual({ ...session, forced: { at: 6, outcome: 'refreshed' } });
    });

    test('does not create a session that ended', async () => {
      const session = await create(sessionAt(0));
      await store.end(session, 'logout');
      await store.noteForced(session.hash, { at: 5, outcome: 'unavailable' });
      expect(await store.read(session.hash)).toBeUndefined();
    });
  });

  describe('ending', () => {
    test('removes the session, and is true only where there was one', async () => {
      const [session, other] = [await create(sessionAt(0)), await create(sessionAt(1))];
      expect(await store.end(session, 'logout')).toBe(true);
      expect(await store.read(session.hash)).toBeUndefined();
      expect(await store.end(session, 'logout')).toBe(false);
      expect(await store.listByUser(session.userId)).toEqual([other]);
    });

    test('is true once when many end it at the same time', async () => {
      const session = await create(sessionAt(0));
      const ended = await Promise.all(Array.from({ length: 10 }, () => store.end(session, 'logout')));
      expect(ended.filter(Boolean)).toHaveLength(1);
    });

    test('at a version spares a session that was written since', async () => {
      const session = await create(sessionAt(0));
      await store.writeSeal(session.hash, write(1));
      expect(await store.end(session, 'refresh_rejected', 1)).toBe(false);
      expect(await store.read(session.hash)).toBeDefined();
      expect(await store.listByUser(session.userId)).toHaveLength(1);
      expect(await store.end(session, 'refresh_rejected', 2)).toBe(true);
      expect(await store.read(session.hash)).toBeUndefined();
    });
  });

  describe('listing', () => {
    test('gives a user’s living sessions, oldest first, and nobody else’s', async () => {
      const young = await create(sessionAt(MINUTE));
      const old = await create(sessionAt(2 * MINUTE));
      await create(sessionAt(0, { userId: 'user-2' }));
      expect(await store.listByUser('user-1')).toEqual([old, young]);
      expect(await store.listByUser('user-3')).toEqual([]);
    });

    test('leaves out what expired', async () => {
      await create(sessionAt(2), HOUR);
      const living = await create(sessionAt(1), 2 * HOUR);
      await subject.passes(HOUR + A_LITTLE);
      expect(await store.listByUser('user-1')).toEqual([living]);
    });

    test('finds a session as long as it can live, however it is kept alive', async () => {
      const session = await create(sessionAt(0), HOUR);
      for (let hour = 0; hour < 24 * 3; hour += 1) {
        await store.touch(session.hash, subject.clock.now() + 1, 2 * HOUR);
        await subject.passes(HOUR);
      }
      expect(await store.listByUser('user-1')).toMatchObject([{ hash: session.hash }]);
    });

    test('takes user ids of any shape', async () => {
      for (const userId of ['a:b{c}*', 'ü \n', '__proto__', '']) {
        const session = await create(sessionAt(0, { userId }));
        expect(await store.listByUser(userId)).toEqual([session]);
      }
    });
  });

  describe('walking over all', () => {
    test('comes by the sessions of every user, and by no dead one', async () => {
      const sessions = await Promise.all(
        ['user-1', 'user-1', 'user-2'].map((userId) => create(sessionAt(0, { userId }))),
      );
      await create(sessionAt(0), MINUTE);
      await store.end(await create(sessionAt(0)), 'logout');
      await subject.passes(2 * MINUTE);
      const found = await allOf(store);
      expect(found).toHaveLength(3);
      expect(found).toEqual(expect.arrayContaining(sessions.map((session) => ({ hash: session.hash, session }))));
    });

    test('estimates how many there are, exactly where they are few', async () => {
      expect(await store.estimate()).toBe(0);
      for (const userId of ['user-1', 'user-1', 'user-2']) await create(sessionAt(0, { userId }));
      expect(await store.estimate()).toBe(3);
    });

    test('finds nothing where there is nothing', async () => {
      expect(await allOf(store)).toEqual([]);
    });
  });

  describe('the limit of sessions a user', () => {
    test('ends the oldest when one more begins, and tells which', async () => {
      const old = await create(sessionAt(3), HOUR, 2);
      const middle = await create(sessionAt(2), HOUR, 2);
      const young = sessionAt(1);
      expect(await store.create(young, HOUR, 2)).toEqual([old.hash]);
      expect(await store.read(old.hash)).toBeUndefined();
      expect(await store.listByUser('user-1')).toEqual([middle, young]);
    });

    test('ends as many as are too many', async () => {
      const [a, b] = [await create(sessionAt(4)), await create(sessionAt(3))];
      const young = sessionAt(1);
      expect(await store.create(young, HOUR, 1)).toEqual([a.hash, b.hash]);
      expect(await store.listByUser('user-1')).toEqual([young]);
    });

    test('ends nothing while there is room', async () => {
      await create(sessionAt(3), HOUR, 2);
      expect(await store.create(sessionAt(2), HOUR, 2)).toEqual([]);
    });

    test('does not count what expired or ended', async () => {
      await create(sessionAt(4), HOUR);
      const ended = await create(sessionAt(3), 3 * HOUR);
      const living = await create(sessionAt(2), 3 * HOUR);
      await store.end(ended, 'logout');
      await subject.passes(HOUR + A_LITTLE);
      const young = sessionAt(1);
      expect(await store.create(young, HOUR, 2)).toEqual([]);
      expect(await store.listByUser('user-1')).toEqual([living, young]);
    });

    test('does not touch other users', async () => {
      const other = await create(sessionAt(9, { userId: 'user-2' }), HOUR, 1);
      await create(sessionAt(3), HOUR, 1);
      await create(sessionAt(2), HOUR, 1);
      expect(await store.read(other.hash)).toEqual(other);
    });
  });
});

describe('the redis session store alone', () => {
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
  beforeEach(() => redis.client.flushall());

  test('leaves nothing behind that never expires', async () => {
    const store = createRedisSessionStore(connection);
    const session = storedSession(Date.now());
    await store.create(session, HOUR, 1);
    await store.create({ ...storedSession(Date.now()), createdAt: session.createdAt + 1 }, HOUR, 1);
    await store.touch(session.hash, session.lastSeenAt + 1, HOUR);
    await store.noteForced(session.hash, { at: 1, outcome: 'refreshed' });
    for (const key of await redis.client.keys('*')) expect(await redis.client.pttl(key)).toBeGreaterThan(0);
  });

  test('forgets index entries of sessions that are gone when somebody looks', async () => {
    const store = createRedisSessionStore(connection);
    const session = storedSession(Date.now());
    await store.create(session, HOUR, 1);
    await redis.client.del(`finvera:{${session.hash}}:session`);
    expect(await store.listByUser(session.userId)).toEqual([]);
    expect(await redis.client.zcard(userSessionsKey(session.userId))).toBe(0);
  });

  test.each([
    ['v', 'x'],
    ['l', 'NaN'],
    ['x', 'never'],
    ['x', 'Infinity'],
    ['m', ''],
    ['s', ''],
  ])('does not know a session whose field %s somebody made %j', async (field, value) => {
    const store = createRedisSessionStore(connection);
    const session = storedSession(Date.now());
    await store.create(session, HOUR, 1);
    await redis.client.hset(`finvera:{${session.hash}}:session`, field, value);
    expect(await store.read(session.hash)).toBeUndefined();
  });

  test('takes out of the index what it ends', async () => {
    const store = createRedisSessionStore(connection);
    const session = storedSession(Date.now());
    await store.create(session, HOUR, 1);
    await store.end(session, 'logout');
    expect(await redis.client.keys('*')).toEqual([]);
  });

  test('lists a session that began while somebody listed', async () => {
    const other = createRedisSessionStore(connection);
    const session = storedSession(Date.now());
    // Between any two commands of the beginning, somebody looks.
    const watched = new Proxy(connection, {
      get(target, name) {
        if (name !== 'indexSession') return Reflect.get(target, name, target);
        return async (...args: Parameters<RedisConnection['indexSession']>) => {
          await other.listByUser(session.userId);
          const count = await target.indexSession(...args);
          await other.listByUser(session.userId);
          return count;
        };
      },
    });
    await createRedisSessionStore(watched).create(session, HOUR, 5);
    expect(await other.listByUser(session.userId)).toEqual([session]);
  });

  test('keeps a user’s index as long as the longest of the sessions lives', async () => {
    const store = createRedisSessionStore(connection);
    const now = Date.now();
    await store.create(storedSession(now, { absoluteExpiresAt: now + 30 * DAY }), HOUR, 5);
    await store.create(storedSession(now, { absoluteExpiresAt: now + DAY }), HOUR, 5);
    expect(await redis.client.pttl(userSessionsKey('user-1'))).toBeGreaterThan(29 * DAY);
  });

  test('tells every instance of an end, of new tokens and of a new seal, and of nothing that did not happen', async () => {
    const store = createRedisSessionStore(connection);
    const listener = redis.client.duplicate();
    listener.on('error', () => undefined);
    const heard: string[] = [];
    const ping = Promise.withResolvers<void>();
    listener.on('message', (_channel, message) => (message === 'over' ? ping.resolve() : heard.push(message)));
    await listener.subscribe('finvera:events');

    const [first, second] = [storedSession(Date.now()), storedSession(Date.now() + 1)];
    await store.create(first, HOUR, 1);
    const write = { version: 1, seal: 's', absoluteExpiresAt: first.absoluteExpiresAt, ttlMs: HOUR };
    await store.writeSeal(first.hash, write);
    await store.writeSeal(first.hash, write);
    await store.reseal(first.hash, 'another', 't');
    await store.reseal(first.hash, 's', 't');
    await store.create(second, HOUR, 1);
    await store.end(second, 'refresh_rejected', 7);
    await store.end(second, 'logout');
    await store.end(second, 'logout');
    await redis.client.publish('finvera:events', 'over');
    await ping.promise;
    expect(heard).toEqual([
      `refreshed ${first.hash}`,
      `resealed ${first.hash}`,
      `ended ${first.hash} limit`,
      `ended ${second.hash} logout`,
    ]);
    listener.disconnect();
  });

  test('walks over sessions that somebody else has spoilt, without what they hold', async () => {
    const store = createRedisSessionStore(connection);
    const [whole, spoilt, other] = [storedSession(Date.now()), storedSession(Date.now()), storedSession(Date.now())];
    for (const session of [whole, spoilt]) await store.create(session, HOUR, 20);
    await redis.client.hset(`finvera:{${spoilt.hash}}:session`, 'm', '{');
    await redis.client.set(`finvera:{${other.hash}}:session`, 'no hash');
    await redis.client.set('finvera:{not-a-hash}:session', 'x');
    const found = await allOf(store);
    expect(found).toHaveLength(3);
    expect(found).toEqual(
      expect.arrayContaining([{ hash: whole.hash, session: whole }, { hash: spoilt.hash }, { hash: other.hash }]),
    );
    await redis.client.flushall();
  });

  test('says store_unavailable for every call while redis is gone, and works again afterwards', async () => {
    const ownRedis = await startRedis();
    const ownConnection = await connectTo(ownRedis);
    const store = createRedisSessionStore(ownConnection);
    const session = storedSession(Date.now());
    await ownRedis.stop();
    const calls: (() => Promise<unknown>)[] = [
      () => store.create(session, HOUR, 1),
      () => store.read(session.hash),
      () => store.writeSeal(session.hash, { version: 1, seal: 's', absoluteExpiresAt: 1, ttlMs: 1 }),
      () => store.reseal(session.hash, 's', 't'),
      () => store.touch(session.hash, 1, 1),
      () => store.noteForced(session.hash, { at: 1, outcome: 'refreshed' }),
      () => store.end(session, 'logout'),
      () => store.listByUser(session.userId),
      () => allOf(store),
      () => store.estimate(),
      () => store.ping(),
    ];
    for (const call of calls)
      await expect(call()).rejects.toMatchObject({ kind: 'store_unavailable', retryAfterMs: 1_000 });
    const ready = new Promise((resolve) => ownConnection.once('ready', resolve));
    await ownRedis.restart();
    await ready;
    await store.create(session, HOUR, 1);
    expect(await store.read(session.hash)).toEqual(session);
    ownConnection.disconnect();
    await ownRedis.close();
  });
});

describe('the memory session store alone', () => {
  test('forgets what expired without being asked for it', async () => {
    const clock = createTestClock();
    const store = createMemorySessionStore(clock);
    for (let i = 0; i < 998; i += 1) await store.create(storedSession(clock.now(), { userId: `user-${i}` }), HOUR, 1);
    clock.advance(HOUR);
    let reads = 0;
    const now = clock.now;
    clock.now = () => {
      reads += 1;
      return now();
    };
    const cost = async (userId: string) => {
      reads = 0;
      await store.listByUser(userId);
      return reads;
    };
    await store.create(storedSession(now(), { userId: 'last-but-one' }), HOUR, 1);
    await store.create(storedSession(now(), { userId: 'last' }), HOUR, 1);
    expect(await cost('nobody')).toBe(2);
  });
});
