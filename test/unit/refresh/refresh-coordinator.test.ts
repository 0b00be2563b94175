import { afterEach, describe, expect, jest, test } from '@jest/globals';
import type { Lease } from '../../../src/redis/redis-lock.ts';
import { type Freshness, needsRefresh, type RefreshResult } from '../../../src/refresh/refresh-coordinator.ts';
import { granted, REJECTED, REPLY_LOST, UNAVAILABLE } from '../../support/scripted-finvera.ts';
import { MINUTE, SECOND, tokensNamed, withoutRefresh } from '../../support/session-fixtures.ts';
import { AHEAD_MS, accessOf, CONTEXT, createRefreshBench, LIFE_MS, type RefreshBench } from './coordinator-fixture.ts';

let bench: RefreshBench;

afterEach(() => {
  jest.restoreAllMocks();
});

const fresh = (outcome: Freshness | RefreshResult) => {
  if (!('session' in outcome)) throw new Error(`no session: ${outcome.kind}`);
  return outcome;
};

describe('a fresh token', () => {
  test('is returned at once, without a promise, a read or an exchange', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.store.calls.length = 0;
    bench.clock.advance(LIFE_MS - AHEAD_MS - 1);
    const outcome = bench.coordinator.ensureFresh(session, CONTEXT);
    expect(outcome).not.toBeInstanceOf(Promise);
    expect(outcome).toEqual({ kind: 'fresh', session });
    await bench.coordinator.settled();
    expect(bench.store.calls).toEqual([]);
    expect(bench.finvera.asked).toEqual([]);
    expect(bench.events.told).toEqual([]);
  });
});

describe('a token that is about to expire', () => {
  const nearlyExpired = async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.clock.advance(LIFE_MS - AHEAD_MS);
    return session;
  };

  test('is returned at once while a new one is fetched in the background', async () => {
    const session = await nearlyExpired();
    const exchange = bench.finvera.hang();
    const outcome = bench.coordinator.ensureFresh(session, CONTEXT);
    expect(outcome).toEqual({ kind: 'fresh', session });
    await exchange.begun;
    exchange.settle(granted('1', bench.clock.now()));
    await bench.coordinator.settled();
    expect(bench.finvera.asked).toEqual(['refresh-0']);
    expect(bench.finvera.contexts).toEqual([CONTEXT]);
    const stored = await bench.stored(session);
    expect(stored.tokens.access.reveal()).toBe('access-1');
    expect(stored.version).toBe(2);
    expect(bench.events.told).toEqual(['exchanged refreshed granted']);
  });

  test('is renewed once however many requests come meanwhile, and none of them waits', async () => {
    const session = await nearlyExpired();
    const exchange = bench.finvera.hang();
    for (let i = 0; i < 20; i += 1) {
      expect(bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'fresh', session });
    }
    await exchange.begun;
    exchange.settle(granted('1', bench.clock.now()));
    await bench.coordinator.settled();
    expect(bench.finvera.asked).toEqual(['refresh-0']);
    expect(bench.events.told).toEqual(['exchanged refreshed granted']);
  });

  test('is kept where finvera is not available, and is tried again only after five seconds', async () => {
    const session = await nearlyExpired();
    bench.finvera.answer(UNAVAILABLE);
    bench.coordinator.ensureFresh(session, CONTEXT);
    await bench.coordinator.settled();
    expect(bench.events.told).toEqual(['exchanged unavailable unavailable', 'background failed']);

    bench.clock.advance(5 * SECOND - 1);
    expect(bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'fresh', session });
    await bench.coordinator.settled();
    expect(bench.finvera.asked).toHaveLength(1);

    bench.clock.advance(1);
    bench.finvera.answer(granted('1', bench.clock.now()));
    bench.coordinator.ensureFresh(session, CONTEXT);
    await bench.coordinator.settled();
    expect(accessOf({ session: await bench.stored(session) })).toBe('access-1');
  });

  test('is kept where the store does not answer in the background', async () => {
    const session = await nearlyExpired();
    bench.store.fail('read');
    expect(bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'fresh', session });
    await bench.coordinator.settled();
    expect(bench.events.told).toEqual([expect.stringMatching(/^background failed: GatewayError/)]);
    expect(bench.finvera.asked).toEqual([]);
  });

  test('that fails in the background does not pause other sessions', async () => {
    const session = await nearlyExpired();
    const other = await bench.begin(tokensNamed('other', bench.clock.now(), 2 * MINUTE));
    bench.clock.advance(MINUTE - 1);
    bench.finvera.answer(UNAVAILABLE, granted('other-1', bench.clock.now()));
    bench.coordinator.ensureFresh(session, CONTEXT);
    await bench.coordinator.settled();
    bench.clock.advance(1);
    bench.coordinator.ensureFresh(other, CONTEXT);
    await bench.coordinator.settled();
    expect(bench.finvera.asked).toEqual(['refresh-0', 'refresh-other']);
  });

  test('is served to its end where there is no refresh token', async () => {
    bench = createRefreshBench();
    const session = await bench.begin(withoutRefresh(tokensNamed('0', bench.clock.now(), LIFE_MS)));
    bench.clock.advance(LIFE_MS - 1);
    expect(bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'fresh', session });
    await bench.coordinator.settled();
    expect(bench.store.calls).toEqual(['create']);
  });
});

