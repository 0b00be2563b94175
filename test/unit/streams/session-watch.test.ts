// What a watched session is said to have ended of, where the store no longer knows it.
import { afterEach, expect, test } from '@jest/globals';
import { createLocalChannel } from '../../../src/redis/invalidation-channel.ts';
import { newSessionId } from '../../../src/session/session-id.ts';
import { createSessionWatch } from '../../../src/streams/session-watch.ts';
import { storedSession } from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';
import { until } from '../../support/until.ts';

const MINUTE_MS = 60_000;
const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** The store keeps a session for ten minutes and an interval of one after what was written of its activity. */
test.each([
  ['idle', 11 * MINUTE_MS + 1],
  ['unknown', 11 * MINUTE_MS - 1],
])('activity that was never written does not hide why: %s', async (reason, afterMs) => {
  const clock = createTestClock();
  const channel = createLocalChannel();
  const unknown = async () => ({ kind: 'unknown' });
  const watch = createSessionWatch({
    sessions: { find: unknown, reread: unknown, noteActivity() {} } as never,
    channel,
    clock,
    times: { idleTimeoutMs: 10 * MINUTE_MS, absoluteTimeoutMs: 86_400_000 },
    sweepMs: 3_600_000,
  });
  open.push(watch);
  const stored = storedSession(clock.now());
  const writtenAt = clock.now();
  const session = { ...stored, id: newSessionId(), lastSeenAt: writtenAt + MINUTE_MS / 2, seenWrittenAt: writtenAt };
  const reasons: string[] = [];
  watch.watch(session, { ended: (why) => reasons.push(why), unverified() {} });
  clock.advance(afterMs);
  channel.tell({ kind: 'changed', hash: session.hash });
  await until('the end', () => reasons.length > 0);
  expect(reasons).toEqual([reason]);
});
