// Finvera's WebSocket at the root path: subscriptions, echo, ping, and messages on demand. Makes up no quotes by itself.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type { Answer } from './answer.ts';
import { SECURITIES } from './market-data.ts';

/** The open streams. */
export interface StreamEndpoint {
  /** Takes an upgrade over; the credential has been checked. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Sends a message to whoever subscribed to the symbol or to `*`; answers how many got it. */
  publish(symbol: string, message: unknown): number;
  /** How many streams are open. */
  count(): number;
  /** Ends all at once, without a closing handshake. */
  terminate(): void;
}

/** Refuses an upgrade with a plain HTTP answer. */
export function refuseUpgrade(socket: Duplex, { status, body }: Answer): void {
  const text = Buffer.from(body as Uint8Array);
  const head = [`HTTP/1.1 ${status} Refused`, 'Content-Type: application/json', `Content-Length: ${text.byteLength}`];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\nConnection: close\r\n\r\n`), text]));
}

/** Builds the endpoint. */
export function createStreamEndpoint(): StreamEndpoint {
  const server = new WebSocketServer({ noServer: true, maxPayload: 1_048_576 });
  const subscriptions = new Map<WebSocket, Set<string>>();

  function open(socket: WebSocket): void {
    const symbols = new Set<string>();
    subscriptions.set(socket, symbols);
    socket.on('error', () => {});
    socket.on('close', () => subscriptions.delete(socket));
    socket.on('message', (data) => socket.send(JSON.stringify(reply(data, symbols))));
  }

  return {
    accept(request, socket, head) {
      server.handleUpgrade(request, socket, head, open);
    },
    publish(symbol, message) {
      const text = JSON.stringify(message);
      const readers = [...subscriptions].filter(([, symbols]) => symbols.has(symbol) || symbols.has('*'));
      for (const [socket] of readers) socket.send(text);
      return readers.length;
    },
    count: () => subscriptions.size,
    terminate() {
      for (const socket of subscriptions.keys()) socket.terminate();
    },
  };
}

function reply(data: RawData, symbols: Set<string>): unknown {
  const message = parse(data);
  const symbol = typeof message?.symbol === 'string' ? message.symbol : undefined;
  switch (message?.action) {
    case 'list':
      return { action: 'list', symbols: SECURITIES.map((security) => security.symbol) };
    case 'subscribed':
      return { action: 'subscribed', symbols: [...symbols] };
    case 'subscribe':
      if (symbol === undefined) break;
      symbols.add(symbol);
      return { action: 'subscribe', symbol, status: 'ok' };
    case 'unsubscribe':
      if (symbol === undefined) break;
      if (symbol === '*') symbols.clear();
      else symbols.delete(symbol);
      return { action: 'unsubscribe', symbol, status: 'ok' };
    case 'echo':
      return message;
    case 'ping':
      return { action: 'pong' };
  }
  return { error: { code: 400, message: 'Invalid request parameters', details: 'Unknown action, or no symbol' } };
}

function parse(data: RawData): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(String(data));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
