// Finvera's WebSocket at the root path: the open streams, what they are sent, and how they end. Who may open one is settled before.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { checkInput, InvalidInput, type SimulatorSettings } from './settings.ts';
import { createStreamFeed } from './stream-feed.ts';
import { replyTo } from './stream-replies.ts';
import { createStreamSource, type SourceMessage, type StreamSource } from './stream-source.ts';
import { createSubscriptions, type Subscription, type Subscriptions } from './stream-subscriptions.ts';

/** An open stream as it can be looked at. */
export interface OpenStream {
  /** Counts from 1. */
  readonly id: number;
  readonly url: string;
  /** The sub-protocol agreed on; empty where there is none. */
  readonly protocol: string;
  readonly subscriptions: readonly Subscription[];
  /** The texts received, the latest 1 000. */
  readonly received: readonly string[];
  /** How many messages it was sent. */
  readonly sent: number;
}

/** Something to send by hand; exactly one of `message`, `text`, `binary`, `frame`. */
export interface PushSpec {
  /** Sent as JSON. */
  readonly message?: unknown;
  /** Sent as it is, which need not be JSON. */
  readonly text?: string;
  /** Base64, sent as a binary message. */
  readonly binary?: string;
  /** Base64, written on the connection as it is, which need not be a frame. */
  readonly frame?: string;
  /** Only to whoever subscribed to it. Default: to every stream. */
  readonly symbol?: string;
}

/** The end of streams; without a code connections are cut without a closing handshake. */
export interface DropSpec {
  readonly code?: number;
  readonly reason?: string;
}

/** The open streams. */
export interface StreamEndpoint {
  /** Takes an upgrade over; the credential has been checked. `headers` join the answer's. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, headers?: readonly string[]): void;
  /** Sends a message to whoever subscribed to the symbol or to `*`; answers how many got it. */
  publish(symbol: string, message: unknown): number;
  /** Answers how many streams got it. @throws InvalidInput naming what is wrong. */
  push(spec: unknown): number;
  /** Ends every open stream; answers how many. @throws InvalidInput naming what is wrong. */
  drop(spec?: unknown): number;
  list(): OpenStream[];
  readonly source: Pick<StreamSource, 'symbols' | 'quotesMade'>;
  /** How many streams are open. */
  count(): number;
  /** Ends all at once, without a closing handshake, and starts over. */
  clear(): void;
}

interface Stream {
  readonly id: number;
  readonly url: string;
  readonly socket: WebSocket;
  readonly raw: Duplex;
  readonly subscriptions: Subscriptions;
  readonly received: string[];
  /** Of replies that are late. */
  readonly timers: Set<NodeJS.Timeout>;
  sent: number;
}

const KEPT_MESSAGES = 1_000;

const pushSchema = z
  .strictObject({
    message: z.unknown(),
    text: z.string(),
    binary: z.base64(),
    frame: z.base64(),
    symbol: z.string().min(1),
  })
  .partial();
const dropSchema = z.strictObject({ code: z.int().min(1000).max(4999), reason: z.string().max(123) }).partial();

