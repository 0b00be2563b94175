// Stands in for a gateway where a test decides what it says and when: session, events and stream, and nothing else.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface ScriptedBff {
  readonly origin: string;
  /** Whether anybody is logged in. */
  isSignedIn: boolean;
  /** Answers instead, where it is set. */
  answer: ((req: IncomingMessage, res: ServerResponse) => boolean) | undefined;
  /** What came, as `GET /path`. */
  readonly requests: string[];
  /** The event connections that are open. */
  readonly events: Set<ServerResponse>;
  /** Sends a session event to all of them. */
  tell(event: { readonly type: string; readonly reason?: string }): void;
  readonly streams: Set<WebSocket>;
  /** How the next streams are refused: before they open, or right after. */
  refusal: 'upgrade' | 'close' | undefined;
  /** What the streams heard, parsed. */
  readonly heard: unknown[];
  close(): Promise<void>;
}

const ANSWER = {
  user: { user_id: 'u1', email: 'demo@finvera.test', username: 'demo', licensing_tier_id: 'enterprise' },
  session: {
    created_at: '2026-01-01T00:00:00.000Z',
    expires_in: 100,
    idle_expires_in: 100,
    access_token_expires_in: 60,
  },
};

export function problem(res: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): true {
  res.writeHead(status, { 'Content-Type': 'application/problem+json; charset=utf-8', ...headers });
  res.end(
    JSON.stringify({ type: 'about:blank', title: 'x', status, detail: `What ${code} means.`, code, request_id: 'r-1' }),
  );
  return true;
}

export async function startScriptedBff(): Promise<ScriptedBff> {
  const server = createServer((req, res) => {
    bff.requests.push(`${req.method} ${req.url}`);
    if (bff.answer?.(req, res)) return;
    const path = req.url?.split('?')[0];
    if (path === '/bff/login') bff.isSignedIn = true;
    if (path === '/bff/logout') {
      bff.isSignedIn = false;
      return void res.writeHead(204).end();
    }
    if (!bff.isSignedIn) return void problem(res, 401, 'session_expired');
    if (path !== '/bff/events')
      return void res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(ANSWER));
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('retry: 50\n\n');
    bff.events.add(res);
    res.on('close', () => bff.events.delete(res));
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (req, socket, head) => {
    bff.requests.push(`UPGRADE ${req.url}`);
    const refuse = (status: string) =>
      void socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
    if (!bff.isSignedIn) return refuse('401 Unauthorized');
    if (bff.refusal === 'upgrade') return refuse('403 Forbidden');
    sockets.handleUpgrade(req, socket, head, (stream) => {
      if (bff.refusal === 'close') return void stream.close(1008, 'refused by upstream');
      bff.streams.add(stream);
      stream.on('message', (data) => bff.heard.push(JSON.parse(String(data))));
      stream.on('close', () => bff.streams.delete(stream));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bff: ScriptedBff = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isSignedIn: false,
    answer: undefined,
    requests: [],
    events: new Set(),
    tell(event) {
      for (const res of bff.events) res.write(`event: session\ndata: ${JSON.stringify(event)}\n\n`);
    },
    streams: new Set(),
    refusal: undefined,
    heard: [],
    close() {
      for (const stream of bff.streams) stream.terminate();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return bff;
}
