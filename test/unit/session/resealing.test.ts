// What becomes of sessions when the server's keys change: sealed anew on their next use, in the background, and never at the cost of a refresh.
import { describe, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { Secret } from '../../../src/kernel/secret.ts';
import { createMemorySessionStore } from '../../../src/session/memory-session-store.ts';
import type { Session } from '../../../src/session/session.ts';
import { createSessionCache } from '../../../src/session/session-cache.ts';
import { createSessions } from '../../../src/session/sessions.ts';
import { createTokenSeal } from '../../../src/session/token-seal.ts';
import { createFaultySessionStore, type FaultySessionStore } from '../../support/faulty-session-store.ts';
import { createSessionEvents, TIMES, tokensNamed, USER } from '../../support/session-fixtures.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';
import { until } from '../../support/until.ts';

const keyOf = (kid: string, byte: number) => ({ kid, key: new Secret(Buffer.alloc(32, byte).toString('base64url')) });
const K1 = keyOf('k1', 1);
const K2 = keyOf('k2', 2);

function instance(store: FaultySessionStore, clock: TestClock, keys = [K1]) {
  const events = createSessionEvents();
  const seal = createTokenSeal(keys, clock);
  const cache = createSessionCache({ isTrusted: () => false });
  const sessions = createSessions({ store, seal, cache, clock, times: TIMES, maxPerUser: 100, observer: events });
  return { sessions, seal, events };
}

function setUp() {
  const clock = createTestClock();
  const store = createFaultySessionStore(createMemorySessionStore(clock));
  const one = instance(store, clock);
  const begin = () =>
    one.sessions.begin({ user: USER, tokens: tokensNamed('0', clock.now()), ip: '192.0.2.1', userAgent: 'agent/1' });
  const kidOf = async ({ hash }: Session) => decodeProtectedHeader((await store.read(hash))?.seal ?? '').kid;
  const promote = (seal = one.seal) => {
    clock.advance(1_000);
    seal.replaceKeys([K2, K1]);
    clock.advance(1_000);
  };
  return { clock, store, ...one, begin, kidOf, promote };
}

/** The memory store answers within the turn. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('after a change of keys', () => {
  test('a session is sealed anew on its next use, at the same version and with the same tokens', async () => {
    const { sessions, events, begin, kidOf, promote } = setUp();
    const session = await begin();
    promote();
    const found = await sessions.find(session.id);
    if (found.kind !== 'found') throw new Error('not found');
    await until('it is sealed anew', () => events.told.includes('resealed'));
    expect(await kidOf(session)).toBe('k2');
    const again = await sessions.find(session.id);
    if (again.kind !== 'found') throw new Error('not found');
    expect([again.session.version, again.session.tokens.access.reveal()]).toEqual([1, 'access-0']);
    expect(events.told).toEqual(['started user-1', 'resealed']);
  });

  test('the request does not wait for it, and a store that fails costs nothing but time', async () => {
    const { sessions, store, events, begin, kidOf, promote } = setUp();
    const session = await begin();
    promote();
    const held = store.hold('reseal');
    expect((await sessions.find(session.id)).kind).toBe('found');
    await held.reached;
    store.fail('reseal');
    held.release();
    await until('it fails', () => events.told.includes('reseal failed'));
    expect(await kidOf(session)).toBe('k1');
    store.heal();
    await sessions.find(session.id);
    await until('it is sealed anew', () => events.told.includes('resealed'));
    expect(await kidOf(session)).toBe('k2');
  });

  test('a refresh that was under way is still written', async () => {
    const { sessions, clock, events, begin, promote } = setUp();
    const session = await begin();
    promote();
    await sessions.find(session.id);
    await until('it is sealed anew', () => events.told.includes('resealed'));
    expect(await sessions.renew(session, tokensNamed('1', clock.now()))).toMatchObject({ kind: 'renewed' });
  });

  test('a refresh that is faster wins', async () => {
    const { sessions, store, clock, begin, promote } = setUp();
    const session = await begin();
    promote();
    const held = store.hold('reseal');
    await sessions.find(session.id);
    await held.reached;
    await sessions.renew(session, tokensNamed('1', clock.now()));
    const afterwards = (await store.read(session.hash))?.seal;
    held.release();
    await settled();
    expect((await store.read(session.hash))?.seal).toBe(afterwards);
    const found = await sessions.find(session.id);
    expect(found.kind === 'found' && found.session.tokens.access.reveal()).toBe('access-1');
  });

  test('a session that ended meanwhile stays ended', async () => {
    const { sessions, store, begin, promote } = setUp();
    const session = await begin();
    promote();
    const held = store.hold('reseal');
    await sessions.find(session.id);
    await held.reached;
    await sessions.end(session, 'logout');
    held.release();
    await settled();
    expect(await store.read(session.hash)).toBeUndefined();
  });

  test('no more than thirty-two sessions are sealed anew at once; the others come with their next use', async () => {
    const { sessions, store, events, clock, begin, kidOf, promote } = setUp();
    const all: Session[] = [];
    for (let i = 0; i < 34; i += 1) {
      all.push(await begin());
      clock.advance(1);
    }
    promote();
    const { reseal } = store;
    const released = Promise.withResolvers<void>();
    let underWay = 0;
    store.reseal = async (...args) => {
      underWay += 1;
      await released.promise;
      return await reseal(...args);
    };
    for (const { id } of all) await sessions.find(id);
    await until('thirty-two are under way', () => underWay === 32);
    await settled();
    expect(underWay).toBe(32);
    released.resolve();
    await until('they are sealed anew', () => events.told.filter((line) => line === 'resealed').length === 32);
    for (const { id } of all) await sessions.find(id);
    await until('the others are, too', () => events.told.filter((line) => line === 'resealed').length === 34);
    expect(await Promise.all(all.map(kidOf))).toEqual(Array(34).fill('k2'));
  });

  test('an instance that has the old order yet leaves what the new key sealed', async () => {
    const { store, clock, seal, sessions, begin, kidOf, promote, events } = setUp();
    const late = instance(store, clock, [K1, K2]);
    const session = await begin();
    promote(seal);
    await sessions.find(session.id);
    await until('it is sealed anew', () => events.told.includes('resealed'));
    expect((await late.sessions.find(session.id)).kind).toBe('found');
    expect(await kidOf(session)).toBe('k2');
    // And the other way round: what the late one sealed is not taken back and forth.
    const renewed = await late.sessions.renew(session, tokensNamed('1', clock.now()));
    expect([renewed.kind, await kidOf(session)]).toEqual(['renewed', 'k1']);
    expect((await sessions.find(session.id)).kind).toBe('found');
    expect(store.calls.filter((call) => call === 'reseal')).toHaveLength(1);
  });

  test('a seal from before there were moments in it is sealed anew', async () => {
    const { clock, store, sessions, begin, kidOf, promote } = setUp();
    const session = await begin();
    // A clock at the beginning of time is what a seal without a moment looks like.
    const ancient = createTokenSeal([K1], { now: () => 0 });
    const sealed = await ancient.seal(session.id, { user: USER, tokens: tokensNamed('0', clock.now()) });
    await store.reseal(session.hash, (await store.read(session.hash))?.seal ?? '', sealed);
    promote();
    await sessions.find(session.id);
    await until('it is sealed anew', async () => (await kidOf(session)) === 'k2');
  });

  test('a key that was taken out opens nothing any more', async () => {
    const { sessions, seal, begin } = setUp();
    const session = await begin();
    seal.replaceKeys([K2]);
    expect(await sessions.find(session.id)).toEqual({ kind: 'unknown' });
  });
});
