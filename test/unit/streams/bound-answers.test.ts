// What an answer costs while it is short, and that no end is missed in the moment before it counts as one that lasts.
import { afterEach, expect, test } from '@jest/globals';
import { createLocalChannel, type SessionEvent } from '../../../src/redis/invalidation-channel.ts';
import { newSessionId } from '../../../src/session/session-id.ts';
import { type BoundAnswers, createBoundAnswers } from '../../../src/streams/bound-answers.ts';
import { createSessionWatch, type SessionWatch, type WatchedSession } from '../../../src/streams/session-watch.ts';
import { storedSession } from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';
import { until } from '../../support/until.ts';

const TICK_MS = 40;
const TIMES = { idleTimeoutMs: 3_600_000, absoluteTimeoutMs: 86_400_000 };
const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

interface Scene {
  readonly bound: BoundAnswers;
  readonly watch: SessionWatch;
  readonly session: WatchedSession;
  /** Sessions that were read. */
  readonly reads: string[];
  tell(event: SessionEvent): void;
  /** Hearing was lost and is back. */
  gap(): void;
}

/** @param lives what the store says of the session. */
function startScene(lives = true): Scene {
  const clock = createTestClock();
  const local = createLocalChannel();
  const healthy: (() => void)[] = [];
  const reads: string[] = [];
  const stored = storedSession(clock.now());
  const session = { ...stored, id: newSessionId(), seenWrittenAt: stored.lastSeenAt };
  const read = async () => {
    reads.push(session.hash);
    return lives ? { kind: 'found', session } : { kind: 'unknown' };
  };
  const watch = createSessionWatch({
    sessions: { find: read, reread: read, noteActivity() {} } as never,
    channel: { ...local, onHealthy: (listener) => void healthy.push(listener) },
    clock,
    times: TIMES,
  });
  const bound = createBoundAnswers({ watch, tickMs: TICK_MS });
  open.push(bound, watch);
  return {
    bound,
    watch,
    session,
    reads,
    tell: local.tell,
    gap() {
      for (const listener of healthy) listener();
    },
  };
}

const ticks = (count: number) => new Promise((resolve) => setTimeout(resolve, count * TICK_MS + TICK_MS / 2));

test('a short answer is watched by nobody', async () => {
  const { bound, watch, session } = startScene();
  const ends: string[] = [];
  for (let i = 0; i < 50; i += 1) bound.bind(session, (why) => ends.push(why) > 0)();
  await ticks(3);
  expect([bound.size, watch.size, ends]).toEqual([0, 0, []]);
});

test('one that lasts is watched until it is over, and ended with its session', async () => {
  const { bound, watch, session, tell } = startScene();
  const ends: string[] = [];
  const leave = bound.bind(session, (why) => ends.push(why) > 0);
  const over = bound.bind(session, () => true);
  await until('both last', () => bound.size === 2);
  over();
  expect([bound.size, watch.size]).toEqual([1, 1]);
  tell({ kind: 'ended', hash: session.hash, reason: 'logout' });
  expect(ends).toEqual(['ended']);
  leave();
  expect([bound.size, watch.size]).toEqual([0, 0]);
});

test('an end that is heard before it is watched is not missed', async () => {
  const { bound, session, tell } = startScene();
  const ends: string[] = [];
  const leave = bound.bind(session, (why) => {
    leave();
    return ends.push(why) > 0;
  });
  tell({ kind: 'ended', hash: session.hash, reason: 'logout' });
  await until('the end', () => ends.length === 1);
  await ticks(3);
  expect([ends, bound.size]).toEqual([['ended'], 0]);
});

test('a gap in hearing before it is watched leads to a reading; without one the store is not asked', async () => {
  const { bound, session, reads, gap } = startScene();
  bound.bind(session, () => true);
  await until('it lasts', () => bound.size === 1);
  expect(reads).toEqual([]);
  bound.bind(session, () => true);
  gap();
  await until('the reading', () => reads.length > 0);
  const lost = startScene(false);
  const ends: string[] = [];
  lost.bound.bind(lost.session, (why) => ends.push(why) > 0);
  lost.gap();
  await until('the end', () => ends.length === 1);
  expect(ends).toEqual(['ended']);
});

test('one that cannot be ended now is asked again until it can, or is over', async () => {
  const { bound, session, tell } = startScene();
  const asked = [0, 0];
  const count = (i: number) => {
    asked[i] = (asked[i] ?? 0) + 1;
  };
  const leave = bound.bind(session, () => {
    count(0);
    if (asked[0] === 3) leave();
    return asked[0] === 3;
  });
  const over = bound.bind(session, () => {
    count(1);
    return false;
  });
  await until('both last', () => bound.size === 2);
  tell({ kind: 'ended', hash: session.hash, reason: 'logout' });
  await until('the third time', () => asked[0] === 3 && (asked[1] ?? 0) >= 3);
  over();
  const before = [...asked];
  await ticks(3);
  expect(asked).toEqual(before);
});
