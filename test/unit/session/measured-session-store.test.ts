import { describe, expect, test } from '@jest/globals';
import { createMeasuredSessionStore } from '../../../src/session/measured-session-store.ts';
import { createMemorySessionStore } from '../../../src/session/memory-session-store.ts';
import { createFaultySessionStore } from '../../support/faulty-session-store.ts';
import { DAY, HOUR, storedSession } from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

function scene() {
  const clock = createTestClock();
  const inner = createFaultySessionStore(createMemorySessionStore(clock));
  const told: string[] = [];
  const store = createMeasuredSessionStore(inner, {
    took: (operation, ms) => void told.push(`${operation} ${ms >= 0 && ms < 5_000}`),
    failed: (operation) => void told.push(`${operation} failed`),
  });
  return { clock, inner, store, told };
}

describe('a measured session store', () => {
  test('does what the store does, and tells each operation by its name', async () => {
    const { clock, inner, store, told } = scene();
    const session = storedSession(clock.now());
    await store.create(session, HOUR, 5);
    expect(await store.read(session.hash)).toEqual(session);
    const write = { version: 1, seal: 'seal-2', absoluteExpiresAt: clock.now() + DAY, ttlMs: HOUR };
    expect(await store.writeSeal(session.hash, write)).toEqual({ kind: 'written', version: 2 });
    expect(await store.reseal(session.hash, 'seal-2', 'seal-3')).toBe(true);
    await store.touch(session.hash, clock.now() + 1, HOUR);
    await store.noteForced(session.hash, { at: 1, outcome: 'refreshed' });
    expect(await store.listByUser(session.userId)).toHaveLength(1);
    await store.ping();
    expect(await store.end(session, 'logout')).toBe(true);
    const operations = ['create', 'read', 'write_seal', 'reseal', 'touch', 'note_forced', 'list', 'ping', 'end'];
    expect(told).toEqual(operations.map((operation) => `${operation} true`));
    expect(inner.calls).toHaveLength(operations.length);
  });

  test('tells a failure, and lets it through', async () => {
    const { inner, store, told } = scene();
    inner.fail('ping');
    await expect(store.ping()).rejects.toMatchObject({ kind: 'store_unavailable' });
    expect(told).toEqual(['ping failed', 'ping true']);
  });
});
