import { describe, expect, test } from '@jest/globals';
import { Secret } from '../../../src/kernel/secret.ts';
import { createMemorySessionStore } from '../../../src/session/memory-session-store.ts';
import type { Session } from '../../../src/session/session.ts';
import { createSessionCache } from '../../../src/session/session-cache.ts';
import { hashSessionId, isSessionId, newSessionId } from '../../../src/session/session-id.ts';
import type { StoredSession } from '../../../src/session/session-store.ts';
import { createSessions, type Sessions } from '../../../src/session/sessions.ts';
import { createTokenSeal } from '../../../src/session/token-seal.ts';
import {
  createSessionEvents,
  createTestSessions,
  DAY,
  HOUR,
  MINUTE,
  SEAL_KEY,
  type TestSessionsOptions,
  TIMES,
  tokensNamed,
  USER,
  withoutRefresh,
} from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

function setUp(options: TestSessionsOptions = {}) {
  const clock = createTestClock();
  const parts = createTestSessions(clock, options);
  const begin = (changes = {}) =>
    parts.sessions.begin({
      user: USER,
      tokens: tokensNamed('0', clock.now()),
      ip: '192.0.2.1',
      userAgent: 'agent/1',
      ...changes,
    });
  const found = async (id: Awaited<ReturnType<typeof begin>>['id']) => {
    const finding = await parts.sessions.find(id);
    if (finding.kind !== 'found') throw new Error('not found');
    return finding.session;
  };
  return { clock, ...parts, begin, found };
}

