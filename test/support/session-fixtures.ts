// Sessions for tests: a user, tokens of a chosen life, and the sessions part on a memory store that can be made to fail.
import type { Clock } from '../../src/kernel/clock.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { createMemorySessionStore } from '../../src/session/memory-session-store.ts';
import type { Identity, SessionTimes, Tokens } from '../../src/session/session.ts';
import { createSessionCache } from '../../src/session/session-cache.ts';
import { hashSessionId, newSessionId } from '../../src/session/session-id.ts';
import type { SessionStore, StoredSession } from '../../src/session/session-store.ts';
import { createSessions, type SessionObserver, type Sessions } from '../../src/session/sessions.ts';
import { createTokenSeal } from '../../src/session/token-seal.ts';
import { createFaultySessionStore, type FaultySessionStore } from './faulty-session-store.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const USER: Identity = {
  user_id: 'user-1',
  email: 'demo@finvera.test',
  username: 'demo',
  licensing_tier_id: 'tier-1',
};

export const TIMES: SessionTimes = { idleTimeoutMs: 12 * HOUR, absoluteTimeoutMs: 30 * DAY };

export const SEAL_KEY = { kid: 'k1', key: new Secret(Buffer.alloc(32, 1).toString('base64url')) };

/** Tokens named `access-<name>` and `refresh-<name>`, received now. */
export function tokensNamed(name: string, now: number, lifeMs = HOUR): Tokens {
  return {
    access: new Secret(`access-${name}`),
    refresh: new Secret(`refresh-${name}`),
    accessExpiresAt: now + lifeMs,
    accessLifeMs: lifeMs,
  };
}

export function withoutRefresh({ refresh: _, ...tokens }: Tokens): Tokens {
  return tokens;
}

/** A session as a store keeps it, with a seal that opens nothing. */
export function storedSession(now: number, changes: Partial<StoredSession> = {}): StoredSession {
  return {
    hash: hashSessionId(newSessionId()),
    version: 1,
    publicId: 'public-1',
    userId: 'user-1',
    createdAt: now,
    lastSeenAt: now,
    absoluteExpiresAt: now + 30 * DAY,
    ip: '192.0.2.1',
    userAgent: 'agent/1',
    seal: 'seal-1',
    ...changes,
  };
}

/** What the observer of a sessions part was told, one line each. */
export interface SessionEvents extends SessionObserver {
  readonly told: string[];
}

export function createSessionEvents(): SessionEvents {
  const told: string[] = [];
  return {
    told,
    started: ({ userId }) => told.push(`started ${userId}`),
    ended: (_hash, userId, reason) => told.push(`ended ${userId} ${reason}`),
    activityLost: () => told.push('activity lost'),
    resealed: (_hash, error) => told.push(error === undefined ? 'resealed' : 'reseal failed'),
  };
}

export interface TestSessions {
  readonly sessions: Sessions;
  readonly store: FaultySessionStore;
  readonly events: SessionEvents;
}

export interface TestSessionsOptions {
  readonly store?: SessionStore;
  readonly times?: SessionTimes;
  readonly maxPerUser?: number;
  /** Whether what was read may be remembered. Default: every look-up reads the store. */
  readonly isCacheTrusted?: () => boolean;
}

export function createTestSessions(clock: Clock, options: TestSessionsOptions = {}): TestSessions {
  const { times = TIMES, maxPerUser = 20, isCacheTrusted = () => false } = options;
  const store = createFaultySessionStore(options.store ?? createMemorySessionStore(clock));
  const events = createSessionEvents();
  const seal = createTokenSeal([SEAL_KEY]);
  const cache = createSessionCache({ isTrusted: isCacheTrusted });
  const sessions = createSessions({ store, seal, cache, clock, times, maxPerUser, observer: events });
  return { sessions, store, events };
}
