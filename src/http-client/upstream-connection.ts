/** One connection to a server, one exchange at a time. It knows nothing of other connections, and never sends twice. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { AnswerParser, type AnswerReader } from './answer-parser.ts';
import { ExchangeFault, type FaultKind } from './exchange-fault.ts';
import { type BodySending, sendBody } from './send-body.ts';

/** What is told of an exchange. After `onEnd` or `onFailure` nothing is. */
export interface ExchangeListener extends AnswerReader {
  /** It has a connection, and goes out now. */
  onStart(): void;
  /** The request is handed to the system, its body too. */
  onSent(): void;
  onEnd(): void;
  /** @param cause an `ExchangeFault`, or what ended the request's own body. */
  onFailure(cause: unknown): void;
}

/** A request that waits for a connection, or has one. Made by the client, and its handle. */
export class Exchange {
  readonly method: string;
  /** As `requestHead` writes it. */
  readonly head: string;
  readonly body: Readable | Buffer | undefined;
  readonly bodyLength: number | undefined;
  readonly listener: ExchangeListener;
  isOver = false;
  connection: UpstreamConnection | undefined;

  constructor(
    method: string,
    head: string,
    body: Readable | Buffer | undefined,
    bodyLength: number | undefined,
    listener: ExchangeListener,
  ) {
    this.method = method;
    this.head = head;
    this.body = body;
    this.bodyLength = bodyLength;
    this.listener = listener;
  }

  /** No more of the answer is told until `resume`: nor its end, nor that it broke off. */
  pause(): void {
    this.connection?.pause();
  }

  resume(): void {
    this.connection?.resume();
  }

  /** Ends it without a further call. */
  abort(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.connection?.abandon();
  }
}

export interface ConnectionOptions {
  readonly url: URL;
  readonly connectTimeoutMs: number;
  readonly tls: TlsMemory;
}

/** What a handshake left, so that the next one is shorter (RFC 8446 §2.2). */
export interface TlsMemory {
  session: Buffer | undefined;
}

/** Told what becomes of a connection. */
export interface ConnectionOwner {
  /** It is connected, or its exchange is over, and it can bear one. */
  onFree(connection: UpstreamConnection): void;
  /** It bears none any more. Called once. */
  onGone(connection: UpstreamConnection): void;
}

