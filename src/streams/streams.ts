/**
 * The open streams of this instance: each bound to its session, counted, told of in log and metrics, and all of them ended
 * when the process drains. Who may open one is decided elsewhere.
 */
import type { WebSocket } from 'ws';
import type { StreamReport } from '../observability/stream-report.ts';
import { CLOSE } from './close-codes.ts';
import { openHubStream } from './hub-stream.ts';
import { createPlaces, type Places } from './places.ts';
import type { SessionWatch, WatchedSession } from './session-watch.ts';
import type { StreamHub } from './stream-hub.ts';
import { type OpenStream, openTunnel, type TunnelLimits, type TunnelListener } from './stream-tunnel.ts';

export interface StreamOwner {
  readonly session: WatchedSession & { readonly userId: string };
  readonly requestId: string;
  readonly clientIp: string;
  /** Gives the stream's place back. */
  readonly leave: () => void;
}

export interface Streams {
  /** Taken before anything is dialled. */
  readonly places: Places;
  /** @param upstream open and paused. */
  openTunnel(browser: WebSocket, upstream: WebSocket, owner: StreamOwner): void;
  /** One of those that share the hub's upstream. */
  joinHub(browser: WebSocket, hub: StreamHub, owner: StreamOwner): void;
  /** Accepts and says why there is no stream: a page sees no more of a refused upgrade than that it failed. */
  refuse(browser: WebSocket, owner: StreamOwner, code: number, reason: string): void;
  readonly size: number;
  /** Closes all with 1001; what does not take part in the closing is cut at the limit. @returns true where nothing was. */
  close(limitMs: number): Promise<boolean>;
}

export interface StreamsOptions {
  readonly watch: SessionWatch;
  readonly report: StreamReport;
  readonly limits: TunnelLimits;
  readonly maxPerSession: number;
}

/** The longest wait for browsers to answer a close, however long the rest of the shutdown may take. */
const MAX_CLOSE_MS = 5_000;

export function createStreams({ watch, report, limits, maxPerSession }: StreamsOptions): Streams {
  const places = createPlaces(maxPerSession);
  const open = new Set<OpenStream>();
  let onEmpty: (() => void) | undefined;

  const bind = (owner: StreamOwner, start: (told: ToldStream) => OpenStream) => {
    // Not the owner: its session has the tokens in it, and would be kept as long as the stream.
    const { leave } = owner;
    const told = createToldStream(owner);
    const watching = watch.watch(owner.session, {
      ended: () => stream.end(CLOSE.sessionEnded, 'session ended'),
      unverified: () => stream.end(CLOSE.upstreamFailed, 'session not verified'),
    });
    told.onActivity = watching.noteActivity;
    told.onClosed = (code, by) => {
      watching.stop();
      leave();
      open.delete(stream);
      report.closed({ ...told.totals(), code, by });
      if (open.size === 0) onEmpty?.();
    };
    const stream = start(told);
    open.add(stream);
  };

  const createToldStream = ({ session: { hash, userId }, requestId, clientIp }: StreamOwner): ToldStream => {
    const startedAt = performance.now();
    const counts = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0 };
    return {
      onActivity() {},
      onClosed() {},
      onMessage(direction, bytes) {
        report.message(direction, bytes);
        if (direction === 'in') {
          counts.messagesIn += 1;
          counts.bytesIn += bytes;
        } else {
          counts.messagesOut += 1;
          counts.bytesOut += bytes;
        }
      },
      totals: () => ({
        ...counts,
        durationMs: performance.now() - startedAt,
        session: hash,
        userId,
        requestId,
        clientIp,
      }),
    };
  };

  return {
    places,
    openTunnel(browser, upstream, owner) {
      bind(owner, (told) => openTunnel(browser, upstream, limits, listenerOf(told)));
    },
    joinHub(browser, hub, owner) {
      const { userId } = owner.session;
      bind(owner, (told) => openHubStream(browser, (reader) => hub.join(reader, userId), limits, listenerOf(told)));
    },
    refuse(browser, owner, code, reason) {
      bind(owner, (told) => {
        browser.once('close', () => told.onClosed(code, 'upstream'));
        browser.close(code, reason);
        return { end: () => browser.terminate(), terminate: () => browser.terminate() };
      });
    },
    get size() {
      return open.size;
    },
    close(limitMs) {
      if (open.size === 0) return Promise.resolve(true);
      return new Promise((resolve) => {
        const timer = setTimeout(
          () => {
            resolve(false);
            for (const stream of open) stream.terminate();
          },
          Math.min(limitMs, MAX_CLOSE_MS),
        );
        onEmpty = () => {
          clearTimeout(timer);
          resolve(true);
        };
        for (const stream of open) stream.end(CLOSE.goingAway, 'gateway is shutting down');
      });
    },
  };
}

/** What is told of a stream while it is open. */
interface ToldStream {
  onActivity: () => void;
  onClosed: (code: number, by: 'browser' | 'upstream' | 'gateway') => void;
  readonly onMessage: (direction: 'in' | 'out', bytes: number) => void;
  totals(): Omit<Parameters<StreamReport['closed']>[0], 'code' | 'by'>;
}

function listenerOf(told: ToldStream): TunnelListener {
  return {
    onActivity: () => told.onActivity(),
    onMessage: told.onMessage,
    onClosed: ({ code, by }) => told.onClosed(code, by),
  };
}