/** Activity is written in the background. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('begin', () => {
  test('makes a session with a new id, whose store entry holds neither the id nor a token', async () => {
    const { begin, store, clock, events } = setUp();
    const session = await begin();
    expect(isSessionId(session.id)).toBe(true);
    const stored = await store.read(hashSessionId(session.id));
    expect(stored).toEqual({
      hash: hashSessionId(session.id),
      version: 1,
      publicId: session.publicId,
      userId: 'user-1',
      createdAt: clock.now(),
      lastSeenAt: clock.now(),
      absoluteExpiresAt: clock.now() + 30 * DAY,
      ip: '192.0.2.1',
      userAgent: 'agent/1',
      seal: expect.any(String),
    });
    const text = JSON.stringify(stored);
    for (const secret of [session.id, 'access-0', 'refresh-0', USER.email]) expect(text).not.toContain(secret);
    expect(events.told).toEqual(['started user-1']);
  });

  test('never gives the same id or public id twice, and neither is part of the other', async () => {
    const { begin } = setUp();
    const [one, other] = [await begin(), await begin()];
    expect(one.id).not.toBe(other.id);
    expect(one.publicId).not.toBe(other.publicId);
    expect(one.publicId).toMatch(/^[A-Za-z0-9_-]{16}$/);
    expect(one.id).not.toContain(one.publicId);
  });

  test('ends with the access token where there is no refresh token', async () => {
    const { begin, clock } = setUp();
    const session = await begin({ tokens: withoutRefresh(tokensNamed('0', clock.now())) });
    expect(session.absoluteExpiresAt).toBe(clock.now() + HOUR);
  });

  test('cuts a long user agent', async () => {
    const { begin } = setUp();
    expect((await begin({ userAgent: 'x'.repeat(1_000) })).userAgent).toBe('x'.repeat(256));
  });

  test('ends the user’s oldest where there are too many, and tells why', async () => {
    const { begin, sessions, clock, events } = setUp({ maxPerUser: 2 });
    const oldest = await begin();
    clock.advance(1);
    await begin();
    clock.advance(1);
    await begin();
    expect(await sessions.find(oldest.id)).toEqual({ kind: 'unknown' });
    expect(events.told).toEqual(['started user-1', 'started user-1', 'started user-1', 'ended user-1 limit']);
  });

  test('rejects and tells nothing where the store does not take it', async () => {
    const { begin, store, events } = setUp();
    store.fail('create');
    await expect(begin()).rejects.toMatchObject({ kind: 'store_unavailable' });
    expect(events.told).toEqual([]);
  });
});

describe('find', () => {
  test('opens what began', async () => {
    const { begin, found } = setUp();
    const session = await begin();
    const again = await found(session.id);
    expect({ ...again, tokens: undefined }).toEqual({ ...session, tokens: undefined });
    expect(again.tokens.access.reveal()).toBe('access-0');
    expect(again.tokens.refresh?.reveal()).toBe('refresh-0');
  });

  test('does not know what never was', async () => {
    expect(await setUp().sessions.find(newSessionId())).toEqual({ kind: 'unknown' });
  });

  test('does not know a session whose seal was moved to it from another', async () => {
    const { begin, sessions, store } = setUp();
    const [one, other] = [await begin(), await begin()];
    const stolen = (await store.read(other.hash)) as StoredSession;
    await store.writeSeal(one.hash, {
      version: 1,
      seal: stolen.seal,
      absoluteExpiresAt: one.absoluteExpiresAt,
      ttlMs: HOUR,
    });
    expect(await sessions.find(one.id)).toEqual({ kind: 'unknown' });
    expect(await sessions.find(other.id)).toMatchObject({ kind: 'found' });
  });

  test('does not know a session that somebody with access to the store gave to another user', async () => {
    const { begin, sessions, store } = setUp();
    const session = await begin();
    const stored = (await store.read(session.hash)) as StoredSession;
    await store.create({ ...stored, userId: 'user-2' }, HOUR, 20);
    expect(await sessions.find(session.id)).toEqual({ kind: 'unknown' });
  });

  test('does not end a session for being idle that was renewed at the same moment', async () => {
    const clock = createTestClock();
    const { sessions, store, events } = createTestSessions(clock, {
      store: createMemorySessionStore(createTestClock(clock.now())),
    });
    const session = await sessions.begin({ user: USER, tokens: tokensNamed('0', clock.now()), ip: '', userAgent: '' });
    clock.advance(12 * HOUR + MINUTE);
    const ending = store.hold('end');
    const finding = sessions.find(session.id);
    await ending.reached;
    await sessions.renew(session, tokensNamed('1', clock.now()));
    ending.release();
    expect(await finding).toEqual({ kind: 'unknown' });
    expect(await store.read(session.hash)).toMatchObject({ version: 2 });
    expect(events.told).toEqual(['started user-1']);
  });

  test('does not know a session whose key is gone, and leaves it', async () => {
    const clock = createTestClock();
    const store = createMemorySessionStore(clock);
    const session = await createTestSessions(clock, { store }).sessions.begin({
      user: USER,
      tokens: tokensNamed('0', clock.now()),
      ip: '',
      userAgent: '',
    });
    const sessions = createSessions({
      store,
      seal: createTokenSeal([{ ...SEAL_KEY, key: new Secret(Buffer.alloc(32, 7).toString('base64url')) }]),
      cache: createSessionCache({ isTrusted: () => false }),
      clock,
      times: TIMES,
      maxPerUser: 1,
      observer: createSessionEvents(),
    });
    expect(await sessions.find(session.id)).toEqual({ kind: 'unknown' });
    expect(await store.read(session.hash)).toBeDefined();
  });

  test.each([
    ['idle', 'idle', TIMES, 12 * HOUR + MINUTE],
    ['at its absolute end', 'absolute', { idleTimeoutMs: 12 * HOUR, absoluteTimeoutMs: 2 * HOUR }, 2 * HOUR],
  ])('ends a session that is %s although the store still has it', async (_, reason, times, afterMs) => {
    const clock = createTestClock();
    const storeClock = createTestClock(clock.now());
    const { sessions, store, events } = createTestSessions(clock, {
      store: createMemorySessionStore(storeClock),
      times,
    });
    const session = await sessions.begin({ user: USER, tokens: tokensNamed('0', clock.now()), ip: '', userAgent: '' });
    clock.advance(afterMs - 1);
    expect(await sessions.find(session.id)).toMatchObject({ kind: 'found' });
    clock.advance(1);
    expect(await sessions.find(session.id)).toEqual({ kind: 'unknown' });
    expect(await store.read(session.hash)).toBeUndefined();
    expect(events.told).toEqual(['started user-1', `ended user-1 ${reason}`]);
  });

  test('says nothing of the session where the store does not answer', async () => {
    const { begin, sessions, store } = setUp();
    const session = await begin();
    store.fail('read');
    await expect(sessions.find(session.id)).rejects.toMatchObject({ kind: 'store_unavailable' });
    store.heal();
    expect(await sessions.find(session.id)).toMatchObject({ kind: 'found' });
  });
});

describe('the cache of sessions', () => {
  test('spares the store while it is trusted', async () => {
    const { begin, found, store } = setUp({ isCacheTrusted: () => true });
    const session = await begin();
    await found(session.id);
    store.calls.length = 0;
    expect((await found(session.id)).tokens.access.reveal()).toBe('access-0');
    expect(store.calls).toEqual([]);
  });

  test('is passed by while it is not trusted, and what was in it is not believed afterwards for what was missed', async () => {
    let isTrusted = true;
    const { begin, found, store } = setUp({ isCacheTrusted: () => isTrusted });
    const session = await begin();
    await found(session.id);
    isTrusted = false;
    store.calls.length = 0;
    await found(session.id);
    expect(store.calls).toEqual(['read']);
  });

  test('does not outlive an end, a renewal or a rereading', async () => {
    const { begin, found, sessions, store, clock } = setUp({ isCacheTrusted: () => true });
    const session = await found((await begin()).id);
    await sessions.renew(session, tokensNamed('1', clock.now()));
    expect((await found(session.id)).tokens.access.reveal()).toBe('access-1');
    store.calls.length = 0;
    expect(await sessions.reread(session.id)).toMatchObject({ kind: 'found', session: { version: 2 } });
    expect(store.calls).toEqual(['read']);
    await sessions.end(session, 'logout');
    expect(await sessions.find(session.id)).toEqual({ kind: 'unknown' });
  });

  test('is read anew by a rereading, even while somebody is reading already', async () => {
    const { begin, sessions, store } = setUp({ isCacheTrusted: () => true });
    const session = await begin();
    const reading = store.hold('read');
    const early = sessions.find(session.id);
    await reading.reached;
    await store.writeSeal(session.hash, {
      version: 1,
      seal: (await store.read(session.hash))?.seal ?? '',
      absoluteExpiresAt: session.absoluteExpiresAt,
      ttlMs: HOUR,
    });
    store.calls.length = 0;
    expect(await sessions.reread(session.id)).toMatchObject({ session: { version: 2 } });
    expect(store.calls).toEqual(['read']);
    reading.release();
    await early;
  });

  test('does not end a session by itself: another instance may have seen the user since', async () => {
    const { begin, found, sessions, store, clock } = setUp({ isCacheTrusted: () => true });
    const session = await found((await begin()).id);
    clock.advance(11 * HOUR);
    await store.touch(session.hash, clock.now(), 13 * HOUR);
    clock.advance(2 * HOUR);
    expect(await sessions.find(session.id)).toMatchObject({
      kind: 'found',
      session: { lastSeenAt: clock.now() - 2 * HOUR },
    });
  });

  test('does not keep a session past its end', async () => {
    const { begin, found, sessions, clock } = setUp({ isCacheTrusted: () => true });
    const session = await found((await begin()).id);
    clock.advance(30 * DAY);
    expect(await sessions.find(session.id)).toEqual({ kind: 'unknown' });
  });
});

describe('noteActivity', () => {
  test('moves the last activity at once, and writes it only when a minute has passed', async () => {
    const { begin, sessions, store, clock } = setUp();
    const session = await begin();
    store.calls.length = 0;
    clock.advance(MINUTE - 1);
    sessions.noteActivity(session);
    await settled();
    expect(session.lastSeenAt).toBe(clock.now());
    expect(store.calls).toEqual([]);

    clock.advance(1);
    sessions.noteActivity(session);
    await settled();
    expect(store.calls).toEqual(['touch']);
    expect((await store.read(session.hash))?.lastSeenAt).toBe(clock.now());

    store.calls.length = 0;
    clock.advance(MINUTE - 1);
    sessions.noteActivity(session);
    await settled();
    expect(store.calls).toEqual([]);
  });

  test('writes once for many requests at the same time', async () => {
    const { begin, sessions, store, clock, found } = setUp();
    const { id } = await begin();
    const sessionsRead = [await found(id), await found(id), await found(id)];
    clock.advance(MINUTE);
    store.calls.length = 0;
    const writing = store.hold('touch');
    for (const session of sessionsRead) sessions.noteActivity(session);
    await writing.reached;
    writing.release();
    await settled();
    expect(store.calls).toEqual(['touch']);
  });

  test('writes again after the write of the last one is over', async () => {
    const { begin, sessions, store, clock } = setUp();
    const session = await begin();
    for (let i = 0; i < 2; i += 1) {
      clock.advance(MINUTE);
      sessions.noteActivity(session);
      await settled();
    }
    expect(store.calls.filter((call) => call === 'touch')).toHaveLength(2);
  });

  test('keeps an active session alive beyond the idle timeout', async () => {
    const { begin, sessions, found, clock } = setUp();
    const { id } = await begin();
    for (let i = 0; i < 40; i += 1) {
      clock.advance(HOUR);
      sessions.noteActivity(await found(id));
      await settled();
    }
    expect(await sessions.find(id)).toMatchObject({ kind: 'found' });
    clock.advance(12 * HOUR + MINUTE);
    expect(await sessions.find(id)).toEqual({ kind: 'unknown' });
  });

  test('does not hurt the request where the store does not answer', async () => {
    const { begin, sessions, store, clock, events } = setUp();
    const session = await begin();
    store.fail('touch');
    clock.advance(MINUTE);
    sessions.noteActivity(session);
    await settled();
    expect(events.told).toEqual(['started user-1', 'activity lost']);
  });

  test('never goes back', async () => {
    const { begin, sessions, store, clock } = setUp();
    const session = await begin();
    const { lastSeenAt } = session;
    clock.advance(-HOUR);
    sessions.noteActivity(session);
    await settled();
    expect(session.lastSeenAt).toBe(lastSeenAt);
    expect(store.calls).toEqual(['create']);
  });
});

describe('renew', () => {
  test('stores the new tokens under the next version', async () => {
    const { begin, sessions, found, clock } = setUp();
    const session = await begin();
    clock.advance(MINUTE);
    const renewal = await sessions.renew(session, tokensNamed('1', clock.now()));
    expect(renewal).toMatchObject({ kind: 'renewed', session: { version: 2, id: session.id } });
    const again = await found(session.id);
    expect(again.version).toBe(2);
    expect(again.tokens.access.reveal()).toBe('access-1');
    expect(again.lastSeenAt).toBe(session.lastSeenAt);
    expect(again.forced).toBeUndefined();
  });

  test('shortens the absolute end to the new refresh token’s, and never prolongs it', async () => {
    const { begin, sessions, found, clock } = setUp();
    const session = await begin();
    const first = await sessions.renew(session, {
      ...tokensNamed('1', clock.now()),
      refreshExpiresAt: clock.now() + DAY,
    });
    if (first.kind !== 'renewed') throw new Error(first.kind);
    expect(first.session.absoluteExpiresAt).toBe(clock.now() + DAY);
    await sessions.renew(first.session, { ...tokensNamed('2', clock.now()), refreshExpiresAt: clock.now() + 9 * DAY });
    expect((await found(session.id)).absoluteExpiresAt).toBe(clock.now() + DAY);
  });

  test('is no activity: an idle session still ends', async () => {
    const { begin, sessions, store, clock } = setUp();
    const session = await begin();
    clock.advance(12 * HOUR);
    expect(await sessions.renew(session, tokensNamed('1', clock.now()))).toMatchObject({ kind: 'renewed' });
    clock.advance(MINUTE);
    expect(await store.read(session.hash)).toBeUndefined();
    expect(await sessions.find(session.id)).toEqual({ kind: 'unknown' });
  });

  test('is refused where another wrote first or the session is gone', async () => {
    const { begin, sessions, clock } = setUp();
    const session = await begin();
    const tokens = tokensNamed('1', clock.now());
    await sessions.renew(session, tokens);
    expect(await sessions.renew(session, tokens)).toEqual({ kind: 'conflict' });
    await sessions.end(session, 'logout');
    expect(await sessions.renew(session, tokens)).toEqual({ kind: 'gone' });
  });

  test('notes a forced refresh with the tokens', async () => {
    const { begin, sessions, found, clock } = setUp();
    const session = await begin();
    const forced = { at: clock.now(), outcome: 'refreshed' as const };
    const renewal = await sessions.renew(session, tokensNamed('1', clock.now()), forced);
    expect(renewal).toMatchObject({ kind: 'renewed', session: { forced } });
    expect((await found(session.id)).forced).toEqual(forced);
  });
});

describe('a change of keys', () => {
  const NEW_KEY = { kid: 'k2', key: new Secret(Buffer.alloc(32, 2).toString('base64url')) };

  /** A session sealed under the old key, and sessions that know both. */
  async function changedKeys() {
    const clock = createTestClock();
    const old = createTestSessions(clock);
    const session = await old.sessions.begin({
      user: USER,
      tokens: tokensNamed('0', clock.now()),
      ip: '',
      userAgent: '',
    });
    const events = createSessionEvents();
    const sessions = createSessions({
      store: old.store,
      seal: createTokenSeal([NEW_KEY, SEAL_KEY]),
      cache: createSessionCache({ isTrusted: () => false }),
      clock,
      times: TIMES,
      maxPerUser: 1,
      observer: events,
    });
    return { clock, store: old.store, old: old.sessions, sessions, events, session };
  }
  const find = async (sessions: Sessions, { id }: Session) => {
    const finding = await sessions.find(id);
    if (finding.kind !== 'found') throw new Error('not found');
    return finding.session;
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await settled();
  };

  test('seals a session anew when it is read, without a new version', async () => {
    const { store, old, sessions, events, session } = await changedKeys();
    await find(sessions, session);
    await until(() => events.told.includes('resealed'));
    expect(await old.find(session.id)).toEqual({ kind: 'unknown' });
    expect(await find(sessions, session)).toMatchObject({ version: 1 });
    await settled();
    expect(store.calls.filter((call) => call === 'reseal')).toHaveLength(1);
  });

  test('seals it once for many who read it at the same time', async () => {
    const { store, sessions, events, session } = await changedKeys();
    const writing = store.hold('reseal');
    await find(sessions, session);
    await writing.reached;
    await find(sessions, session);
    writing.release();
    await until(() => events.told.includes('resealed'));
    await settled();
    expect(store.calls.filter((call) => call === 'reseal')).toHaveLength(1);
  });

  test('does not hurt the request where the store does not take it, and is tried again', async () => {
    const { store, sessions, events, session } = await changedKeys();
    store.fail('reseal');
    await find(sessions, session);
    await until(() => events.told.includes('reseal failed'));
    store.heal();
    await find(sessions, session);
    await until(() => events.told.includes('resealed'));
  });

  test('gives way to new tokens, which are sealed with the newest key', async () => {
    const { clock, store, old, sessions, events, session } = await changedKeys();
    const writing = store.hold('reseal');
    const read = await find(sessions, session);
    await writing.reached;
    await sessions.renew(read, tokensNamed('1', clock.now()));
    writing.release();
    await settled();
    expect(events.told).toEqual([]);
    expect((await find(sessions, session)).tokens.access.reveal()).toBe('access-1');
    expect(await old.find(session.id)).toEqual({ kind: 'unknown' });
  });
});