describe('an expired token', () => {
  const expired = async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    return session;
  };

  test('makes the request wait for a new one', async () => {
    const session = await expired();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    expect(waiting).toBeInstanceOf(Promise);
    await exchange.begun;
    exchange.settle(granted('1', bench.clock.now()));
    const outcome = fresh(await waiting);
    expect(accessOf(outcome)).toBe('access-1');
    expect(outcome.session.version).toBe(2);
    expect(outcome.kind).toBe('fresh');
    expect(bench.events.told).toEqual(['exchanged refreshed granted', 'waited']);
  });

  test('asks finvera once when twenty requests find it', async () => {
    const session = await expired();
    const exchange = bench.finvera.hang();
    const waiting = Array.from({ length: 20 }, () => bench.coordinator.ensureFresh(session, CONTEXT));
    await exchange.begun;
    exchange.settle(granted('1', bench.clock.now()));
    const outcomes = await Promise.all(waiting);
    expect(outcomes.map((outcome) => accessOf(fresh(outcome)))).toEqual(Array(20).fill('access-1'));
    expect(bench.finvera.asked).toEqual(['refresh-0']);
    expect(bench.events.told.filter((line) => line === 'joined process')).toHaveLength(19);
  });

  test('asks finvera once when three instances find it', async () => {
    const session = await expired();
    const exchange = bench.finvera.hang();
    const instances = [bench.coordinator, bench.anotherInstance(), bench.anotherInstance()];
    const waiting = instances.map((instance) => instance.ensureFresh(session, CONTEXT));
    await exchange.begun;
    exchange.settle(granted('1', bench.clock.now()));
    const outcomes = await Promise.all(waiting);
    expect(outcomes.map((outcome) => accessOf(fresh(outcome)))).toEqual(Array(3).fill('access-1'));
    expect(bench.finvera.asked).toEqual(['refresh-0']);
    expect(bench.events.told.filter((line) => line === 'joined store')).toHaveLength(2);
  });

  test('that another instance has renewed since it was read costs no exchange', async () => {
    const session = await expired();
    bench.finvera.answer(granted('1', bench.clock.now()));
    await bench.anotherInstance().ensureFresh(session, CONTEXT);
    const outcome = await bench.coordinator.ensureFresh(session, CONTEXT);
    expect(accessOf(fresh(outcome))).toBe('access-1');
    expect(bench.finvera.asked).toEqual(['refresh-0']);
  });

  test('that another instance has renewed costs no exchange although this one’s cache does not know it yet', async () => {
    bench = createRefreshBench({ isCached: true });
    const { id } = await bench.begin();
    const finding = await bench.sessions.find(id);
    if (finding.kind !== 'found') throw new Error('not found');
    bench.expire();
    bench.finvera.answer(granted('1', bench.clock.now()));
    await bench.anotherInstance().ensureFresh(finding.session, CONTEXT);
    const again = await bench.sessions.find(id);
    expect(again).toMatchObject({ kind: 'found', session: { version: 1 } });
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(finding.session, CONTEXT)))).toBe('access-1');
    expect(bench.finvera.asked).toEqual(['refresh-0']);
  });

  test('is renewed with the refresh token of the store where others renewed it and theirs expired too', async () => {
    const session = await expired();
    bench.finvera.answer(granted('1', bench.clock.now()));
    await bench.anotherInstance().ensureFresh(session, CONTEXT);
    bench.expire();
    bench.finvera.answer(granted('2', bench.clock.now()));
    const outcome = await bench.coordinator.ensureFresh(session, CONTEXT);
    expect(bench.finvera.asked).toEqual(['refresh-0', 'refresh-1']);
    expect(accessOf(fresh(outcome))).toBe('access-2');
  });

  test('gives 503 with finvera’s own waiting time where finvera is not available, and the session stays', async () => {
    const session = await expired();
    bench.finvera.answer({ kind: 'unavailable', why: 'rate_limited', replyLost: false, retryAfterMs: 7_000 });
    expect(await bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'unavailable', retryAfterMs: 7_000 });
    expect((await bench.stored(session)).version).toBe(1);
    expect(bench.sessionEvents.told).toEqual(['started user-1']);
    expect(bench.events.told).toEqual(['exchanged unavailable rate_limited', 'waited']);
  });

  test('is tried again by the next request where finvera was not available', async () => {
    const session = await expired();
    bench.finvera.answer(UNAVAILABLE, granted('1', bench.clock.now()));
    expect(await bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'unavailable', retryAfterMs: 1_000 });
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(session, CONTEXT)))).toBe('access-1');
  });

  test('ends the session at once where there is no refresh token', async () => {
    bench = createRefreshBench();
    const session = await bench.begin(withoutRefresh(tokensNamed('0', bench.clock.now(), LIFE_MS)));
    bench.expire();
    expect(bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'ended' });
    expect(bench.finvera.asked).toEqual([]);
  });

  test('rejects where the store does not answer, without an exchange', async () => {
    const session = await expired();
    bench.store.fail('read');
    await expect(bench.coordinator.ensureFresh(session, CONTEXT)).rejects.toMatchObject({ kind: 'store_unavailable' });
    expect(bench.finvera.asked).toEqual([]);
    bench.store.heal();
    bench.finvera.answer(granted('1', bench.clock.now()));
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(session, CONTEXT)))).toBe('access-1');
  });

  test('rejects as a store that does not answer where the lock cannot be asked for', async () => {
    bench = createRefreshBench({ lock: { acquire: () => Promise.reject(new Error('connection is closed')) } });
    const session = await bench.begin();
    bench.expire();
    await expect(bench.coordinator.ensureFresh(session, CONTEXT)).rejects.toMatchObject({
      kind: 'store_unavailable',
      retryAfterMs: 1_000,
      cause: expect.objectContaining({ message: 'connection is closed' }),
    });
  });

  test('is given up on after fifteen seconds where another instance never lets go of the lock', async () => {
    bench = createRefreshBench({ lock: { acquire: async () => undefined } });
    const session = await bench.begin();
    bench.expire();
    const startedAt = performance.now();
    let elapsedMs = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => startedAt + elapsedMs);
    let looks = 0;
    const read = bench.store.read;
    bench.store.read = (hash) => {
      looks += 1;
      elapsedMs = looks < 3 ? 15_000 : 15_001;
      return read(hash);
    };
    expect(await bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'unavailable', retryAfterMs: 1_000 });
    expect(looks).toBe(3);
    expect(bench.finvera.asked).toEqual([]);
  });
});

