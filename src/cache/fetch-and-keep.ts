/** Asks Finvera, judges what comes and keeps it where it may be kept: in the process at once, in Redis soon after. */
import type { CacheSettings } from '../config/settings.ts';
import type { Clock } from '../kernel/clock.ts';
import { type CacheEntry, validatorsOf } from './cache-entry.ts';
import { judge, judgeConfirmation } from './cache-policy.ts';
import type { CacheQuestion } from './cache-question.ts';
import { fieldOf, type HeaderList } from './header-list.ts';
import { confirmed, keptFrom } from './kept-answer.ts';
import type { MemoryCacheStore } from './memory-cache-store.ts';
import type { RedisCacheStore } from './redis-cache-store.ts';
import { collect, type UpstreamAnswer } from './upstream-answer.ts';

export type Fetched =
  /** `isConfirmed`: Finvera's 304 made it fresh again. */
  | {
      readonly kind: 'kept';
      readonly entry: CacheEntry;
      readonly isConfirmed: boolean;
      readonly own: HeaderList;
    }
  /** Whole, and for the one who asked alone. */
  | { readonly kind: 'whole_not_shared'; readonly entry: CacheEntry; readonly own: HeaderList }
  | { readonly kind: 'not_shared'; readonly answer: UpstreamAnswer; readonly chunks: readonly Buffer[] }
  /** The one who asks is to wait behind itself first. */
  | { readonly kind: 'not_asked' };

export interface FetchAndKeepOptions {
  readonly settings: CacheSettings;
  readonly clock: Clock;
  readonly memory: MemoryCacheStore;
  readonly shared: RedisCacheStore | undefined;
}

export interface FetchAndKeep {
  /**
   * Once or, where Finvera's 304 is about something else, twice.
   * @param release lets other instances go on; called where something was kept, once they can find it.
   * @throws GatewayError where there is no answer
   */
  fetch(question: CacheQuestion, kept: CacheEntry | undefined, release: () => void): Promise<Fetched>;
  forget(question: CacheQuestion): void;
}

/** An answer that is not whole by then is passed on as it comes: others wait for it, and it may be a stream. */
const MAX_COLLECT_MS = 5_000;

export function createFetchAndKeep({ settings, clock, memory, shared }: FetchAndKeepOptions): FetchAndKeep {
  const keep = (question: CacheQuestion, entry: CacheEntry, release: () => void): void => {
    memory.set(question.key, entry);
    if (shared) void shared.put(question.key, entry).then(release);
  };
  const forget = ({ key }: CacheQuestion): void => {
    memory.delete(key);
    shared?.drop(key);
  };
  const take = async (
    question: CacheQuestion,
    answer: UpstreamAnswer | undefined,
    requestedAt: number,
    release: () => void,
  ): Promise<Fetched> => {
    if (!answer) return { kind: 'not_asked' };
    const verdict = judge(answer, question.rules, question.isGatewaysOwn);
    const length = Number(fieldOf(answer.headers, 'content-length') ?? 0);
    if (verdict.kind === 'not_storable' || length > settings.maxEntryBytes || question.directives.noStore)
      return { kind: 'not_shared', answer, chunks: [] };
    const collected = await collect(answer, settings.maxEntryBytes, MAX_COLLECT_MS);
    if (collected.kind === 'unfinished') return { kind: 'not_shared', answer, chunks: collected.chunks };
    const { body } = collected;
    const entry = keptFrom(question, answer, body, verdict, requestedAt);
    const { own } = answer;
    // An answer that repeats a token is its owner's alone, and a token is kept nowhere, whatever the answer says.
    if (answer.holdsCredential(body)) return { kind: 'whole_not_shared', entry, own };
    keep(question, entry, release);
    return { kind: 'kept', entry, isConfirmed: false, own };
  };
  return {
    forget,
    async fetch(question, kept, release) {
      let requestedAt = clock.now();
      let answer = await question.fetch(kept ? validatorsOf(kept) : []);
      if (answer?.status === 304 && kept) {
        answer.cancel();
        const verdict = judgeConfirmation(kept, answer.headers, question.rules, question.isGatewaysOwn);
        if (verdict.kind === 'storable') {
          const entry = confirmed(kept, answer.shown, verdict, requestedAt);
          keep(question, entry, release);
          return { kind: 'kept', entry, isConfirmed: true, own: answer.own };
        }
        forget(question);
        requestedAt = clock.now();
        answer = await question.fetch([]);
      }
      return await take(question, answer, requestedAt, release);
    },
  };
}
