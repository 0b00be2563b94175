/**
 * An HTTP/1.1 client for one server, made for forwarding: connections that are kept, one request at a time on each, the
 * answer told piece by piece as it comes (ADR-0007). No time limits but that of connecting, no retry, no redirect, no
 * cookie, no decoding: its owner decides.
 */
import type { Readable } from 'node:stream';
import { ExchangeFault } from './exchange-fault.ts';
import { type Fields, requestHead } from './request-head.ts';
import { Exchange, type ExchangeListener, type TlsMemory, UpstreamConnection } from './upstream-connection.ts';

export interface HttpClientOptions {
  /** Its origin counts. */
  readonly url: URL;
  readonly connectTimeoutMs: number;
  /** Open at once; further requests wait. */
  readonly maxConnections: number;
  /** How long an idle connection is kept at most; a server that says less is believed. */
  readonly keepAliveMs: number;
}

export interface ClientRequest {
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly path: string;
  readonly fields: Fields;
  /** Undefined: none. A stream is as long as a Content-Length among the fields says, else it goes in chunks. */
  readonly body: Readable | Buffer | undefined;
}

export interface HttpClient {
  /** @throws TypeError for what cannot be sent. The listener is told of all else, of `onStart` and `onSent` perhaps at once. */
  send(request: ClientRequest, listener: ExchangeListener): ExchangeHandle;
  /** At this moment: connections, those that bear a request, and requests that wait for one. */
  counts(): { readonly open: number; readonly busy: number; readonly waiting: number };
  /** Ends everything; who waits for an answer is told that it is broken. */
  close(): void;
}

export type { ExchangeListener } from './upstream-connection.ts';
export type ExchangeHandle = Pick<Exchange, 'pause' | 'resume' | 'abort'>;

/** How often idle connections are looked at. A connection past its time is never used, whenever it is closed. */
const SWEEP_MS = 500;
/** A server closes when it says; what is sent in that moment is lost. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

export function createHttpClient({
  url,
  connectTimeoutMs,
  maxConnections,
  keepAliveMs,
}: HttpClientOptions): HttpClient {
  const tls: TlsMemory = { session: undefined };
  /** The one used last is at the end, and used first: the others may grow old. */
  const idle: UpstreamConnection[] = [];
  const waiting: Exchange[] = [];
  const connections = new Set<UpstreamConnection>();
  let sweep: NodeJS.Timeout | undefined;
  let isClosed = false;

  const isFresh = (connection: UpstreamConnection, now: number): boolean => {
    const said = connection.keepAliveMs;
    const limitMs = said === undefined ? keepAliveMs : Math.min(keepAliveMs, said - KEEP_ALIVE_MARGIN_MS);
    return connection.isUsable && now - connection.idleSince < limitMs;
  };
  const takeIdle = (): UpstreamConnection | undefined => {
    for (let connection = idle.pop(); connection; connection = idle.pop()) {
      if (isFresh(connection, performance.now())) return connection;
      connection.destroy();
    }
    return undefined;
  };
  const nextWaiting = (): Exchange | undefined => {
    for (let exchange = waiting.shift(); exchange; exchange = waiting.shift()) if (!exchange.isOver) return exchange;
    return undefined;
  };
  const sweepIdle = (): void => {
    const now = performance.now();
    for (const connection of [...idle]) if (!isFresh(connection, now)) connection.destroy();
    if (idle.length > 0) return;
    clearInterval(sweep);
    sweep = undefined;
  };
  const open = (first: Exchange): void => {
    connections.add(new UpstreamConnection({ url, connectTimeoutMs, tls }, owner, first));
  };
  const owner = {
    onFree(connection: UpstreamConnection) {
      const next = nextWaiting();
      if (next) return connection.start(next);
      connection.idleSince = performance.now();
      idle.push(connection);
      sweep ??= setInterval(sweepIdle, SWEEP_MS).unref();
    },
    onGone(connection: UpstreamConnection) {
      connections.delete(connection);
      const at = idle.indexOf(connection);
      if (at >= 0) idle.splice(at, 1);
      if (isClosed) return;
      const next = nextWaiting();
      if (next) open(next);
    },
  };

  return {
    send({ method, path, fields, body }, listener) {
      const bodyLength = body === undefined ? 0 : Buffer.isBuffer(body) ? body.length : announcedLength(fields);
      const head = requestHead({ method, path, host: url.host, fields, bodyLength });
      const exchange = new Exchange(method, head, body, bodyLength, listener);
      const connection = takeIdle();
      if (connection) connection.start(exchange);
      else if (isClosed) queueMicrotask(() => failClosed(exchange));
      else if (connections.size < maxConnections) open(exchange);
      else waiting.push(exchange);
      return exchange;
    },
    counts() {
      const open = [...connections].filter(({ isConnected }) => isConnected).length;
      return { open, busy: open - idle.length, waiting: waiting.filter(({ isOver }) => !isOver).length };
    },
    close() {
      isClosed = true;
      clearInterval(sweep);
      for (const connection of [...connections]) connection.close();
      for (const exchange of waiting.splice(0)) failClosed(exchange);
    },
  };
}

function failClosed(exchange: Exchange): void {
  if (exchange.isOver) return;
  exchange.isOver = true;
  exchange.listener.onFailure(new ExchangeFault('not_connected', 'The client is closed.'));
}

function announcedLength(fields: Fields): number | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.length === 14 && name.toLowerCase() === 'content-length') return Number(fields[i + 1]);
  }
  return undefined;
}
