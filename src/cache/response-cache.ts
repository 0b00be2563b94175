/**
 * Answers from what is kept, or lets one request ask Finvera for all that want the same. It sees no session: it is handed
 * the scope's text and a function that asks with the asking user's own credential.
 */
import { LRUCache } from 'lru-cache';
import type { CacheSettings, RouteCacheSettings } from '../config/settings.ts';
import type { Clock } from '../kernel/clock.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { RequestDirectives } from './cache-control.ts';
import { ageMs, type CacheEntry, isStaleIfError, isStaleWhileRevalidate, ttlMs, validatorsOf } from './cache-entry.ts';
import { judge, judgeConfirmation } from './cache-policy.ts';
import type { CacheStatus, ForwardReason } from './cache-status.ts';
import { fieldOf, type HeaderList } from './header-list.ts';
import type { Invalidations } from './invalidations.ts';
import { confirmed, keptFrom } from './kept-answer.ts';
import type { MemoryCacheStore } from './memory-cache-store.ts';
import type { RedisCacheStore } from './redis-cache-store.ts';
import { collect, type UpstreamAnswer } from './upstream-answer.ts';

export interface CacheQuestion {
  readonly key: string;
  readonly uriKey: string;
  readonly scope: string;
  readonly route: string;
  readonly path: string;
  readonly rules: RouteCacheSettings;
  readonly directives: RequestDirectives;
  /** The longest wait for another instance's exchange. */
  readonly maxWaitMs: number;
  readonly isGatewaysOwn: (lowerName: string) => boolean;
  /**
   * Asks Finvera with the credential of the one who asks.
   * @throws GatewayError where there is no answer, or none may be asked for
   */
  fetch(validators: HeaderList): Promise<UpstreamAnswer>;
}

/** How an answer came about, for metrics. */
export type CacheOutcome = 'hit' | 'stale' | 'miss' | 'collapsed' | 'revalidated' | 'stale_if_error' | 'passed';

export type CacheAnswer =
  | {
      readonly kind: 'kept';
      readonly entry: CacheEntry;
      readonly outcome: CacheOutcome;
      readonly status: CacheStatus;
      /** It waited for somebody else's exchange: what was true of the asker when it began may be so no longer. */
      readonly waited: boolean;
    }
  /** For the one who asked alone: to be passed as it comes. */
  | {
      readonly kind: 'passed';
      readonly answer: UpstreamAnswer;
      readonly chunks: readonly Buffer[];
      readonly status: CacheStatus;
    }
  /** To be forwarded as if there were no cache. */
  | { readonly kind: 'alone'; readonly status: CacheStatus; readonly waited: boolean }
  /** `only-if-cached`, and nothing fresh is kept (RFC 9111 §5.2.1.7). */
  | { readonly kind: 'not_kept' };

export interface ResponseCache {
  /** @throws GatewayError where Finvera gave no answer and nothing kept may stand in for it */
  answer(question: CacheQuestion): Promise<CacheAnswer>;
  /** Why a request that is not answered from here would be forwarded. */
  missReason(uriKey: string): ForwardReason;
}

export interface ResponseCacheOptions {
  readonly settings: CacheSettings;
  readonly clock: Clock;
  readonly memory: MemoryCacheStore;
  readonly shared: RedisCacheStore | undefined;
  readonly invalidations: Invalidations;
}