/** Builds the endpoint; settings are read anew for each message. */
export function createStreamEndpoint(settings: SimulatorSettings, now: () => number): StreamEndpoint {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: 16 * 1_048_576,
    autoPong: false,
    handleProtocols: (offered) => settings.streamProtocols.find((one) => offered.has(one)) ?? false,
  });
  const added = new WeakMap<IncomingMessage, readonly string[]>();
  server.on('headers', (lines, request) => lines.push(...(added.get(request) ?? [])));
  const streams = new Set<Stream>();
  const source = createStreamSource(settings, now);
  const feed = createStreamFeed(settings, source, (message) => {
    const texts = textsOf(message);
    for (const stream of streams) sendFromFeed(stream, message, texts);
  });
  let nextId = 1;

  function send(stream: Stream, data: string | Buffer): void {
    if (settings.streamSilent) return;
    stream.socket.send(data);
    stream.sent++;
    if (settings.streamDropAfter !== null && stream.sent >= settings.streamDropAfter) stream.socket.terminate();
  }

  function sendFromFeed(stream: Stream, { symbol, type }: SourceMessage, { plain, fmv }: ReturnType<typeof textsOf>) {
    const form = stream.subscriptions.wants(symbol, type);
    if (form === 'symbol' || form === 'both') send(stream, plain());
    if (form === 'params' || form === 'both') send(stream, fmv());
  }

  function receive(stream: Stream, data: RawData): void {
    if (stream.received.length === KEPT_MESSAGES) stream.received.shift();
    stream.received.push(String(data));
    const text = JSON.stringify(replyTo(data, stream.subscriptions, source.symbols));
    if (settings.streamReplyDelayMs === 0) send(stream, text);
    else replyLater(stream, text);
  }

  function replyLater(stream: Stream, text: string): void {
    const timer = setTimeout(() => {
      stream.timers.delete(timer);
      send(stream, text);
    }, settings.streamReplyDelayMs);
    stream.timers.add(timer);
  }

  function open(socket: WebSocket, raw: Duplex, url: string): void {
    const stream: Stream = {
      id: nextId++,
      url,
      socket,
      raw,
      subscriptions: createSubscriptions(),
      received: [],
      timers: new Set(),
      sent: 0,
    };
    streams.add(stream);
    feed.start();
    socket.on('error', () => {});
    socket.on('close', () => {
      streams.delete(stream);
      for (const timer of stream.timers) clearTimeout(timer);
      if (streams.size === 0) feed.stop();
    });
    socket.on('ping', (data) => {
      if (!settings.streamSilent) socket.pong(data);
    });
    socket.on('message', (data) => receive(stream, data));
  }

  function readersOf(symbol: string, message: unknown): Stream[] {
    const type = (message as { type?: unknown } | null)?.type;
    return [...streams].filter(({ subscriptions }) =>
      subscriptions.wants(symbol, typeof type === 'string' ? type : undefined),
    );
  }

  function publish(symbol: string, message: unknown): number {
    const text = JSON.stringify(message);
    const readers = readersOf(symbol, message);
    for (const stream of readers) send(stream, text);
    return readers.length;
  }

  return {
    accept(request, socket, head, headers = []) {
      added.set(request, headerLines(headers));
      server.handleUpgrade(request, socket, head, (accepted) => open(accepted, socket, request.url ?? '/'));
    },
    publish,
    push(input) {
      const spec = checkInput(pushSchema, input) as PushSpec;
      const given = [spec.message, spec.text, spec.binary, spec.frame].filter((one) => one !== undefined);
      if (given.length !== 1) throw new InvalidInput('one of message, text, binary, frame');
      const readers = spec.symbol === undefined ? [...streams] : readersOf(spec.symbol, spec.message);
      for (const stream of readers) {
        if (spec.frame !== undefined) stream.raw.write(Buffer.from(spec.frame, 'base64'));
        else if (spec.binary !== undefined) send(stream, Buffer.from(spec.binary, 'base64'));
        else send(stream, spec.text ?? JSON.stringify(spec.message));
      }
      return readers.length;
    },
    drop(input = {}) {
      const { code, reason } = checkInput(dropSchema, input) as DropSpec;
      const dropped = [...streams];
      for (const { socket } of dropped) {
        if (code === undefined) socket.terminate();
        else closeWith(socket, code, reason);
      }
      return dropped.length;
    },
    list: () =>
      [...streams].map(({ id, url, socket, subscriptions, received, sent }) => ({
        id,
        url,
        protocol: socket.protocol,
        subscriptions: subscriptions.list(),
        received: [...received],
        sent,
      })),
    source,
    count: () => streams.size,
    clear() {
      for (const { socket } of streams) socket.terminate();
      source.clear();
    },
  };
}

/** Texts are made when the first stream wants them, and once for all of them. */
function textsOf({ plain, fmv }: SourceMessage) {
  let plainText: string | undefined;
  let fmvText: string | undefined;
  return {
    plain: () => (plainText ??= JSON.stringify(plain)),
    fmv: () => (fmvText ??= JSON.stringify(fmv ?? plain)),
  };
}

function closeWith(socket: WebSocket, code: number, reason: string | undefined): void {
  try {
    socket.close(code, reason);
  } catch {
    throw new InvalidInput('code: not one that may be sent');
  }
}

function headerLines(headers: readonly string[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  return lines;
}
