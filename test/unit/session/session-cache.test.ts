import { afterEach, describe, expect, jest, test } from '@jest/globals';
import type { Session } from '../../../src/session/session.ts';
import { CACHE_TTL_MS, createSessionCache } from '../../../src/session/session-cache.ts';
import { hashSessionId, newSessionId } from '../../../src/session/session-id.ts';
import { storedSession, tokensNamed, USER } from '../../support/session-fixtures.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

function sessionNamed(name: string, userAgent = 'agent/1'): Session {
  const id = newSessionId();
  const { seal: _, ...stored } = storedSession(0, { hash: hashSessionId(id), userAgent });
  return { ...stored, id, seenWrittenAt: 0, user: USER, tokens: tokensNamed(name, 0) };
}

const loaded = (session: Session | undefined) => async () => session;
const neverAsked = async (): Promise<undefined> => {
  throw new Error('asked');
};

describe('createSessionCache', () => {
  test('gives back what was loaded, by its id only', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const session = sessionNamed('0');
    expect(await cache.load(session.hash, loaded(session))).toBe(session);
    expect(cache.get(session.id)).toBe(session);
    expect(cache.get(newSessionId())).toBeUndefined();
    expect(cache.size).toBe(1);
  });

  test('keeps nothing while it is not trusted, and gives nothing', async () => {
    let isTrusted = false;
    const cache = createSessionCache({ isTrusted: () => isTrusted });
    const [early, late] = [sessionNamed('0'), sessionNamed('1')];
    await cache.load(early.hash, loaded(early));
    expect(cache.size).toBe(0);
    isTrusted = true;
    await cache.load(late.hash, loaded(late));
    expect(cache.get(late.id)).toBe(late);
    isTrusted = false;
    expect(cache.get(late.id)).toBeUndefined();
  });

  test('keeps nothing of what was lost trust in while it was read', async () => {
    let isTrusted = true;
    const cache = createSessionCache({ isTrusted: () => isTrusted });
    const session = sessionNamed('0');
    const reading = Promise.withResolvers<Session>();
    const result = cache.load(session.hash, () => reading.promise);
    isTrusted = false;
    reading.resolve(session);
    expect(await result).toBe(session);
    isTrusted = true;
    expect(cache.get(session.id)).toBeUndefined();
  });

  test('reads once for all who ask at the same time', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const session = sessionNamed('0');
    const reading = Promise.withResolvers<Session>();
    const all = [cache.load(session.hash, () => reading.promise), cache.load(session.hash, neverAsked)];
    reading.resolve(session);
    expect(await Promise.all(all)).toEqual([session, session]);
  });

  test('remembers neither an absence nor an error', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const session = sessionNamed('0');
    expect(await cache.load(session.hash, loaded(undefined))).toBeUndefined();
    await expect(cache.load(session.hash, neverAsked)).rejects.toThrow('asked');
    expect(await cache.load(session.hash, loaded(session))).toBe(session);
  });

  test('forgets what was invalidated, and nothing else', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const [one, other] = [sessionNamed('0'), sessionNamed('1')];
    await cache.load(one.hash, loaded(one));
    await cache.load(other.hash, loaded(other));
    cache.invalidate(one.hash);
    expect(cache.get(one.id)).toBeUndefined();
    expect(cache.get(other.id)).toBe(other);
    cache.invalidate('unknown');
    expect(cache.size).toBe(1);
  });

  test('does not keep what was invalidated while it was read: who asks afterwards reads anew', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const [outdated, current] = [sessionNamed('0'), sessionNamed('1')];
    const reading = Promise.withResolvers<Session>();
    const before = cache.load(outdated.hash, () => reading.promise);
    cache.invalidate(outdated.hash);
    const after = cache.load(outdated.hash, loaded(current));
    reading.resolve(outdated);
    expect(await before).toBe(outdated);
    expect(await after).toBe(current);
    expect(cache.get(outdated.id)).toBeUndefined();
    expect(cache.get(current.id)).toBe(current);
  });

  test('an outdated reading that ends does not keep the one after it from becoming outdated', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const session = sessionNamed('0');
    const [first, second] = [Promise.withResolvers<Session>(), Promise.withResolvers<Session>()];
    const before = cache.load(session.hash, () => first.promise);
    cache.invalidate(session.hash);
    const after = cache.load(session.hash, () => second.promise);
    first.resolve(session);
    await before;
    cache.invalidate(session.hash);
    second.resolve(session);
    await after;
    expect(cache.get(session.id)).toBeUndefined();
  });

  test('forgets what was loaded a second time, too', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const [old, current] = [sessionNamed('0'), sessionNamed('1')];
    await cache.load(old.hash, loaded(old));
    await cache.load(old.hash, loaded({ ...current, id: old.id, hash: old.hash }));
    expect(cache.get(old.id)?.tokens).toBe(current.tokens);
    cache.invalidate(old.hash);
    expect(cache.get(old.id)).toBeUndefined();
  });

  test('an outdated reading that fails does not disturb the one after it', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const session = sessionNamed('0');
    const [first, second] = [Promise.withResolvers<Session>(), Promise.withResolvers<Session>()];
    const before = cache.load(session.hash, () => first.promise);
    cache.invalidate(session.hash);
    const after = cache.load(session.hash, () => second.promise);
    first.reject(new Error('no'));
    await expect(before).rejects.toThrow('no');
    const joined = cache.load(session.hash, neverAsked);
    second.resolve(session);
    expect(await Promise.all([after, joined])).toEqual([session, session]);
  });

  test('forgets everything at once, also what is being read', async () => {
    const cache = createSessionCache({ isTrusted: () => true });
    const [kept, coming] = [sessionNamed('0'), sessionNamed('1')];
    await cache.load(kept.hash, loaded(kept));
    const reading = Promise.withResolvers<Session>();
    const result = cache.load(coming.hash, () => reading.promise);
    cache.clear();
    const { id, hash } = coming;
    const anew = await cache.load(hash, loaded({ ...kept, id, hash }));
    expect(anew?.tokens).toBe(kept.tokens);
    cache.clear();
    reading.resolve(coming);
    await result;
    expect(cache.get(kept.id)).toBeUndefined();
    expect(cache.get(coming.id)).toBeUndefined();
    expect([cache.size, cache.bytes]).toEqual([0, 0]);
  });

  test('forgets after thirty seconds', async () => {
    const startedAt = performance.now();
    let elapsedMs = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => startedAt + elapsedMs);
    const cache = createSessionCache({ isTrusted: () => true });
    const session = sessionNamed('0');
    await cache.load(session.hash, loaded(session));
    elapsedMs = CACHE_TTL_MS - 100;
    expect(cache.get(session.id)).toBe(session);
    elapsedMs = CACHE_TTL_MS + 1;
    await new Promise((resolve) => setTimeout(resolve, 5)); // the cache reads the time once a millisecond
    expect(cache.get(session.id)).toBeUndefined();
  });

  test('holds no more than its bytes, and drops what was used longest ago', async () => {
    const cache = createSessionCache({ isTrusted: () => true, maxBytes: 10_000 });
    const sessions = Array.from({ length: 20 }, (_, i) => sessionNamed(String(i), 'x'.repeat(500)));
    for (const session of sessions) {
      await cache.load(session.hash, loaded(session));
      cache.get((sessions[0] as Session).id);
    }
    expect(cache.bytes).toBeLessThanOrEqual(10_000);
    expect(cache.size).toBe(5);
    expect(cache.get((sessions[0] as Session).id)).toBeDefined();
    expect(cache.get((sessions[1] as Session).id)).toBeUndefined();
    // What was pushed out can still be invalidated and read again.
    const [, second] = sessions as [Session, Session];
    cache.invalidate(second.hash);
    expect(await cache.load(second.hash, loaded(second))).toBe(second);
  });
});
