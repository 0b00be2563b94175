// Explores orders in which two instances, a logout and Finvera can get in each other's way: fast-check decides at each
// step whose answer comes next. The store, the lock and Finvera answer in any order; the invariants hold in all of them.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RefreshOutcome } from '../../../src/finvera/exchange-outcome.ts';
import { createMemoryLock, type Lock } from '../../../src/redis/redis-lock.ts';
import { createRefreshCoordinator, type RefreshCoordinator } from '../../../src/refresh/refresh-coordinator.ts';
import { createMemorySessionStore } from '../../../src/session/memory-session-store.ts';
import type { SessionStore } from '../../../src/session/session-store.ts';
import { createFaultySessionStore } from '../../support/faulty-session-store.ts';
import { granted } from '../../support/scripted-finvera.ts';
import { createTestSessions, tokensNamed, USER } from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';
import { CONTEXT, LIFE_MS } from './coordinator-fixture.ts';

const RUNS = Number(process.env.FC_RUNS ?? 150);

type Step = 'ask a' | 'ask b' | 'force a' | 'force b' | 'log out';
const STEPS: readonly Step[] = ['ask a', 'ask b', 'force a', 'force b', 'log out'];

/** Every answer of the store waits until the scheduler lets it go. */
function inAnyOrder<T extends object>(scheduler: fc.Scheduler, name: string, inner: T): T {
  const methods = Object.entries(inner).map(([method, call]) => [
    method,
    async (...args: unknown[]) => {
      await scheduler.schedule(Promise.resolve(), `${name}.${method} is asked`);
      const result = await (call as (...args: unknown[]) => Promise<unknown>)(...args);
      await scheduler.schedule(Promise.resolve(), `${name}.${method} answers`);
      return result;
    },
  ]);
  return Object.fromEntries(methods) as T;
}

/** Rotates at each exchange, and takes a second use of a refresh token for theft: everything of the family is dead then. */
function createRotatingFinvera(scheduler: fc.Scheduler, now: () => number) {
  let current = 'refresh-0';
  let generation = 0;
  let isFamilyDead = false;
  const asked: string[] = [];
  return {
    asked,
    currentAccess: () => `access-${generation}`,
    async refresh(token: { reveal(): string }): Promise<RefreshOutcome> {
      await scheduler.schedule(Promise.resolve(), 'finvera is asked');
      asked.push(token.reveal());
      if (token.reveal() !== current) isFamilyDead = true;
      if (isFamilyDead) return { kind: 'rejected', status: 401 };
      generation += 1;
      current = `refresh-${generation}`;
      const outcome = granted(String(generation), now(), LIFE_MS);
      await scheduler.schedule(Promise.resolve(), 'finvera answers');
      return outcome;
    },
  };
}

const QUIET = {
  exchanged: () => undefined,
  joined: () => undefined,
  waited: () => undefined,
  lockLost: () => undefined,
  backgroundFailed: () => undefined,
  writePending: () => undefined,
};

async function explore(scheduler: fc.Scheduler, steps: readonly Step[]): Promise<void> {
  const clock = createTestClock();
  const memory = createMemorySessionStore(clock);
  const store = createFaultySessionStore(inAnyOrder<SessionStore>(scheduler, 'store', memory));
  const lock = inAnyOrder<Lock>(scheduler, 'lock', createMemoryLock());
  const finvera = createRotatingFinvera(scheduler, clock.now);
  const direct = createTestSessions(clock, { store: createFaultySessionStore(memory) }).sessions;
  const instance = (): RefreshCoordinator =>
    createRefreshCoordinator({
      sessions: createTestSessions(clock, { store }).sessions,
      finvera,
      lock,
      clock,
      aheadMs: 60_000,
      observer: QUIET,
    });
  const instances = { a: instance(), b: instance() };
  const session = await direct.begin({
    user: USER,
    tokens: tokensNamed('0', clock.now(), LIFE_MS),
    ip: 'ip',
    userAgent: 'agent',
  });
  clock.advance(LIFE_MS);

  let isLoggedOut = false;
  const logOut = async () => {
    await store.end(session, 'logout');
    isLoggedOut = true;
  };
  const outcomes = await scheduler.waitFor(
    Promise.all(
      steps.map(async (step) => {
        const startedLoggedOut = isLoggedOut;
        if (step === 'log out') await logOut();
        const coordinator = step.endsWith('a') ? instances.a : instances.b;
        const outcome = step.startsWith('ask')
          ? await coordinator.ensureFresh(session, CONTEXT)
          : step.startsWith('force')
            ? await coordinator.force(session, CONTEXT)
            : undefined;
        return { step, outcome, startedLoggedOut };
      }),
    ),
  );
  await scheduler.waitFor(Promise.all([instances.a.settled(), instances.b.settled()]));

  // A refresh token is used once: with this Finvera a second use would have ended the login of the user.
  expect(new Set(finvera.asked).size).toBe(finvera.asked.length);
  const left = await memory.read(session.hash);
  if (steps.includes('log out')) {
    expect(left).toBeUndefined();
  } else {
    expect(finvera.asked).toEqual(['refresh-0']);
    const found = await direct.find(session.id);
    expect(found.kind === 'found' && found.session.tokens.access.reveal()).toBe(finvera.currentAccess());
  }
  for (const { outcome } of outcomes) {
    if (!outcome) continue;
    if (outcome.kind === 'fresh' || outcome.kind === 'refreshed') {
      expect(outcome.session.tokens.access.reveal()).toBe(finvera.currentAccess());
    } else {
      // Nobody is sent away but because of the logout.
      expect([outcome.kind, isLoggedOut]).toEqual(['ended', true]);
    }
  }
}

describe('in whatever order store, lock and Finvera answer', () => {
  test('a refresh token is used once, everybody gets its result, and a logout is final', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc
          .array(fc.constantFrom(...STEPS), { minLength: 2, maxLength: 5 })
          .filter((steps) => steps.some((step) => step !== 'log out')),
        explore,
      ),
      { numRuns: RUNS },
    );
  }, 120_000);
});