describe('a rejection', () => {
  test('ends the session for good', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    bench.finvera.answer(REJECTED);
    expect(await bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'ended' });
    expect(await bench.sessions.find(session.id)).toEqual({ kind: 'unknown' });
    expect(bench.sessionEvents.told).toEqual(['started user-1', 'ended user-1 refresh_rejected']);
    expect(bench.events.told).toEqual(['exchanged rejected rejected', 'waited']);
  });

  test('in the background ends the session too', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.clock.advance(LIFE_MS - AHEAD_MS);
    bench.finvera.answer(REJECTED);
    expect(bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'fresh', session });
    await bench.coordinator.settled();
    expect(await bench.sessions.find(session.id)).toEqual({ kind: 'unknown' });
  });

  test('of tokens that others replaced meanwhile does not end the session', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    await exchange.begun;
    await bench.sessions.renew(session, tokensNamed('1', bench.clock.now()));
    exchange.settle(REJECTED);
    expect(accessOf(fresh(await waiting))).toBe('access-1');
    expect(bench.sessionEvents.told).toEqual(['started user-1']);
  });

  test('of tokens that others replace between the last look and the end does not end the session', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    bench.finvera.answer(REJECTED);
    const ending = bench.store.hold('end');
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    await ending.reached;
    await bench.sessions.renew(session, tokensNamed('1', bench.clock.now()));
    ending.release();
    expect(accessOf(fresh(await waiting))).toBe('access-1');
    expect((await bench.stored(session)).version).toBe(2);
  });

  test('is not decided on while the store does not answer', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    await exchange.begun;
    bench.store.fail('read');
    exchange.settle(REJECTED);
    await expect(waiting).rejects.toMatchObject({ kind: 'store_unavailable' });
    bench.store.heal();
    expect((await bench.stored(session)).version).toBe(1);
  });
});

