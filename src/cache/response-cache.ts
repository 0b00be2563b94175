/**
 * Answers from what is kept, or lets one request ask Finvera for all that want the same. It sees no session: it is handed
 * the scope's text and a function that asks with the asking user's own credential.
 */
import { LRUCache } from 'lru-cache';
import type { CacheSettings } from '../config/settings.ts';
import type { Clock } from '../kernel/clock.ts';
import { within } from '../kernel/within.ts';
import {
  alone,
  type CacheAnswer,
  collapsed,
  failed,
  hit,
  isFault,
  type KeptAnswer,
  passed,
  staleIfError,
  staleWhileRevalidate,
} from './cache-answer.ts';
import { type CacheEntry, isStaleIfError, isStaleWhileRevalidate, ttlMs } from './cache-entry.ts';
import { type CacheQuestion, wantsNewer } from './cache-question.ts';
import type { CacheStatus, ForwardReason } from './cache-status.ts';
import { createFetchAndKeep } from './fetch-and-keep.ts';
import type { Invalidations } from './invalidations.ts';
import type { MemoryCacheStore } from './memory-cache-store.ts';
import type { RedisCacheStore } from './redis-cache-store.ts';

export interface ResponseCache {
  answer(question: CacheQuestion): Promise<CacheAnswer>;
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
  /** `asked`: of Finvera, while they waited. */
  | { readonly kind: 'kept'; readonly entry: CacheEntry; readonly asked: boolean }
  | { readonly kind: 'not_shared' }
  | { readonly kind: 'failed'; readonly error: unknown };

const TOO_LONG: FlightEnd = { kind: 'not_shared' };

interface Landing {
  readonly answer: CacheAnswer;
  readonly end: FlightEnd;
}

/** Then a follower asks for itself: two leaders that failed are no reason to try a third. */
const MAX_ROUNDS = 2;
/** How long nobody waits for anybody over an address whose last answer was not one to share. */
const EACH_ALONE_MS = 2_000;
const MAX_EACH_ALONE = 10_000;
/** Answers that say that Finvera, not the request, is at fault (RFC 5861 §4), and its limit. */
const FAULTS = [429, 500, 502, 503, 504];

export function createResponseCache(options: ResponseCacheOptions): ResponseCache {
  const { settings, clock, memory, shared, invalidations } = options;
  const finvera = createFetchAndKeep(options);
  const flights = new Map<string, Promise<FlightEnd>>();
  const eachAlone = new LRUCache<string, true>({ max: MAX_EACH_ALONE, ttl: EACH_ALONE_MS });

  const isValid = (entry: CacheEntry) => invalidations.isEmpty() || !invalidations.covers(entry);
  const isTooOld = (entry: CacheEntry, { directives }: CacheQuestion, now: number) =>
    wantsNewer(directives, entry, now, settings.reloadAfter);
  const keptOf = ({ key, scope }: CacheQuestion): CacheEntry | undefined => {
    const entry = memory.get(key);
    if (entry === undefined) return undefined;
    if (entry.scope === scope && isValid(entry)) return entry;
    memory.delete(key);
    return undefined;
  };
  /** Why Finvera is asked although this, or nothing, is kept. */
  const reasonFor = (kept: CacheEntry | undefined, uriKey: string): ForwardReason => {
    if (!kept) return memory.hasVariant(uriKey) ? 'vary-miss' : 'uri-miss';
    return ttlMs(kept, clock.now()) > 0 ? 'request' : 'stale';
  };
  const standIn = (entry: CacheEntry | undefined, error: unknown, status?: number): KeptAnswer | undefined => {
    const now = clock.now();
    if (!entry || !isValid(entry) || !isStaleIfError(entry, now)) return undefined;
    return error === undefined || isFault(error) ? staleIfError(entry, now, error, status) : undefined;
  };

  /** One flight: Redis first, then Finvera. */
  const lead = async (question: CacheQuestion, known: CacheEntry | undefined, mayWait: boolean): Promise<Landing> => {
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
        return ttlMs(entry, now) > 0 && (entry.requestedAt >= startedAt || !isTooOld(entry, question, now));
      };
      const look = await shared.look(key, isGood, mayWait, question.maxWaitMs);
      if (look.kind === 'found') {
        const { entry } = look;
        const asked = entry.requestedAt >= startedAt;
        const answer = asked ? collapsed(entry, reasonFor(known, uriKey)) : hit(entry, clock.now(), true);
        memory.set(key, entry);
        return { answer, end: { kind: 'kept', entry, asked } };
      }
      if (look.kind === 'each_alone') {
        eachAlone.set(key, true);
        return { answer: alone(reasonFor(known, uriKey), true), end: { kind: 'not_shared' } };
      }
      if (look.kind === 'lead') release = look.release;
    }
    const reason = reasonFor(kept, uriKey);
    try {
      return await settle(question, kept, reason, release);
    } catch (error) {
      release();
      return { answer: standIn(kept, error) ?? failed(error, reason), end: { kind: 'failed', error } };
    }
  };

  const settle = async (
    question: CacheQuestion,
    kept: CacheEntry | undefined,
    reason: ForwardReason,
    release: () => void,
  ): Promise<Landing> => {
    const result = await finvera.fetch(question, kept, release);
    if (result.kind === 'kept') {
      const { entry, own, isConfirmed } = result;
      const outcome = isConfirmed ? 'revalidated' : 'miss';
      const detail = isConfirmed ? { forwardedStatus: 304 } : { stored: true };
      const status: CacheStatus = { kind: 'forward', reason, ...detail };
      const answer: KeptAnswer = { kind: 'kept', entry, outcome, status, waited: false, own };
      return { answer, end: { kind: 'kept', entry, asked: true } };
    }
    if (result.kind === 'not_asked') {
      release();
      return { answer: alone(reason, false), end: { kind: 'failed', error: undefined } };
    }
    if (result.kind === 'not_shared' && FAULTS.includes(result.answer.status)) {
      release();
      const end: FlightEnd = { kind: 'failed', error: undefined };
      const stale = standIn(kept, undefined, result.answer.status);
      if (!stale) return { answer: passed(result.answer, result.chunks, reason), end };
      result.answer.cancel();
      return { answer: { ...stale, own: result.answer.own }, end };
    }
    eachAlone.set(question.key, true);
    if (kept) finvera.forget(question);
    void (shared?.markEachAlone(question.key) ?? Promise.resolve()).then(release);
    const end: FlightEnd = { kind: 'not_shared' };
    if (result.kind === 'not_shared') return { answer: passed(result.answer, result.chunks, reason), end };
    const { entry, own } = result;
    const status: CacheStatus = { kind: 'forward', reason };
    return { answer: { kind: 'kept', entry, outcome: 'passed', status, waited: false, own }, end };
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

  const fromKept = (question: CacheQuestion, entry: CacheEntry, waited: boolean): CacheAnswer | undefined => {
    const now = clock.now();
    if (isTooOld(entry, question, now)) return undefined;
    if (ttlMs(entry, now) > 0) return hit(entry, now, waited);
    if (!isStaleWhileRevalidate(entry, now)) return undefined;
    if (!question.directives.onlyIfCached) revalidateInBackground(question, entry);
    return staleWhileRevalidate(entry, now, waited);
  };

  return {
    async answer(question) {
      const { key, uriKey, directives, maxWaitMs } = question;
      let waited = false;
      for (let round = 0; ; round += 1) {
        const entry = keptOf(question);
        const found = entry && fromKept(question, entry, waited);
        if (found) return found;
        if (directives.onlyIfCached) return { kind: 'not_kept' };
        const reason = reasonFor(entry, uriKey);
        if (directives.noStore || round >= MAX_ROUNDS || eachAlone.has(key)) return alone(reason, waited);
        const running = flights.get(key);
        if (!running) {
          const answer = await fly(question, entry);
          return waited && answer.kind === 'kept' ? { ...answer, waited } : answer;
        }
        // What takes longer is for nobody to wait for.
        const end = await within(running, maxWaitMs, TOO_LONG);
        waited = true;
        if (end.kind === 'kept') return end.asked ? collapsed(end.entry, reason) : hit(end.entry, clock.now(), true);
        if (end.kind === 'not_shared') return alone(reason, true);
        const stale = standIn(keptOf(question), end.error);
        if (stale) return { ...stale, waited };
      }
    },
  };
}
