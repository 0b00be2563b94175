// A page's WebSocket to the gateway, and an upstream that takes WebSockets and does as the test says.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { until } from './until.ts';

export interface StreamClient {
  readonly socket: WebSocket;
  /** Messages so far, binary ones as buffers. */
  readonly messages: (string | Buffer)[];
  /** Undefined while it is open. */
  closed(): { readonly code: number; readonly reason: string } | undefined;
  /** Waits for the close and gives its code. */
  code(timeoutMs?: number): Promise<number>;
}

export interface Refusal {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface StreamTarget {
  /** `http://…` of the gateway. */
  readonly url: string;
  readonly cookie: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly protocols?: readonly string[];
  readonly query?: string;
}

const WAIT_MS = 10_000;
const opened = new Set<WebSocket>();

/** For `afterEach`. */
export function closeStreamClients(): void {
  for (const socket of opened) socket.terminate();
  opened.clear();
}

/** @returns the client, or the HTTP answer that refused it. Its Origin is the gateway's own unless the headers say otherwise. */
function dialStream({ url, cookie, headers = {}, protocols = [], query = '' }: StreamTarget) {
  return new Promise<{ client: StreamClient } | { refusal: Refusal }>((resolve, reject) => {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/stream${query}`, [...protocols], {
      headers: { ...(cookie ? { Cookie: cookie } : {}), Origin: url, ...headers },
      perMessageDeflate: false,
    });
    opened.add(socket);
    const messages: (string | Buffer)[] = [];
    let closed: { code: number; reason: string } | undefined;
    socket.on('message', (data, isBinary) => messages.push(isBinary ? (data as Buffer) : String(data)));
    socket.on('close', (code, reason) => {
      opened.delete(socket);
      closed = { code, reason: String(reason) };
    });
    socket.once('open', () => {
      const client = {
        socket,
        messages,
        closed: () => closed,
        async code(timeoutMs = WAIT_MS) {
          await until('the close of the stream', () => closed !== undefined, timeoutMs);
          return closed?.code ?? 0;
        },
      };
      resolve({ client });
    });
    socket.once('unexpected-response', (_request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        opened.delete(socket);
        const refusal = { status: response.statusCode ?? 0, headers: response.headers };
        resolve({ refusal: { ...refusal, body: Buffer.concat(chunks).toString() } });
      });
    });
    socket.on('error', reject);
  });
}

export async function openStream(target: StreamTarget): Promise<StreamClient> {
  const outcome = await dialStream(target);
  if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal.status} ${outcome.refusal.body}`);
  return outcome.client;
}

export async function refusedStream(target: StreamTarget): Promise<Refusal> {
  const outcome = await dialStream(target);
  if ('client' in outcome) throw new Error('the stream was opened');
  return outcome.refusal;
}

/** An upstream stream as the upstream sees it. */
export interface UpstreamStream {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  readonly messages: (string | Buffer)[];
  closed(): { readonly code: number; readonly reason: string } | undefined;
}

export interface StreamUpstream {
  /** `ws://…` */
  readonly url: string;
  /** Handshakes as they came, refused ones too. */
  readonly handshakes: IncomingMessage[];
  readonly streams: UpstreamStream[];
  /** The newest stream, once there are this many. */
  next(count?: number): Promise<UpstreamStream>;
  close(): Promise<void>;
}

export interface StreamUpstreamOptions {
  /** Refuses with these bytes instead, where it gives some; `hang` never answers. */
  readonly refuse?: (request: IncomingMessage, count: number) => string | undefined;
  readonly protocol?: string;
  readonly echo?: boolean;
  readonly maxPayload?: number;
}

export async function startStreamUpstream(options: StreamUpstreamOptions = {}): Promise<StreamUpstream> {
  const { refuse = () => undefined, protocol, echo = false, maxPayload = 64 * 1024 * 1024 } = options;
  const handshakes: IncomingMessage[] = [];
  const streams: UpstreamStream[] = [];
  const sockets = new Set<Duplex>();
  const acceptor = new WebSocketServer({ noServer: true, maxPayload, handleProtocols: () => protocol ?? false });
  const server = createServer((_request, response) => response.writeHead(404).end());
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    handshakes.push(request);
    const refusal = refuse(request, handshakes.length);
    if (refusal === 'hang') return;
    if (refusal !== undefined) return void socket.end(refusal);
    acceptor.handleUpgrade(request, socket, head, (webSocket) => {
      const messages: (string | Buffer)[] = [];
      let closed: { code: number; reason: string } | undefined;
      webSocket.on('message', (data, isBinary) => {
        messages.push(isBinary ? (data as Buffer) : String(data));
        if (echo) webSocket.send(data, { binary: isBinary });
      });
      webSocket.on('error', () => undefined);
      webSocket.on('close', (code, reason) => {
        closed = { code, reason: String(reason) };
      });
      streams.push({ socket: webSocket, request, messages, closed: () => closed });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}`,
    handshakes,
    streams,
    async next(count = 1) {
      await until('the stream at the upstream', () => streams.length >= count, WAIT_MS);
      return streams[count - 1] as UpstreamStream;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
