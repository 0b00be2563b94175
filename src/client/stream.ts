/** Finvera's stream through the gateway: a WebSocket that comes back by itself, with its subscriptions, until the session ends. */
import { createEmitter } from './emitter.ts';
import { invalidUse } from './gateway-error.ts';
import { createPauses } from './pauses.ts';

export type StreamState = 'connecting' | 'open' | 'waiting' | 'closed';

export interface StreamEventMap {
  /** Parsed, where it is JSON. */
  message: unknown;
  state: StreamState;
  /** Over for good: the session ended (4401), the stream is refused (1008), or `close` was called (1000). */
  closed: { readonly code: number; readonly reason: string };
}

export interface GatewayStream {
  readonly state: StreamState;
  /** @returns what takes the listener off again. */
  on<Name extends keyof StreamEventMap>(name: Name, listener: (value: StreamEventMap[Name]) => void): () => void;
  /** Now, or when it is open, and again after every reconnect. `*` is all symbols. */
  subscribe(symbol: string, options?: { readonly type?: string }): void;
  unsubscribe(symbol: string): void;
  /** Sends one message, once. @returns false where the stream is not open: then nothing was sent. */
  send(message: object | string): boolean;
  close(): void;
}

export interface StreamParts {
  /** With the query. */
  readonly url: string;
  /** @returns whether somebody certainly is logged in, undefined where it cannot say. */
  verify(reason?: string): Promise<boolean | undefined>;
}

const SESSION_ENDED = 4401;
const REFUSED = 1008;
const OPEN = 1;
const STEADY_MS = 5_000;
/** By the pauses, a minute and a half: longer than a deploy takes. */
const MOST_REFUSALS = 10;

/**
 * Sends no pings: what a page sends counts as the user's activity, and would keep the session of somebody who left.
 * The gateway keeps the connection itself.
 */
export function openStream({ url, verify }: StreamParts): GatewayStream {
  const { on, emit } = createEmitter<StreamEventMap>(['message', 'state', 'closed']);
  const subscriptions = new Map<string, { action: 'subscribe'; symbol: string; type?: string }>();
  const ending = new AbortController();
  const pauses = createPauses(ending.signal);
  let state: StreamState = 'connecting';
  let socket: WebSocket | undefined;

  const become = (next: StreamState) => {
    state = next;
    emit('state', next);
  };
  const end = (code: number, reason: string) => {
    if (state === 'closed') return;
    ending.abort();
    become('closed');
    emit('closed', { code, reason });
  };
  const send = (message: object | string): boolean => {
    if (socket?.readyState !== OPEN) return false;
    socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    return true;
  };

  /** One connection. @returns how it closed, whether it had been open, and whether it had held. */
  const connect = () =>
    new Promise<{ code: number; reason: string; wasOpen: boolean; hasHeld: boolean }>((resolve) => {
      let openedAt = 0;
      socket = new WebSocket(url);
      socket.onopen = () => {
        openedAt = performance.now();
        for (const message of subscriptions.values()) send(message);
        become('open');
      };
      socket.onmessage = ({ data }) => {
        emit('message', parse(data));
      };
      socket.onclose = ({ code, reason }) => {
        const wasOpen = openedAt > 0;
        resolve({ code, reason, wasOpen, hasHeld: wasOpen && performance.now() - openedAt > STEADY_MS });
      };
    });

  const run = async () => {
    let refusals = 0;
    while (state !== 'closed') {
      const { code, reason, wasOpen, hasHeld } = await connect();
      if (ending.signal.aborted) return;
      // A refused upgrade shows nothing of its reason.
      const isSignedIn = (wasOpen && code !== SESSION_ENDED) || (await verify());
      if (isSignedIn === false || code === SESSION_ENDED) return end(SESSION_ENDED, reason);
      if (ending.signal.aborted) return;
      // One that held was well: the next loss is a new one, and no refusal for good.
      if (hasHeld) {
        pauses.reset();
        refusals = Number.NEGATIVE_INFINITY;
      }
      // The gateway is there, and so is the user: it is the stream that this user may not have.
      if (isSignedIn && (!wasOpen || code === REFUSED)) refusals += 1;
      if (refusals >= MOST_REFUSALS) return end(REFUSED, reason || 'refused');
      become('waiting');
      await pauses.next();
      if (!ending.signal.aborted) become('connecting');
    }
  };
  void run();

  return {
    get state() {
      return state;
    },
    on,
    subscribe(symbol, { type } = {}) {
      if (typeof symbol !== 'string' || symbol === '') throw invalidUse('subscribe needs a symbol, such as AAPL or *.');
      const message = { action: 'subscribe' as const, symbol, ...(type ? { type } : {}) };
      subscriptions.set(`${type ?? ''} ${symbol}`, message);
      send(message);
    },
    unsubscribe(symbol) {
      for (const [key, message] of subscriptions) {
        if (symbol === '*' || message.symbol === symbol) subscriptions.delete(key);
      }
      send({ action: 'unsubscribe', symbol });
    },
    send,
    close() {
      socket?.close(1000);
      end(1000, 'closed by the page');
    },
  };
}

function parse(data: unknown): unknown {
  try {
    return JSON.parse(data as string);
  } catch {
    return data;
  }
}