/** What a leader's followers are told when it is over. */
type FlightEnd =
  | { readonly kind: 'kept'; readonly entry: CacheEntry; readonly asked: boolean }
  | { readonly kind: 'not_shared' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** Then a follower asks for itself: two leaders that failed are no reason to try a third. */
const MAX_ROUNDS = 2;
/** How long nobody waits for anybody over an address whose last answer was not one to share. */
const EACH_ALONE_MS = 2_000;
const MAX_EACH_ALONE = 10_000;
/** Answers that say that Finvera, not the request, is at fault (RFC 5861 §4), and its limit. */
const FAULTS = [429, 500, 502, 503, 504];

export function createResponseCache(options: ResponseCacheOptions): ResponseCache {
  const { settings, clock, memory, shared, invalidations } = options;
  const flights = new Map<string, Promise<FlightEnd>>();
  const eachAlone = new LRUCache<string, true>({ max: MAX_EACH_ALONE, ttl: EACH_ALONE_MS });

  const isValid = (entry: CacheEntry) => invalidations.isEmpty() || !invalidations.covers(entry);
  const keptOf = ({ key, scope }: CacheQuestion): CacheEntry | undefined => {
    const entry = memory.get(key);
    if (entry === undefined) return undefined;
    if (entry.scope === scope && isValid(entry)) return entry;
    memory.delete(key);
    return undefined;
  };
  const missReason = (uriKey: string): ForwardReason => (memory.hasVariant(uriKey) ? 'vary-miss' : 'uri-miss');

  /** Why Finvera is asked although this, or nothing, is kept. */
  const reasonFor = (kept: CacheEntry | undefined, uriKey: string): ForwardReason => {
    if (!kept) return missReason(uriKey);
    return ttlMs(kept, clock.now()) > 0 ? 'request' : 'stale';
  };

  /** A client's wish for something newer, where what is kept is not new by any measure: nobody may press Finvera with it. */
  const wantsNewer = (
    entry: CacheEntry,
    { noCache, maxAgeMs, minFreshMs }: RequestDirectives,
    now: number,
  ): boolean => {
    if (!noCache && maxAgeMs === undefined && minFreshMs === undefined) return false;
    if (now - entry.requestedAt < settings.reloadAfter) return false;
    return (
      noCache || ageMs(entry, now) > (maxAgeMs ?? Number.POSITIVE_INFINITY) || ttlMs(entry, now) < (minFreshMs ?? 0)
    );
  };
  const hit = (entry: CacheEntry, now: number, waited: boolean): CacheAnswer => ({
    kind: 'kept',
    entry,
    outcome: 'hit',
    status: { kind: 'hit', ttlMs: ttlMs(entry, now) },
    waited,
  });
  const staleFor = (
    entry: CacheEntry | undefined,
    error: unknown,
    forwardedStatus?: number,
  ): CacheAnswer | undefined => {
    const now = clock.now();
    if (!entry || !isValid(entry) || !isStaleIfError(entry, now)) return undefined;
    if (error !== undefined && !isFault(error)) return undefined;
    const isLimited = error instanceof GatewayError && error.kind === 'rate_limited';
    const status: CacheStatus = isLimited
      ? { kind: 'hit', ttlMs: ttlMs(entry, now), detail: 'rate-limited' }
      : {
          kind: 'forward',
          reason: 'stale',
          detail: 'stale-if-error',
          ...(forwardedStatus === undefined ? {} : { forwardedStatus }),
        };
    return { kind: 'kept', entry, outcome: 'stale_if_error', status, waited: false };
  };

  /** Keeps what came, in the process at once and in Redis soon after. @param release lets other instances go on. */
  const keep = (question: CacheQuestion, entry: CacheEntry, release: () => void): void => {
    memory.set(question.key, entry);
    if (shared) void shared.put(question.key, entry).then(release);
  };
  const forget = (question: CacheQuestion): void => {
    memory.delete(question.key);
    shared?.drop(question.key);
  };

  /** Asks Finvera, once or, where its 304 is about something else, twice. */
  const ask = async (question: CacheQuestion, kept: CacheEntry | undefined, release: () => void) => {
    let requestedAt = clock.now();
    let answer = await question.fetch(kept ? validatorsOf(kept) : []);
    if (answer.status === 304 && kept) {
      answer.cancel();
      const verdict = judgeConfirmation(kept, answer.headers, question.rules);
      if (verdict.kind === 'storable') {
        const entry = confirmed(kept, answer.shown, verdict, requestedAt, clock.now());
        keep(question, entry, release);
        return { kind: 'confirmed', entry } as const;
      }
      forget(question);
      requestedAt = clock.now();
      answer = await question.fetch([]);
    }
    const verdict = judge(answer, question.rules, question.isGatewaysOwn);
    const length = Number(fieldOf(answer.headers, 'content-length') ?? 0);
    if (verdict.kind === 'not_storable' || length > settings.maxEntryBytes || question.directives.noStore)
      return { kind: 'not_shared', answer, chunks: [] } as const;
    const receivedAt = clock.now();
    const collected = await collect(answer, settings.maxEntryBytes);
    if (collected.kind === 'too_large') return { kind: 'not_shared', answer, chunks: collected.chunks } as const;
    const { body } = collected;
    const entry = keptFrom(question, answer, body, verdict, requestedAt, receivedAt);
    // An answer that repeats a token is its owner's alone, whatever it says of itself.
    if (question.rules.scope !== 'user' && answer.holdsCredential(body))
      return { kind: 'whole_not_shared', entry } as const;
    keep(question, entry, release);
    return { kind: 'kept', entry } as const;
  };

  /** One flight: Redis first, then Finvera. */
  const lead = async (
    question: CacheQuestion,
    known: CacheEntry | undefined,
    mayWait: boolean,
  ): Promise<{ answer: CacheAnswer; end: FlightEnd }> => {
    const { key, uriKey } = question;
    const startedAt = clock.now();
    let kept = known;
    let release: () => void = () => undefined;
    if (shared) {
      const isGood = (entry: CacheEntry): boolean => {
        const now = clock.now();
        if (entry.scope !== question.scope || !isValid(entry)) return false;
        if (!kept || entry.requestedAt > kept.requestedAt) kept = entry;
        // What was fetched after this request began is as new as any answer to it could be.
        return (
          ttlMs(entry, now) > 0 && (entry.requestedAt >= startedAt || !wantsNewer(entry, question.directives, now))
        );
      };
      const look = await shared.look(key, isGood, mayWait, question.maxWaitMs);
      if (look.kind === 'found') {
        memory.set(key, look.entry);
        const asked = look.entry.requestedAt >= startedAt;
        const answer = asked ? collapsed(look.entry, missReason(uriKey)) : hit(look.entry, clock.now(), true);
        return { answer, end: { kind: 'kept', entry: look.entry, asked } };
      }
      if (look.kind === 'each_alone') {
        eachAlone.set(key, true);
        return { answer: alone(missReason(uriKey), true), end: { kind: 'not_shared' } };
      }
      if (look.kind === 'lead') release = look.release;
    }
    const reason = reasonFor(kept, uriKey);
    try {
      return await settle(question, kept, reason, release);
    } catch (error) {
      release();
      const stale = staleFor(kept, error);
      if (!stale) throw error;
      return { answer: stale, end: { kind: 'failed', error } };
    }
  };

  const settle = async (
    question: CacheQuestion,
    kept: CacheEntry | undefined,
    reason: ForwardReason,
    release: () => void,
  ): Promise<{ answer: CacheAnswer; end: FlightEnd }> => {
    const result = await ask(question, kept, release);
    if (result.kind === 'confirmed' || result.kind === 'kept') {
      const { entry } = result;
      const isConfirmed = result.kind === 'confirmed';
      const status: CacheStatus = {
        kind: 'forward',
        reason,
        ...(isConfirmed ? { forwardedStatus: 304 } : { stored: true }),
      };
      const outcome: CacheOutcome = isConfirmed ? 'revalidated' : 'miss';
      return {
        answer: { kind: 'kept', entry, outcome, status, waited: false },
        end: { kind: 'kept', entry, asked: true },
      };
    }
    if (result.kind === 'not_shared' && FAULTS.includes(result.answer.status)) {
      release();
      const stale = staleFor(kept, undefined, result.answer.status);
      const end: FlightEnd = { kind: 'failed', error: undefined };
      if (!stale) return { answer: passed(result.answer, result.chunks, reason), end };
      result.answer.cancel();
      return { answer: stale, end };
    }
    eachAlone.set(question.key, true);
    if (kept) forget(question);
    void (shared?.markEachAlone(question.key) ?? Promise.resolve()).then(release);
    const end: FlightEnd = { kind: 'not_shared' };
    if (result.kind === 'not_shared') return { answer: passed(result.answer, result.chunks, reason), end };
    const status: CacheStatus = { kind: 'forward', reason };
    return { answer: { kind: 'kept', entry: result.entry, outcome: 'passed', status, waited: false }, end };
  };

  /** The one that asks for all: followers hear how it ended, also where the leader's own client has left. */
  const fly = async (question: CacheQuestion, known: CacheEntry | undefined, mayWait = true): Promise<CacheAnswer> => {
    const { promise, resolve } = Promise.withResolvers<FlightEnd>();
    flights.set(question.key, promise);
    try {
      const { answer, end } = await lead(question, known, mayWait);
      resolve(end);
      return answer;
    } catch (error) {
      resolve({ kind: 'failed', error });
      throw error;
    } finally {
      flights.delete(question.key);
    }
  };

  const revalidateInBackground = (question: CacheQuestion, entry: CacheEntry): void => {
    if (flights.has(question.key)) return;
    fly({ ...question, directives: { ...question.directives, noCache: false } }, entry, false).then(
      (answer) => {
        if (answer.kind === 'passed') answer.answer.cancel();
      },
      // What is kept stays as it is; the next one who asks tries again, as long as the route allows.
      () => undefined,
    );
  };

  return {
    missReason,
    async answer(question) {
      const { key, uriKey, directives } = question;
      let waited = false;
      for (let round = 0; ; round += 1) {
        const now = clock.now();
        const entry = keptOf(question);
        if (entry && !wantsNewer(entry, directives, now)) {
          const left = ttlMs(entry, now);
          if (left > 0) return hit(entry, now, waited);
          if (isStaleWhileRevalidate(entry, now)) {
            if (!directives.onlyIfCached) revalidateInBackground(question, entry);
            const status: CacheStatus = { kind: 'hit', ttlMs: left, detail: 'stale-while-revalidate' };
            return { kind: 'kept', entry, outcome: 'stale', status, waited };
          }
        }
        if (directives.onlyIfCached) return { kind: 'not_kept' };
        const reason = reasonFor(entry, uriKey);
        if (directives.noStore || round >= MAX_ROUNDS || eachAlone.has(key)) return alone(reason, waited);
        const running = flights.get(key);
        if (!running) {
          const answer = await fly(question, entry);
          return waited && answer.kind === 'kept' ? { ...answer, waited } : answer;
        }
        const end = await running;
        waited = true;
        if (end.kind === 'kept') return end.asked ? collapsed(end.entry, reason) : hit(end.entry, clock.now(), true);
        if (end.kind === 'not_shared') return alone(reason, true);
        const stale = staleFor(keptOf(question), end.error);
        if (stale?.kind === 'kept') return { ...stale, waited };
      }
    },
  };
}

/** What says nothing of the request that met it: other errors, such as a session that ended, are the asker's own. */
function isFault(error: unknown): boolean {
  return error instanceof GatewayError && (error.kind.startsWith('upstream_') || error.kind === 'rate_limited');
}

const collapsed = (entry: CacheEntry, reason: ForwardReason): CacheAnswer => ({
  kind: 'kept',
  entry,
  outcome: 'collapsed',
  status: { kind: 'forward', reason, stored: true, collapsed: true },
  waited: true,
});

const alone = (reason: ForwardReason, waited: boolean): CacheAnswer => ({
  kind: 'alone',
  status: { kind: 'forward', reason },
  waited,
});

const passed = (answer: UpstreamAnswer, chunks: readonly Buffer[], reason: ForwardReason): CacheAnswer => ({
  kind: 'passed',
  answer,
  chunks,
  status: { kind: 'forward', reason },
});
