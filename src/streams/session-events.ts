/**
 * The open `/bff/events` of this instance: tells each page what becomes of its session, and keeps the answer alive in
 * between (contract §4). Who may listen is decided elsewhere.
 */
import type { ServerResponse } from 'node:http';
import { createPlaces, type Places } from './places.ts';
import type { SessionWatch, WatchedSession } from './session-watch.ts';

export interface SessionEvents {
  /** Taken before the answer begins. */
  readonly places: Places;
  /**
   * Writes events until the session ends, the reader leaves or takes nothing, or the process closes.
   * @param answer its head is sent.
   */
  open(answer: ServerResponse, listener: EventListener): void;
  readonly size: number;
  /** Ends all, and whatever is opened later at once. Pages come back by themselves, to another instance. */
  close(): void;
}

export interface EventListener {
  readonly session: WatchedSession;
  /** The version of the session that the page knows, where it was here before. */
  readonly lastVersion: number | undefined;
  /** Gives the place back. */
  readonly leave: () => void;
}

export interface SessionEventsOptions {
  readonly watch: SessionWatch;
  readonly maxPerSession: number;
  /** Default 15 s (contract §4). */
  readonly heartbeatMs?: number;
}

type EventType = 'refreshed' | 'expiring' | 'ended';

const HEARTBEAT_MS = 15_000;
/** How long a page waits before it comes back. Browsers add nothing random: short, and an instance that closes has others. */
const RETRY_MS = 1_000;
/** An event is some eighty bytes: whoever leaves this much lying reads no more. */
const MAX_WAITING_BYTES = 16 * 1024;

export function createSessionEvents(options: SessionEventsOptions): SessionEvents {
  const { watch, maxPerSession, heartbeatMs = HEARTBEAT_MS } = options;
  const open = new Set<ServerResponse>();
  let isClosed = false;
  return {
    places: createPlaces(maxPerSession),
    open(answer, { session, lastVersion, leave }) {
      let { version } = session;
      const write = (text: string) => {
        if (answer.writableEnded || answer.destroyed) return;
        answer.write(text);
        if (answer.writableLength > MAX_WAITING_BYTES) answer.destroy();
      };
      const tell = (type: EventType, reason?: string) =>
        write(`event: session\nid: ${version}\ndata: ${JSON.stringify({ type, reason })}\n\n`);
      // An id without data is kept by the page too (HTML §9.2.6): it comes back with the version it knows.
      write(`retry: ${RETRY_MS}\nid: ${version}\n\n`);
      const watching = watch.watch(session, {
        ended(reason) {
          tell('ended', reason);
          answer.end();
        },
        // Nobody said that it ended: the page comes back and asks.
        unverified: () => answer.end(),
        refreshed(renewed) {
          version = renewed;
          tell('refreshed');
        },
        expiring: (reason) => tell('expiring', reason),
      });
      const heartbeat = setInterval(() => {
        // What was written a heartbeat ago has not left: nobody reads.
        if (answer.writableLength > 0) answer.destroy();
        else write(':\n\n');
      }, heartbeatMs).unref();
      open.add(answer);
      answer.once('close', () => {
        clearInterval(heartbeat);
        watching.stop();
        open.delete(answer);
        leave();
      });
      if (lastVersion !== undefined && lastVersion < version) tell('refreshed');
      const expiring = watching.expiring();
      if (expiring) tell('expiring', expiring);
      if (isClosed) answer.end();
    },
    get size() {
      return open.size;
    },
    close() {
      isClosed = true;
      for (const answer of open) answer.end();
    },
  };
}
