/** The browser's side of the gateway: log in, ask who is there, call, stream, log out. It holds no token; there is none to hold. */
import type { ListedSession, SessionAnswer } from './answers.ts';
import { scope } from './browser-scope.ts';
import { createEmitter } from './emitter.ts';
import { GatewayError, invalidUse, isSignedOut } from './gateway-error.ts';
import { createSend, expectDone, readJson } from './send.ts';
import { createSessionWatch, SESSION_EVENTS, type SessionEventMap } from './session-watch.ts';
import { type GatewayStream, openStream } from './stream.ts';

export type { GatewaySession, GatewayUser, ListedSession, SessionAnswer } from './answers.ts';
export { type ClientErrorCode, GatewayError, type GatewayErrorCode, type ServerErrorCode } from './gateway-error.ts';
export type { SessionEventMap } from './session-watch.ts';
export type { GatewayStream, StreamEventMap, StreamState } from './stream.ts';

export interface GatewayClient {
  /**
   * Logs in, and makes sure that the browser kept the cookie.
   * @throws GatewayError `login_rejected`, `too_many_attempts`, `cookie_refused`, …
   */
  login(email: string, password: string): Promise<SessionAnswer>;
  /** Ends the session. Done, too, where there was none. */
  logout(): Promise<void>;
  /** Who is logged in, and for how long; counts as the user's activity. @returns undefined where nobody is. */
  session(): Promise<SessionAnswer | undefined>;
  /** All sessions of this user. */
  sessions(): Promise<readonly ListedSession[]>;
  /** Ends one of them: on another device, or this one. */
  endSession(id: string): Promise<void>;
  /**
   * In place of the global `fetch`, for the gateway's addresses: with the cookie, and as it is in all else. Answers of
   * Finvera's, errors too, are the caller's; problems of the gateway's are thrown. A GET is sent once more where the
   * gateway answers 503 and says when (`Retry-After`, at most 3 s); nothing else is.
   * @throws GatewayError
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Opens Finvera's stream. @param options.query goes along in the address. */
  stream(options?: { readonly query?: Readonly<Record<string, string>> }): GatewayStream;
  /** Hears what happens to the session, in whatever tab it happens. @returns what takes the listener off again. */
  on<Name extends keyof SessionEventMap>(name: Name, listener: (value: SessionEventMap[Name]) => void): () => void;
  /** Ends connections and listening for good, not the session. The page's end does the same. */
  close(): void;
}

const COOKIE_REFUSED =
  'The login succeeded, but this browser did not keep the session cookie. A Secure cookie needs https ' +
  '(Safari: on localhost too): use https, or set COOKIE_SECURE=false at the gateway while developing. ' +
  'From another site than the gateway, it needs COOKIE_SAMESITE=None and a browser that allows it.';

/**
 * @param options.baseUrl the gateway's origin. Default: the page's own.
 * @throws GatewayError `invalid_use` where it is no origin.
 */
export function createGatewayClient({ baseUrl }: { readonly baseUrl?: string } = {}): GatewayClient {
  const { origin, href } = readBase(baseUrl);
  const emitter = createEmitter<SessionEventMap>(SESSION_EVENTS);
  const send = createSend({ origin, href });
  const call = (path: string, init?: RequestInit) => send(origin + path, init);
  const ask = async () => await readJson<SessionAnswer>(await call('/bff/session?slide=false'));
  const watch = createSessionWatch({ origin, emitter, ask });
  const streams = new Set<GatewayStream>();

  /** Whoever is told that the session is over tells the rest of the page. */
  const noticing = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (isSignedOut(error)) watch.signedOut(error.code);
      throw error;
    }
  };

  return {
    async login(email, password) {
      if (!isText(email) || !isText(password)) throw invalidUse('login needs an email and a password.');
      const answer = await readJson<SessionAnswer>(
        await call('/bff/login', {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ email, password }),
        }),
      );
      await ask().catch((cause) => {
        // An answer that does not come says nothing about the cookie.
        if (isSignedOut(cause)) throw new GatewayError('cookie_refused', 200, COOKIE_REFUSED, { cause });
      });
      watch.signedIn(answer, true);
      return answer;
    },
    async logout() {
      expectDone(await call('/bff/logout', { method: 'POST' }));
      watch.signedOut('logout');
    },
    async session() {
      try {
        const answer = await readJson<SessionAnswer>(await noticing(call('/bff/session')));
        watch.signedIn(answer);
        return answer;
      } catch (error) {
        if (isSignedOut(error)) return undefined;
        throw error;
      }
    },
    async sessions() {
      const { sessions } = await readJson<{ sessions: ListedSession[] }>(await noticing(call('/bff/sessions')));
      return sessions;
    },
    async endSession(id) {
      if (!isText(id)) throw invalidUse('endSession needs the id of a session.');
      expectDone(await noticing(call(`/bff/sessions/${encodeURIComponent(id)}`, { method: 'DELETE' })));
      await watch.verify('ended_by_user');
    },
    fetch: (input, init) => noticing(send(input, init)),
    stream({ query = {} } = {}) {
      const text = new URLSearchParams(query).toString();
      const url = `${origin.replace('http', 'ws')}/stream${text && `?${text}`}`;
      const stream = openStream({ url, verify: watch.verify });
      streams.add(stream);
      stream.on('closed', () => streams.delete(stream));
      return stream;
    },
    on(name, listener) {
      const stop = emitter.on(name, listener);
      watch.follow();
      return stop;
    },
    close() {
      for (const stream of streams) stream.close();
      watch.close();
    },
  };
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function readBase(baseUrl: string | undefined): { origin: string; href: string } {
  const page = scope.location?.href;
  try {
    const url = new URL(baseUrl ?? page ?? '', page);
    const isOrigin = url.pathname === '/' && url.search === '' && url.hash === '';
    if (url.protocol.startsWith('http') && (baseUrl === undefined || isOrigin)) return url;
  } catch {
    // It is no address at all: said below.
  }
  throw invalidUse('baseUrl must be an origin, such as https://api.example.com.');
}