const KEEP_ALIVE_PROBES_MS = 60_000;
/**
 * All connections read into the same bytes: each piece is handed over before the next one is read. A buffer for each read
 * would be made, and collected, at every answer.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

export class UpstreamConnection {
  /** Milliseconds, monotonic; for the owner. */
  idleSince = 0;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser = new AnswerParser();
  #connectTimer: NodeJS.Timeout | undefined;
  #exchange: Exchange | undefined;
  #sending: BodySending | undefined;
  #isSent = false;
  /** What came while the exchange was paused. */
  #rest: Buffer | undefined;
  /** What ended the connection while the exchange was paused; told when it goes on. */
  #ending: ExchangeFault | undefined;
  /** The server itself has ended it, and said all that it wanted. */
  #isServerDone = false;
  #isReading = false;
  #isGone = false;

  /** @param first goes out once there is a connection. */
  constructor(options: ConnectionOptions, owner: ConnectionOwner, first: Exchange) {
    this.#owner = owner;
    this.#exchange = first;
    first.connection = this;
    this.#connectTimer = setTimeout(() => {
      this.#break(new ExchangeFault('connect_timeout', 'No connection in time.'));
    }, options.connectTimeoutMs);
    const { socket, readyEvent } = openSocket(options, (count) => this.#onRead(count));
    this.#socket = socket;
    socket.once(readyEvent, () => this.#onConnected());
    socket.on('error', (cause) => this.#break(this.#fault(cause.message, cause)));
    socket.on('end', () => this.#onServerEnd());
    socket.on('close', () => this.#break(this.#fault('The connection was closed.')));
  }

  get isConnected(): boolean {
    return this.#connectTimer === undefined;
  }

  /** How long the server keeps it while it is idle, in milliseconds; undefined where it did not say. */
  get keepAliveMs(): number | undefined {
    return this.#parser.keepAliveMs;
  }

  get isUsable(): boolean {
    return !this.#isGone && this.#socket.writable;
  }

  /** Only on a connection that is free. */
  start(exchange: Exchange): void {
    const { body, head, listener } = exchange;
    exchange.connection = this;
    this.#exchange = exchange;
    this.#isSent = false;
    this.#parser.expect(exchange.method, listener);
    listener.onStart();
    if (exchange.isOver) return;
    if (body === undefined) {
      this.#socket.write(head, 'latin1');
      this.#onSent();
    } else if (Buffer.isBuffer(body)) {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
      this.#onSent();
    } else {
      this.#sending = sendBody(
        this.#socket,
        head,
        body,
        exchange.bodyLength,
        () => this.#onSent(),
        (cause) => this.#break(cause),
      );
    }
  }

  pause(): void {
    this.#parser.isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#parser.isPaused) return;
    this.#parser.isPaused = false;
    this.#socket.resume();
    // Within a call to the reader: who feeds the parser goes on by itself.
    if (this.#isReading) return;
    const rest = this.#rest;
    this.#rest = undefined;
    this.#feed(rest);
    if (this.#ending && !this.#parser.isPaused) this.#break(this.#ending);
  }

  /** The exchange is over for its owner. Before it went out, the connection is as good as new. */
  abandon(): void {
    const isUnused = !this.isConnected;
    this.#leaveExchange();
    if (!isUnused) this.destroy();
  }

  /** Whoever waits for an answer here is told, paused or not. */
  close(): void {
    this.#parser.isPaused = false;
    this.#break(this.#fault('The client is closed.'));
  }

  /** Whoever waits for an answer here is told nothing. */
  destroy(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    clearTimeout(this.#connectTimer);
    this.#leaveExchange();
    this.#socket.destroy();
    this.#owner.onGone(this);
  }

  #onConnected(): void {
    clearTimeout(this.#connectTimer);
    this.#connectTimer = undefined;
    const first = this.#exchange;
    this.#exchange = undefined;
    if (first) this.start(first);
    else this.#owner.onFree(this);
  }

  #onSent(): void {
    this.#isSent = true;
    this.#exchange?.listener.onSent();
  }

  #onRead(count: number): void {
    // Nobody asked: whatever it is, it must not answer the next request (RFC 9112 §6.3).
    if (!this.#exchange || !this.isConnected) {
      this.destroy();
      return;
    }
    const bytes = READ_BUFFER.subarray(0, count);
    if (this.#parser.isPaused) this.#keep(bytes);
    else this.#feed(bytes);
  }

  #keep(bytes: Buffer): void {
    this.#rest = this.#rest ? Buffer.concat([this.#rest, bytes]) : Buffer.from(bytes);
  }

  /** @param bytes undefined: what was read says all that is known. */
  #feed(bytes: Buffer | undefined): void {
    let taken = 0;
    this.#isReading = true;
    try {
      if (bytes) taken = this.#parser.read(bytes);
    } catch (cause) {
      this.#break(cause);
      return;
    } finally {
      this.#isReading = false;
    }
    if (!this.#exchange) return;
    const rest = bytes && taken < bytes.length ? bytes.subarray(taken) : undefined;
    if (this.#parser.isPaused) {
      if (rest) this.#keep(rest);
    } else if (this.#parser.isOver) {
      this.#finish(rest !== undefined);
    }
  }

  #onServerEnd(): void {
    this.#isServerDone = true;
    this.#break(this.#fault('The server ended the connection.'));
  }

  /** @param hasSurplus bytes behind the answer: nobody knows whose they are. */
  #finish(hasSurplus: boolean): void {
    const exchange = this.#leaveExchange();
    const canGoOn = !hasSurplus && this.#isSent && this.#parser.keepsConnection && !this.#ending && this.isUsable;
    if (canGoOn) this.#owner.onFree(this);
    else this.destroy();
    if (!exchange) return;
    exchange.isOver = true;
    exchange.listener.onEnd();
  }

  /** The connection is of no more use. Where its exchange is paused, that is told when it goes on. */
  #break(cause: unknown): void {
    if (this.#isGone) return;
    const exchange = this.#exchange;
    if (exchange && this.#parser.isPaused && cause instanceof ExchangeFault) {
      this.#ending ??= cause;
      return;
    }
    if (exchange && this.#isServerDone && this.#parser.end()) {
      this.#finish(true);
      return;
    }
    this.destroy();
    if (!exchange || exchange.isOver) return;
    exchange.isOver = true;
    exchange.listener.onFailure(cause);
  }

  #leaveExchange(): Exchange | undefined {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#rest = undefined;
    this.#parser.abandon();
    this.#sending?.stop();
    this.#sending = undefined;
    if (exchange) exchange.connection = undefined;
    return exchange;
  }

  #fault(message: string, cause?: unknown): ExchangeFault {
    const kind: FaultKind = this.isConnected ? 'broken' : 'not_connected';
    return new ExchangeFault(kind, message, cause);
  }
}

/** @param onRead so many bytes lie in the read buffer. */
function openSocket({ url, tls }: ConnectionOptions, onRead: (count: number) => void) {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const isSecure = url.protocol === 'https:';
  const options = {
    host,
    port: Number(url.port || (isSecure ? 443 : 80)),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBES_MS,
    onread: {
      buffer: READ_BUFFER,
      callback(count: number) {
        onRead(count);
        return true;
      },
    },
  };
  if (!isSecure) return { socket: connectTcp(options), readyEvent: 'connect' };
  const socket = connectTls({
    ...options,
    servername: isIP(host) === 0 ? host : '',
    ALPNProtocols: ['http/1.1'],
    ...(tls.session ? { session: tls.session } : {}),
  });
  socket.on('session', (session) => {
    tls.session = session;
  });
  return { socket, readyEvent: 'secureConnect' };
}
