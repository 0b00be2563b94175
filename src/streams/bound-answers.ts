/**
 * The answers of routes that are under way on this instance, each bound to its session: those that last are ended with it.
 * A short one is put down and crossed out, and costs no timer and no watching. It sends nothing itself.
 */
import { createPlaceList, NOWHERE, type Placed, type PlaceList } from '../kernel/place-list.ts';
import type { SessionWatch, WatchedSession, Watching } from './session-watch.ts';

/** @returns false where it cannot be ended now: it is asked again. */
export type EndAnswer = (why: 'ended' | 'unverified') => boolean;

export interface BoundAnswers {
  /** Called with a session that was just found to live. @returns what tells that the answer is over. */
  bind(session: WatchedSession, end: EndAnswer): () => void;
  /** Those that last. */
  readonly size: number;
  close(): void;
}

export interface BoundAnswersOptions {
  readonly watch: SessionWatch;
  /** What lives from one tick to the one after the next lasts. Default 200 ms: within the second of contract §5. */
  readonly tickMs?: number;
}

const TICK_MS = 200;

interface Answer extends Placed {
  readonly session: WatchedSession;
  readonly end: EndAnswer;
  readonly knownSince: number;
  /** Where it is put down now. */
  list: PlaceList<Answer>;
  watching: Watching | undefined;
  why: 'ended' | 'unverified';
}

export function createBoundAnswers({ watch, tickMs = TICK_MS }: BoundAnswersOptions): BoundAnswers {
  let fresh = createPlaceList<Answer>();
  let older = createPlaceList<Answer>();
  const lasting = createPlaceList<Answer>();
  /** Those whose session is over, and that could not be ended yet. */
  const due = createPlaceList<Answer>();
  let timer: NodeJS.Timeout | undefined;

  const move = (answer: Answer, list: PlaceList<Answer>) => {
    answer.list.delete(answer);
    answer.list = list;
    list.add(answer);
  };
  const over = (answer: Answer, why: 'ended' | 'unverified') => {
    if (answer.list !== lasting || answer.place === NOWHERE || answer.end(why)) return;
    answer.why = why;
    move(answer, due);
    start();
  };
  const last = (answer: Answer) => {
    move(answer, lasting);
    const listener = { ended: () => over(answer, 'ended'), unverified: () => over(answer, 'unverified') };
    // An end that was heard since is remembered there, a gap in hearing leads to a reading.
    answer.watching = watch.watch(answer.session, listener, answer.knownSince);
  };
  const tick = () => {
    older.visitAll(last);
    [older, fresh] = [fresh, older];
    due.visitAll((answer) => answer.end(answer.why));
    if (older.size + due.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  const start = () => {
    timer ??= setInterval(tick, tickMs).unref();
  };

  return {
    bind(session, end) {
      const answer: Answer = {
        session,
        end,
        knownSince: watch.gaps,
        list: fresh,
        place: NOWHERE,
        watching: undefined,
        why: 'ended',
      };
      fresh.add(answer);
      start();
      return () => {
        answer.list.delete(answer);
        answer.watching?.stop();
      };
    },
    get size() {
      return lasting.size;
    },
    close() {
      clearInterval(timer);
      for (const list of [fresh, older, lasting, due]) list.clear();
    },
  };
}
