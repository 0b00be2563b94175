import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { createPendingWrites } from '../../../src/refresh/pending-writes.ts';
import { tokensNamed } from '../../support/session-fixtures.ts';
import { createRefreshBench } from './coordinator-fixture.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

async function createPending() {
  const bench = createRefreshBench();
  const session = await bench.begin();
  const writes = createPendingWrites(bench.sessions, bench.events);
  let doneCalls = 0;
  const done = async () => {
    doneCalls += 1;
  };
  const tokens = tokensNamed('1', bench.clock.now());
  return { ...bench, session, writes, tokens, done, doneCalls: () => doneCalls };
}

describe('createPendingWrites', () => {
  test('writes at once where the store answers, and remembers nothing', async () => {
    const { writes, session, tokens, done, doneCalls, events } = await createPending();
    const written = await writes.write(session, tokens, undefined, done);
    expect(written).toMatchObject({ kind: 'renewed', session: { version: 2 } });
    expect(writes.overlay(session)).toBe(session);
    expect(doneCalls()).toBe(0);
    expect(events.told).toEqual([]);
  });

  test('passes on that the session is gone or was written by another', async () => {
    const { writes, session, tokens, done, sessions } = await createPending();
    await sessions.renew(session, tokens);
    expect(await writes.write(session, tokens, undefined, done)).toEqual({ kind: 'conflict' });
    await sessions.end(session, 'logout');
    expect(await writes.write(session, tokens, undefined, done)).toEqual({ kind: 'gone' });
  });

  test('throws what is no outage of the store', async () => {
    const { writes, session, tokens, done, store, doneCalls } = await createPending();
    store.fail('writeSeal', new TypeError('a mistake'));
    await expect(writes.write(session, tokens, undefined, done)).rejects.toThrow('a mistake');
    expect(writes.overlay(session)).toBe(session);
    expect(doneCalls()).toBe(0);
  });

  test('serves the newest tokens until they are written, and calls done once', async () => {
    const { writes, session, tokens, done, store, doneCalls, events } = await createPending();
    store.fail('writeSeal');
    const written = await writes.write(session, tokens, undefined, done);
    expect(written).toMatchObject({ kind: 'pending', session: { version: 1, tokens } });
    expect(writes.overlay(session).tokens).toBe(tokens);
    expect(writes.overlay({ ...session, version: 2 })).toMatchObject({ version: 2, tokens: session.tokens });
    expect(doneCalls()).toBe(0);
    store.heal();
    await writes.settled();
    expect(writes.overlay(session)).toBe(session);
    expect(doneCalls()).toBe(1);
    expect(events.told).toEqual(['write started', 'write written']);
  });

  test('serves them to nobody else', async () => {
    const { writes, session, tokens, done, store, begin } = await createPending();
    const other = await begin();
    store.fail('writeSeal');
    await writes.write(session, tokens, undefined, done);
    expect(writes.overlay(other)).toBe(other);
    store.heal();
    await writes.settled();
  });

  test('tries again and again while the store does not answer', async () => {
    const { writes, session, tokens, done, store, events } = await createPending();
    store.fail('writeSeal');
    await writes.write(session, tokens, undefined, done);
    for (let i = 0; i < 3; i += 1) {
      const attempt = store.hold('writeSeal');
      await attempt.reached;
      if (i === 2) store.heal();
      attempt.release();
    }
    await writes.settled();
    expect(store.calls.filter((call) => call === 'writeSeal')).toHaveLength(4);
    expect(events.told).toEqual(['write started', 'write written']);
  });

  test('gives up after a minute, tells so, and calls done', async () => {
    const { writes, session, tokens, done, store, doneCalls, events } = await createPending();
    const startedAt = performance.now();
    let elapsedMs = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => startedAt + elapsedMs);
    store.fail('writeSeal');
    await writes.write(session, tokens, undefined, done);
    elapsedMs = 59_999;
    const last = store.hold('writeSeal');
    await last.reached;
    elapsedMs = 60_000;
    last.release();
    await writes.settled();
    expect(events.told).toEqual(['write started', 'write dropped']);
    expect(store.calls.filter((call) => call === 'writeSeal')).toHaveLength(2);
    expect(doneCalls()).toBe(1);
    expect(writes.overlay(session)).toBe(session);
  });

  test('gives up at once on what is no outage, tells so, and calls done', async () => {
    const { writes, session, tokens, done, store, doneCalls, events } = await createPending();
    store.fail('writeSeal');
    await writes.write(session, tokens, undefined, done);
    store.fail('writeSeal', new TypeError('a mistake'));
    await writes.settled();
    expect(events.told).toEqual(['write started', 'write dropped']);
    expect(doneCalls()).toBe(1);
  });
});