describe('a lost reply', () => {
  const expired = async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    return session;
  };

  test('is asked for once more at once', async () => {
    const session = await expired();
    bench.finvera.answer(REPLY_LOST, granted('1', bench.clock.now()));
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(session, CONTEXT)))).toBe('access-1');
    expect(bench.finvera.asked).toEqual(['refresh-0', 'refresh-0']);
    expect(bench.events.told).toEqual(['exchanged unavailable timeout', 'exchanged refreshed granted', 'waited']);
  });

  test('whose second attempt is rejected ends the session, and says that it was the lost reply', async () => {
    const session = await expired();
    bench.finvera.answer(REPLY_LOST, REJECTED);
    expect(await bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'ended' });
    expect(bench.sessionEvents.told).toEqual(['started user-1', 'ended user-1 refresh_reply_lost']);
  });

  test('that is lost twice keeps the session and is not asked for a third time', async () => {
    const session = await expired();
    bench.finvera.answer(REPLY_LOST, REPLY_LOST);
    expect(await bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'unavailable', retryAfterMs: 1_000 });
    expect(bench.finvera.asked).toHaveLength(2);
    expect((await bench.stored(session)).version).toBe(1);
  });

  test('is no reason for a second attempt where finvera did not get the request', async () => {
    const session = await expired();
    bench.finvera.answer(UNAVAILABLE);
    await bench.coordinator.ensureFresh(session, CONTEXT);
    expect(bench.finvera.asked).toHaveLength(1);
  });
});