describe('noteForced', () => {
  test('is kept with the session', async () => {
    const { begin, sessions, found } = setUp();
    const session = await begin();
    await sessions.noteForced(session, { at: 7, outcome: 'unavailable' });
    expect((await found(session.id)).forced).toEqual({ at: 7, outcome: 'unavailable' });
  });
});

describe('end', () => {
  test('tells once, and only where there was a session', async () => {
    const { begin, sessions, events } = setUp();
    const session = await begin();
    expect(await sessions.end(session, 'ended_by_user')).toBe(true);
    expect(await sessions.end(session, 'logout')).toBe(false);
    expect(events.told).toEqual(['started user-1', 'ended user-1 ended_by_user']);
  });

  test('at a version spares newer tokens', async () => {
    const { begin, sessions, clock, events } = setUp();
    const session = await begin();
    await sessions.renew(session, tokensNamed('1', clock.now()));
    expect(await sessions.end(session, 'refresh_rejected', 1)).toBe(false);
    expect(events.told).toEqual(['started user-1']);
  });

  test('tells nothing where the store does not answer', async () => {
    const { begin, sessions, store, events } = setUp();
    const session = await begin();
    store.fail('end');
    await expect(sessions.end(session, 'logout')).rejects.toMatchObject({ kind: 'store_unavailable' });
    expect(events.told).toEqual(['started user-1']);
  });
});

