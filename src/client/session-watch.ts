/**
 * Keeps all tabs of a browser of one mind about who is logged in: one event connection among them, held by whichever
 * tab has the lock, its news passed on over a BroadcastChannel. A tab that misses one of these finds out by itself.
 */
import type { SessionAnswer } from './answers.ts';
import { onPageEvent, scope } from './browser-scope.ts';
import type { Emitter } from './emitter.ts';
import { isSignedOut } from './gateway-error.ts';
import { createPauses } from './pauses.ts';

export interface SessionEventMap {
  /** Somebody has logged in, here or in another tab. */
  signedIn: SessionAnswer;
  /** The session is over, and why: `logout`, or the gateway's word, such as `session_expired` or `ended_by_user`. */
  signedOut: string;
  /** The gateway has renewed Finvera's token. */
  refreshed: undefined;
  /**
   * The session ends in two minutes: for want of activity (`idle`), which `session()` puts off, or because it has lasted
   * as long as one may (`absolute`).
   */
  expiring: 'idle' | 'absolute';
}

export const SESSION_EVENTS = ['signedIn', 'signedOut', 'refreshed', 'expiring'] as const;

export interface SessionWatch {
  /** @param isNew whether to tell listeners and the other tabs even if somebody was logged in before. */
  signedIn(answer: SessionAnswer, isNew?: boolean): void;
  signedOut(reason: string): void;
  /** Asks the gateway who is there; nothing changes where it cannot say. @param reason why nobody might be. @returns whether somebody certainly is, undefined where it cannot say. */
  verify(reason?: string): Promise<boolean | undefined>;
  /** Begins to watch, where there is something to watch and somebody to tell. */
  follow(): void;
  /** For good. */
  close(): void;
}

export interface SessionWatchParts {
  readonly origin: string;
  readonly emitter: Emitter<SessionEventMap>;
  /** Without being activity. @throws GatewayError, also where nobody is logged in. */
  ask(): Promise<SessionAnswer>;
}

/** What one tab tells the others; never anything that they could not ask the gateway themselves. */
type News =
  | { readonly type: 'signedIn'; readonly answer: SessionAnswer }
  | { readonly type: 'signedOut'; readonly reason: string }
  | { readonly type: 'refreshed' }
  | { readonly type: 'expiring'; readonly reason: SessionEventMap['expiring'] };

const CLOSED = 2;
/** A tab that is looked at again after this long asks anew. */
const STALE_MS = 30_000;

export function createSessionWatch({ origin, emitter, ask }: SessionWatchParts): SessionWatch {
  const name = `finvera-gateway ${origin}`;
  let state: 'unknown' | 'in' | 'out' = 'unknown';
  let lastAnswerAt = 0;
  let channel: InstanceType<typeof BroadcastChannel> | undefined;
  let watching: AbortController | undefined;
  /** Put aside or closed: an answer still under way opens nothing any more. */
  let isAside = false;
  const stopPageEvents: (() => void)[] = [];

  const open = () => {
    if (channel || isAside || !scope.BroadcastChannel) return channel;
    channel = new scope.BroadcastChannel(name);
    channel.onmessage = ({ data }: { data: unknown }) => hear(data as News);
    return channel;
  };
  const tell = (news: News) => open()?.postMessage(news);

  const hear = (news: News) => {
    if (news.type === 'signedIn') enter(news.answer, true);
    else if (news.type === 'signedOut') leave(news.reason);
    else if (news.type === 'expiring') emitter.emit('expiring', news.reason);
    else if (news.type === 'refreshed') emitter.emit('refreshed', undefined);
  };
  const enter = (answer: SessionAnswer, isNew: boolean): boolean => {
    const isNews = isNew || state === 'out';
    state = 'in';
    lastAnswerAt = performance.now();
    if (isNews) emitter.emit('signedIn', answer);
    follow();
    return isNews;
  };
  const leave = (reason: string): boolean => {
    if (state === 'out') return false;
    // Nobody had been here: that is no news.
    const isNews = state === 'in' || reason !== 'session_required';
    state = 'out';
    lastAnswerAt = performance.now();
    rest();
    follow();
    if (!isNews) return false;
    emitter.emit('signedOut', reason);
    return true;
  };
  const rest = () => {
    watching?.abort();
    watching = undefined;
  };
  const putAside = () => {
    isAside = true;
    rest();
  };

  const signedIn = (answer: SessionAnswer, isNew = false) => {
    if (enter(answer, isNew)) tell({ type: 'signedIn', answer });
  };
  const signedOut = (reason: string) => {
    if (leave(reason)) tell({ type: 'signedOut', reason });
  };
  const verify = async (reason?: string): Promise<boolean | undefined> => {
    try {
      signedIn(await ask());
    } catch (error) {
      if (!isSignedOut(error)) return undefined;
      signedOut(reason ?? error.code);
      return false;
    }
    return true;
  };

  const onEvent = (text: string) => {
    const news = JSON.parse(text) as Exclude<News, { type: `signed${string}` }> | { type: 'ended'; reason?: string };
    // Not taken at its word: the session that ended may be one that another tab's login has replaced.
    if (news.type === 'ended') return void verify(news.reason);
    hear(news);
    tell(news);
  };

  /** One event connection after the other, until the signal. */
  const listen = async (signal: AbortSignal) => {
    const pauses = createPauses(signal);
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const source = new EventSource(`${origin}/bff/events`, { withCredentials: true });
        const end = () => {
          signal.removeEventListener('abort', end);
          source.close();
          resolve();
        };
        signal.addEventListener('abort', end);
        source.onopen = () => {
          pauses.reset();
          // What happened before it was open was told to nobody.
          void verify();
        };
        source.addEventListener('session', (event) => onEvent((event as unknown as { data: string }).data));
        source.onerror = () => {
          if (source.readyState === CLOSED) end();
        };
      });
      // A refusal shows nothing of its reason.
      if (!signal.aborted && (await verify()) !== false) await pauses.next();
    }
  };

  const follow = () => {
    if (isAside || !emitter.isHeard) return;
    open();
    if (state === 'unknown') return;
    if (stopPageEvents.length === 0) {
      stopPageEvents.push(
        onPageEvent(scope.document, 'visibilitychange', () => {
          const isStale = performance.now() - lastAnswerAt > STALE_MS;
          if (isStale && scope.document?.visibilityState === 'visible') void verify();
        }),
        // A page put aside for the back button must not keep the lock, and must not show what has ended meanwhile.
        onPageEvent(scope, 'pagehide', putAside),
        onPageEvent(scope, 'pageshow', () => {
          isAside = false;
          follow();
          void verify();
        }),
      );
    }
    if (state === 'out' || watching || !scope.EventSource) return;
    watching = new AbortController();
    const { signal } = watching;
    const locks = scope.navigator?.locks;
    // Without a channel the tab with the lock could tell nobody: then each has a connection of its own.
    if (locks && channel) locks.request(name, { signal }, () => listen(signal)).catch(() => undefined);
    else void listen(signal);
  };

  return {
    signedIn,
    signedOut,
    verify,
    follow,
    close() {
      putAside();
      for (const stop of stopPageEvents.splice(0)) stop();
      channel?.close();
      channel = undefined;
      state = 'unknown';
    },
  };
}