describe('a forced refresh', () => {
  const begun = async () => {
    bench = createRefreshBench();
    return await bench.begin();
  };

  test('exchanges although the token is good', async () => {
    const session = await begun();
    bench.finvera.answer(granted('1', bench.clock.now()));
    const outcome = await bench.coordinator.force(session, CONTEXT);
    expect(outcome).toMatchObject({ kind: 'refreshed', exchanged: true });
    expect(accessOf(fresh(outcome))).toBe('access-1');
    expect((await bench.stored(session)).forced).toEqual({ at: bench.clock.now(), outcome: 'refreshed' });
  });

  test('happens at most once in thirty seconds: asked again, the last result stands', async () => {
    const session = await begun();
    bench.finvera.answer(granted('1', bench.clock.now()));
    const first = fresh(await bench.coordinator.force(session, CONTEXT));
    bench.clock.advance(30 * SECOND - 1);
    const again = fresh(await bench.anotherInstance().force(first.session, CONTEXT));
    expect(again).toMatchObject({ kind: 'refreshed', exchanged: false });
    expect(accessOf(again)).toBe('access-1');
    expect(bench.finvera.asked).toHaveLength(1);

    bench.clock.advance(1);
    bench.finvera.answer(granted('2', bench.clock.now()));
    expect(accessOf(fresh(await bench.coordinator.force(again.session, CONTEXT)))).toBe('access-2');
    expect(bench.finvera.asked).toEqual(['refresh-0', 'refresh-1']);
  });

  test('that failed stands as long, with the time that is left', async () => {
    const session = await begun();
    bench.finvera.answer(UNAVAILABLE);
    expect(await bench.coordinator.force(session, CONTEXT)).toEqual({ kind: 'unavailable', retryAfterMs: 1_000 });
    bench.clock.advance(10 * SECOND);
    expect(await bench.anotherInstance().force(session, CONTEXT)).toEqual({
      kind: 'unavailable',
      retryAfterMs: 20 * SECOND,
    });
    expect(bench.finvera.asked).toHaveLength(1);
    expect((await bench.stored(session)).version).toBe(1);

    bench.clock.advance(20 * SECOND);
    bench.finvera.answer(granted('1', bench.clock.now()));
    expect(accessOf(fresh(await bench.coordinator.force(session, CONTEXT)))).toBe('access-1');
  });

  test('that failed does not keep an expired token from being renewed', async () => {
    const session = await begun();
    bench.finvera.answer(UNAVAILABLE);
    await bench.coordinator.force(session, CONTEXT);
    bench.clock.advance(LIFE_MS);
    bench.finvera.answer(UNAVAILABLE);
    await bench.coordinator.force(session, CONTEXT);
    bench.finvera.answer(granted('1', bench.clock.now()));
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(session, CONTEXT)))).toBe('access-1');
  });

  test('answers finvera’s outage although it could not be noted', async () => {
    const session = await begun();
    bench.store.fail('noteForced');
    bench.finvera.answer(UNAVAILABLE);
    expect(await bench.coordinator.force(session, CONTEXT)).toMatchObject({ kind: 'unavailable' });
  });

  test('of one who read the session before it was renewed takes the new token, whatever the thirty seconds say', async () => {
    const session = await begun();
    bench.clock.advance(LIFE_MS - AHEAD_MS);
    bench.finvera.answer(granted('1', bench.clock.now()));
    bench.coordinator.ensureFresh(session, CONTEXT);
    await bench.coordinator.settled();
    const outcome = await bench.coordinator.force(session, CONTEXT);
    expect(outcome).toMatchObject({ kind: 'refreshed', exchanged: false });
    expect(accessOf(fresh(outcome))).toBe('access-1');
    expect(bench.finvera.asked).toHaveLength(1);
  });

  test('joins an exchange that is under way', async () => {
    const session = await begun();
    const exchange = bench.finvera.hang();
    const waiting = [bench.coordinator.force(session, CONTEXT), bench.coordinator.force(session, CONTEXT)];
    await exchange.begun;
    exchange.settle(granted('1', bench.clock.now()));
    expect((await Promise.all(waiting)).map((outcome) => accessOf(fresh(outcome)))).toEqual(['access-1', 'access-1']);
    expect(bench.events.told).toContain('joined process');
  });

  test('without a refresh token is unavailable, and the session stays', async () => {
    bench = createRefreshBench();
    const session = await bench.begin(withoutRefresh(tokensNamed('0', bench.clock.now())));
    expect(await bench.coordinator.force(session, CONTEXT)).toEqual({ kind: 'unavailable', retryAfterMs: 1_000 });
    expect((await bench.stored(session)).version).toBe(1);
    expect(bench.finvera.asked).toEqual([]);
  });

  test('is not noted where nobody forced it', async () => {
    const session = await begun();
    bench.expire();
    bench.finvera.answer(UNAVAILABLE, granted('1', bench.clock.now()));
    await bench.coordinator.ensureFresh(session, CONTEXT);
    await bench.coordinator.ensureFresh(session, CONTEXT);
    expect((await bench.stored(session)).forced).toBeUndefined();
  });
});

describe('a logout', () => {
  test('while the exchange hangs wins: nothing is resurrected', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    await exchange.begun;
    expect(await bench.sessions.end(session, 'logout')).toBe(true);
    exchange.settle(granted('1', bench.clock.now()));
    expect(await waiting).toEqual({ kind: 'ended' });
    expect(await bench.store.read(session.hash)).toBeUndefined();
    expect(await bench.sessions.list('user-1')).toEqual([]);
    expect(bench.sessionEvents.told).toEqual(['started user-1', 'ended user-1 logout']);
  });

  test('before the exchange begins keeps it from beginning', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    await bench.sessions.end(session, 'logout');
    expect(await bench.coordinator.ensureFresh(session, CONTEXT)).toEqual({ kind: 'ended' });
    expect(bench.finvera.asked).toEqual([]);
  });

  test('ends the wait of another instance', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    const exchange = bench.finvera.hang();
    const first = bench.coordinator.ensureFresh(session, CONTEXT);
    await exchange.begun;
    const second = bench.anotherInstance().ensureFresh(session, CONTEXT);
    await bench.sessions.end(session, 'logout');
    expect(await second).toEqual({ kind: 'ended' });
    exchange.settle(granted('1', bench.clock.now()));
    expect(await first).toEqual({ kind: 'ended' });
  });
});

