/**
 * A circuit breaker that one party cannot open for all: whoever provokes failures, by a call that Finvera cannot answer
 * in time, is refused alone. Only failures of several parties speak of the upstream.
 */
import { LRUCache } from 'lru-cache';
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  createCircuitBreaker,
  type Permit,
} from './circuit-breaker.ts';

export interface FairBreaker {
  /** @param party who is behind the request; requests without one count without bound. */
  enter(party?: string): ReturnType<CircuitBreaker['enter']>;
  /** For everybody. */
  readonly state: CircuitBreaker['state'];
}

interface Party {
  readonly breaker: CircuitBreaker;
  windowStartedAt: number;
  counted: number;
}

/** Failures of one party that count for everybody, in a window: twenty are needed, so that it takes three parties. */
const MAX_OF_ONE = 8;
const WINDOW_MS = 10_000;
const MAX_PARTIES = 1_000;

export function createFairBreaker(options: CircuitBreakerOptions): FairBreaker {
  const { now } = options;
  const everybody = createCircuitBreaker(options);
  /** Those whose requests failed lately. */
  const parties = new LRUCache<string, Party>({ max: MAX_PARTIES });

  const partyOf = (name: string): Party => {
    const known = parties.get(name);
    if (known) return known;
    const party = { breaker: createCircuitBreaker({ now }), windowStartedAt: now(), counted: 0 };
    parties.set(name, party);
    return party;
  };
  const countsForAll = (party: Party): boolean => {
    if (now() - party.windowStartedAt > WINDOW_MS) {
      party.windowStartedAt = now();
      party.counted = 0;
    }
    party.counted += 1;
    return party.counted <= MAX_OF_ONE;
  };
  /** The first failure makes a party known: its own permit is taken only then. */
  const failFor = (name: string, own: Permit | undefined, shared: Permit): void => {
    const party = partyOf(name);
    const permit = own ?? party.breaker.enter();
    if (permit.kind === 'permit') permit.fail();
    if (countsForAll(party)) shared.fail();
    else shared.abandon();
  };

  return {
    get state() {
      return everybody.state;
    },
    enter(name) {
      if (name === undefined) return everybody.enter();
      const own = parties.get(name)?.breaker.enter();
      if (own?.kind === 'open') return own;
      const shared = everybody.enter();
      if (shared.kind === 'open') {
        own?.abandon();
        return shared;
      }
      return {
        kind: 'permit',
        succeed() {
          own?.succeed();
          shared.succeed();
        },
        fail: () => failFor(name, own, shared),
        abandon() {
          own?.abandon();
          shared.abandon();
        },
      };
    },
  };
}
