// The fakes that other tests trust.
import { describe, expect, test } from '@jest/globals';
import { Secret } from '../../../src/kernel/secret.ts';
import { createMemorySessionStore } from '../../../src/session/memory-session-store.ts';
import { createFaultySessionStore } from '../../support/faulty-session-store.ts';
import { createScriptedFinvera, granted, REJECTED } from '../../support/scripted-finvera.ts';
import { storedSession } from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

describe('the test clock', () => {
  test('stands still until it is moved', () => {
    const clock = createTestClock(1_000);
    expect([clock.now(), clock.now()]).toEqual([1_000, 1_000]);
    clock.advance(5);
    expect(clock.now()).toBe(1_005);
  });
});

describe('the scripted finvera', () => {
  test('answers in the order of the script, and remembers what it was asked', async () => {
    const finvera = createScriptedFinvera();
    finvera.answer(REJECTED, granted('1', 0));
    expect(await finvera.refresh(new Secret('a'), { requestId: 'r' })).toBe(REJECTED);
    expect(await finvera.refresh(new Secret('b'), {})).toMatchObject({ kind: 'granted' });
    expect(finvera.asked).toEqual(['a', 'b']);
    expect(finvera.contexts).toEqual([{ requestId: 'r' }, {}]);
  });

  test('hangs until it is settled', async () => {
    const finvera = createScriptedFinvera();
    const exchange = finvera.hang();
    const answer = finvera.refresh(new Secret('a'), {});
    await exchange.begun;
    exchange.settle(REJECTED);
    expect(await answer).toBe(REJECTED);
  });

  test('fails where it is asked more often than the script says', async () => {
    await expect(createScriptedFinvera().refresh(new Secret('a'), {})).rejects.toThrow('once more');
  });
});

describe('the faulty session store', () => {
  test('does what the real one does until it is told to fail, and again afterwards', async () => {
    const clock = createTestClock();
    const store = createFaultySessionStore(createMemorySessionStore(clock));
    const session = storedSession(clock.now());
    await store.create(session, 1_000, 1);
    expect(await store.read(session.hash)).toEqual(session);
    store.fail('read');
    await expect(store.read(session.hash)).rejects.toMatchObject({ kind: 'store_unavailable' });
    store.heal();
    expect(await store.read(session.hash)).toEqual(session);
    expect(store.calls).toEqual(['create', 'read', 'read', 'read']);
  });

  test('holds one call until it is released', async () => {
    const store = createFaultySessionStore(createMemorySessionStore(createTestClock()));
    const held = store.hold('ping');
    let isOver = false;
    const ping = store.ping().then(() => {
      isOver = true;
    });
    await held.reached;
    await store.ping();
    expect(isOver).toBe(false);
    held.release();
    await ping;
  });
});