describe('the tokens of an answer', () => {
  test('without a new refresh token leave the old one with its end', async () => {
    bench = createRefreshBench();
    const refreshExpiresAt = bench.clock.now() + 40 * LIFE_MS;
    const session = await bench.begin({ ...tokensNamed('0', bench.clock.now(), LIFE_MS), refreshExpiresAt });
    bench.expire();
    const { grant } = granted('1', bench.clock.now());
    bench.finvera.answer({ kind: 'granted', grant: withoutRefresh(grant) as typeof grant });
    await bench.coordinator.ensureFresh(session, CONTEXT);
    const { tokens } = await bench.stored(session);
    expect(tokens.access.reveal()).toBe('access-1');
    expect(tokens.refresh?.reveal()).toBe('refresh-0');
    expect(tokens.refreshExpiresAt).toBe(refreshExpiresAt);
  });

  test('with a new refresh token replace the old one', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    bench.finvera.answer(granted('1', bench.clock.now()));
    await bench.coordinator.ensureFresh(session, CONTEXT);
    expect((await bench.stored(session)).tokens.refresh?.reveal()).toBe('refresh-1');
  });

  test('give way to what another wrote meanwhile', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    await exchange.begun;
    await bench.sessions.renew(session, tokensNamed('theirs', bench.clock.now()));
    exchange.settle(granted('ours', bench.clock.now()));
    expect(accessOf(fresh(await waiting))).toBe('access-theirs');
    expect((await bench.stored(session)).version).toBe(2);
  });

  test('that give way to others’ tokens which expired already do not end the session', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    await exchange.begun;
    await bench.sessions.renew(session, tokensNamed('theirs', bench.clock.now(), 0));
    exchange.settle(granted('ours', bench.clock.now()));
    expect(await waiting).toEqual({ kind: 'unavailable', retryAfterMs: 1_000 });
  });
});

describe('a store that refuses the write after finvera rotated', () => {
  const pending = async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    bench.finvera.answer(granted('1', bench.clock.now()));
    bench.store.fail('writeSeal');
    const outcome = await bench.coordinator.ensureFresh(session, CONTEXT);
    return { session, outcome };
  };

  test('does not lose the new tokens: they are served, and written when the store is back', async () => {
    const { session, outcome } = await pending();
    expect(accessOf(fresh(outcome))).toBe('access-1');

    const stored = await bench.stored(session);
    expect(accessOf({ session: stored })).toBe('access-0');
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(stored, CONTEXT)))).toBe('access-1');
    expect(bench.finvera.asked).toHaveLength(1);

    bench.store.heal();
    await bench.coordinator.settled();
    const written = await bench.stored(session);
    expect(accessOf({ session: written })).toBe('access-1');
    expect(written.version).toBe(2);
    expect(bench.events.told.filter((line) => line.startsWith('write'))).toEqual(['write started', 'write written']);
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(written, CONTEXT)))).toBe('access-1');
  });

  test('keeps other instances from using the old refresh token until it is written', async () => {
    const { session } = await pending();
    const elsewhere = bench.anotherInstance().ensureFresh(session, CONTEXT);
    bench.store.heal();
    expect(accessOf(fresh(await elsewhere))).toBe('access-1');
    expect(bench.finvera.asked).toEqual(['refresh-0']);
  });

  test('gives the lock back when it is written', async () => {
    const { session } = await pending();
    bench.store.heal();
    await bench.coordinator.settled();
    expect(await bench.lock.acquire(`finvera:{${session.hash}}:lock`)).toBeDefined();
  });

  test('does not resurrect a session that ended meanwhile', async () => {
    const { session } = await pending();
    await bench.sessions.end(session, 'logout');
    bench.store.heal();
    await bench.coordinator.settled();
    expect(await bench.store.read(session.hash)).toBeUndefined();
    expect(bench.events.told.filter((line) => line.startsWith('write'))).toEqual(['write started', 'write dropped']);
  });

  test('and never takes it leaves the new refresh token to the next exchange of this process', async () => {
    const { session } = await pending();
    const held = bench.coordinator.force(session, CONTEXT);
    bench.store.fail('writeSeal', new TypeError('a mistake'));
    const dropped = bench.store.hold('writeSeal');
    await dropped.reached;
    bench.finvera.answer(granted('2', bench.clock.now()));
    dropped.release();
    await expect(held).rejects.toThrow('a mistake');
    expect(bench.finvera.asked).toEqual(['refresh-0', 'refresh-1']);
  });

  test('notes a forced refresh with the tokens', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.finvera.answer(granted('1', bench.clock.now()));
    bench.store.fail('writeSeal');
    const outcome = fresh(await bench.coordinator.force(session, CONTEXT));
    expect(outcome).toMatchObject({ exchanged: true, session: { forced: { outcome: 'refreshed' } } });
    bench.store.heal();
    await bench.coordinator.settled();
    expect((await bench.stored(session)).forced).toEqual({ at: bench.clock.now(), outcome: 'refreshed' });
  });
});