describe('endById', () => {
  test('ends a session by its cookie, also one whose seal does not open', async () => {
    const { begin, sessions, store, events } = setUp();
    const session = await begin();
    await store.writeSeal(session.hash, {
      version: 1,
      seal: 'broken',
      absoluteExpiresAt: session.absoluteExpiresAt,
      ttlMs: HOUR,
    });
    expect(await sessions.endById(session.id, 'logout')).toBe(true);
    expect(await store.read(session.hash)).toBeUndefined();
    expect(events.told).toEqual(['started user-1', 'ended user-1 logout']);
  });

  test('is false where there is none', async () => {
    expect(await setUp().sessions.endById(newSessionId(), 'logout')).toBe(false);
  });
});

describe('list and ping', () => {
  test('list gives the user’s sessions', async () => {
    const { begin, sessions } = setUp();
    const session = await begin();
    expect(await sessions.list('user-1')).toMatchObject([{ hash: session.hash, publicId: session.publicId }]);
    expect(await sessions.list('user-2')).toEqual([]);
  });

  test('ping fails where the store does', async () => {
    const { sessions, store } = setUp();
    await sessions.ping();
    store.fail('ping');
    await expect(sessions.ping()).rejects.toMatchObject({ kind: 'store_unavailable' });
  });
});
