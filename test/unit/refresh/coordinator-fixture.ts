// A refresh coordinator on the memory store, with a Finvera that answers what the test says and an observer that listens.

import { createMemoryLock, type Lock } from '../../../src/redis/redis-lock.ts';
import {
  createRefreshCoordinator,
  type RefreshCoordinator,
  type RefreshObserver,
} from '../../../src/refresh/refresh-coordinator.ts';
import type { Session, Tokens } from '../../../src/session/session.ts';
import type { Sessions } from '../../../src/session/sessions.ts';
import type { FaultySessionStore } from '../../support/faulty-session-store.ts';
import type { ScriptedFinvera } from '../../support/scripted-finvera.ts';
import { createScriptedFinvera } from '../../support/scripted-finvera.ts';
import {
  createTestSessions,
  HOUR,
  MINUTE,
  type SessionEvents,
  tokensNamed,
  USER,
} from '../../support/session-fixtures.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

export interface RefreshEvents extends RefreshObserver {
  readonly told: string[];
}

function createRefreshEvents(): RefreshEvents {
  const told: string[] = [];
  return {
    told,
    exchanged: (_session, outcome, why) => told.push(`exchanged ${outcome} ${why}`),
    joined: (how) => told.push(`joined ${how}`),
    waited: () => told.push('waited'),
    lockLost: () => told.push('lock lost'),
    backgroundFailed: (_session, error) => told.push(`background failed${error === undefined ? '' : `: ${error}`}`),
    writePending: (_session, event) => told.push(`write ${event}`),
  };
}

export interface RefreshBench {
  readonly clock: TestClock;
  readonly store: FaultySessionStore;
  readonly sessions: Sessions;
  readonly sessionEvents: SessionEvents;
  readonly finvera: ScriptedFinvera;
  readonly lock: Lock;
  readonly events: RefreshEvents;
  readonly coordinator: RefreshCoordinator;
  /** Another instance: its own sessions and coordinator on the same store, lock and Finvera. */
  anotherInstance(): RefreshCoordinator;
  /** A session whose access token is called `access-0` and lives an hour. */
  begin(tokens?: Tokens): Promise<Session>;
  /** What the store holds of a session now; fails where there is none. */
  stored(session: Session): Promise<Session>;
  /** Lets the access token run out. */
  expire(): void;
}

export const LIFE_MS = HOUR;
export const AHEAD_MS = MINUTE;
export const CONTEXT = { requestId: 'request-1', clientIp: '192.0.2.1' };

export function createRefreshBench(options: { readonly lock?: Lock; readonly isCached?: boolean } = {}): RefreshBench {
  const clock = createTestClock();
  const cached = options.isCached ? { isCacheTrusted: () => true } : {};
  const { sessions, store, events: sessionEvents } = createTestSessions(clock, cached);
  const finvera = createScriptedFinvera();
  const lock = options.lock ?? createMemoryLock();
  const events = createRefreshEvents();
  const create = (own = sessions) =>
    createRefreshCoordinator({ sessions: own, finvera, lock, clock, aheadMs: AHEAD_MS, observer: events });
  return {
    clock,
    store,
    sessions,
    sessionEvents,
    finvera,
    lock,
    events,
    coordinator: create(),
    anotherInstance: () => create(createTestSessions(clock, { store, ...cached }).sessions),
    begin: (tokens = tokensNamed('0', clock.now(), LIFE_MS)) =>
      sessions.begin({ user: USER, tokens, ip: '192.0.2.1', userAgent: 'agent/1' }),
    async stored(session) {
      const finding = await sessions.find(session.id);
      if (finding.kind !== 'found') throw new Error('the session is gone');
      return finding.session;
    },
    expire: () => clock.advance(LIFE_MS),
  };
}

/** The name of the access token of an outcome that has a session. */
export function accessOf(outcome: { readonly session?: Session }): string | undefined {
  return outcome.session?.tokens.access.reveal();
}