describe('the lock', () => {
  const benchWithLease = (lease: Lease) => createRefreshBench({ lock: { acquire: async () => lease } });

  test('is given back after an exchange, after a failed one and after an error', async () => {
    let released = 0;
    bench = benchWithLease({
      isLost: () => false,
      release: async () => {
        released += 1;
      },
    });
    const session = await bench.begin();
    bench.expire();
    bench.finvera.answer(UNAVAILABLE);
    await bench.coordinator.ensureFresh(session, CONTEXT);
    expect(released).toBe(1);
    bench.store.fail('read');
    await expect(bench.coordinator.ensureFresh(session, CONTEXT)).rejects.toBeDefined();
    expect(released).toBe(2);
    bench.store.heal();
    bench.finvera.answer(granted('1', bench.clock.now()));
    await bench.coordinator.ensureFresh(session, CONTEXT);
    expect(released).toBe(3);
  });

  test('that is lost while the exchange runs is told of, and the result still counts', async () => {
    bench = benchWithLease({ isLost: () => true, release: async () => undefined });
    const session = await bench.begin();
    bench.expire();
    bench.finvera.answer(granted('1', bench.clock.now()));
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(session, CONTEXT)))).toBe('access-1');
    expect(bench.events.told).toEqual(['exchanged refreshed granted', 'lock lost', 'waited']);
  });

  test('of one session does not hold up another', async () => {
    bench = createRefreshBench();
    const [first, second] = [await bench.begin(), await bench.begin()];
    bench.expire();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(first, CONTEXT);
    await exchange.begun;
    bench.finvera.answer(granted('second', bench.clock.now()));
    expect(accessOf(fresh(await bench.coordinator.ensureFresh(second, CONTEXT)))).toBe('access-second');
    exchange.settle(granted('first', bench.clock.now()));
    expect(accessOf(fresh(await waiting))).toBe('access-first');
  });
});

describe('shutdown', () => {
  test('waits for the exchange under way', async () => {
    bench = createRefreshBench();
    const session = await bench.begin();
    bench.expire();
    const exchange = bench.finvera.hang();
    const waiting = bench.coordinator.ensureFresh(session, CONTEXT);
    await exchange.begun;
    let isSettled = false;
    const settled = bench.coordinator.settled().then(() => {
      isSettled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isSettled).toBe(false);
    exchange.settle(granted('1', bench.clock.now()));
    await settled;
    await waiting;
  });
});

describe('needsRefresh', () => {
  const tokens = tokensNamed('0', 0, LIFE_MS);
  const shortLived = tokensNamed('0', 0, 10 * SECOND);

  test.each([
    ['more than the time ahead is left', tokens, LIFE_MS - AHEAD_MS - 1, false],
    ['the time ahead is left', tokens, LIFE_MS - AHEAD_MS, true],
    ['it has expired', tokens, LIFE_MS + 1, true],
    ['more than half of a short life is left', shortLived, 5 * SECOND - 1, false],
    ['half of a short life is left', shortLived, 5 * SECOND, true],
  ])('where %s', (_, of, now, expected) => {
    expect(needsRefresh(of, now, AHEAD_MS)).toBe(expected);
  });
});
