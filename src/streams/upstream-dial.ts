/** Connects to the upstream's WebSocket, once. It chooses no credential and tries nothing again: it is handed an address and headers. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';

export interface Dial {
  /** With the query that shall be sent. */
  readonly url: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** The sub-protocols that the browser offers, in its order. */
  readonly protocols: readonly string[];
  readonly handshakeTimeoutMs: number;
  readonly maxMessageBytes: number;
  /** Nobody waits for it any more. */
  readonly signal: AbortSignal;
}

export type DialOutcome =
  /** Paused, so that nothing is lost until somebody listens: `resume` it. */
  | { readonly kind: 'open'; readonly socket: WebSocket /** What it writes to. */; readonly connection: Duplex }
  /** A whole HTTP answer that is no upgrade; its body is not read, a redirect is not followed. */
  | { readonly kind: 'refused'; readonly status: number }
  | { readonly kind: 'failed'; readonly cause: Error };

/** Time for the closing handshake; then the connection is cut. */
export const CLOSE_TIMEOUT_MS = 10_000;

export function dialUpstream(dial: Dial): Promise<DialOutcome> {
  return new Promise((resolve) => {
    const options = {
      headers: toObject(dial.headers),
      followRedirects: false,
      handshakeTimeout: dial.handshakeTimeoutMs,
      maxPayload: dial.maxMessageBytes,
      closeTimeout: CLOSE_TIMEOUT_MS,
      // Off: each stream's compressor would cost about 300 KB, and compressing a secret beside what others choose tells it.
      perMessageDeflate: false,
    };
    const socket = new WebSocket(dial.url, [...dial.protocols], options);
    const abort = () => socket.terminate();
    const settle = (outcome: DialOutcome) => {
      dial.signal.removeEventListener('abort', abort);
      // An error after the first one must not end the process. What listens on is no closure: that would keep all this as
      // long as the stream.
      socket.on('error', ignore).off('error', fail).off('unexpected-response', refuse);
      resolve(outcome);
    };
    const refuse = (request: ClientRequest, response: IncomingMessage) => {
      settle({ kind: 'refused', status: response.statusCode ?? 0 });
      request.destroy();
      socket.terminate();
    };
    const fail = (cause: Error) => settle({ kind: 'failed', cause });
    dial.signal.addEventListener('abort', abort, { once: true });
    if (dial.signal.aborted) abort();
    socket.once('upgrade', ({ socket: connection }) => {
      socket.once('open', () => {
        socket.pause();
        settle({ kind: 'open', socket, connection });
      });
    });
    socket.once('unexpected-response', refuse);
    socket.on('error', fail);
  });
}

function ignore(): void {}

/** @param query with its `?`. @returns the address to dial: a base without a path is the root. */
export function streamUrl(base: string, query: string): string {
  return `${base}${new URL(base).pathname === '/' ? '/' : ''}${query}`;
}

/** A name that comes again is one list (RFC 9110 §5.3). */
function toObject(headers: readonly string[]): Record<string, string> {
  const object: Record<string, string> = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    object[name] = name in object ? `${object[name]}, ${value}` : value;
  }
  return object;
}
