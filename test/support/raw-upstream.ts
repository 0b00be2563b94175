// A Finvera of bytes: records what it is sent exactly as it came, and answers the bytes a test wrote down. It reads
// requests by their framing alone, as a back end on a kept connection does, so that a smuggled request shows as one more.
import { createServer, type Socket } from 'node:net';

/** One request as it was framed. */
export interface RawUpstreamRequest {
  /** The request line, such as `GET /a HTTP/1.1`. */
  readonly line: string;
  readonly target: string;
  /** Header lines as they came, without the request line. */
  readonly lines: readonly string[];
  /** The body without its chunk framing. */
  readonly body: string;
  /** Counts connections from 0. */
  readonly connection: number;
  /** Values of a header, whatever the case of its name. */
  values(name: string): string[];
}

/** What to do with a request: bytes to write, or a function that does as it likes with the socket. */
export type RawAnswer = string | Buffer | ((socket: Socket, request: RawUpstreamRequest) => void);

export interface RawUpstream {
  readonly url: string;
  readonly port: number;
  /** The requests that are no login, refresh or validation. */
  requests(): readonly RawUpstreamRequest[];
  /** Those too. */
  allRequests(): readonly RawUpstreamRequest[];
  /** Everything it was sent on all connections, as it came. */
  received(): string;
  /** What the next requests are answered with, one after the other; the last one stays. Default: 200 `ok`. */
  answer(...answers: RawAnswer[]): void;
  /** The same by request. */
  answerBy(choose: (request: RawUpstreamRequest) => RawAnswer): void;
  /** What every new connection gets before it asks anything. */
  greet(text: string): void;
  /** Writes on every open connection, whether something was asked there or not. */
  interject(answer: string | Buffer): void;
  connections(): number;
  openConnections(): number;
  close(): Promise<void>;
}

/** A whole answer with its length; header lines are sent as they are given. */
export function rawAnswer(body = 'ok', lines: readonly string[] = [], status = '200 OK'): string {
  return [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, ...lines, '', body].join('\r\n');
}

/** The access token of a user: it tells whose it is, so that a test sees whose request arrived. */
export const accessTokenOf = (email: string): string => `access.${Buffer.from(email).toString('base64url')}.0123456789`;
export const refreshTokenOf = (email: string): string =>
  `refresh.${Buffer.from(email).toString('base64url')}.0123456789`;

export async function startRawUpstream(): Promise<RawUpstream> {
  const seen: RawUpstreamRequest[] = [];
  const bytes: Buffer[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let greeting = '';
  let choose: (request: RawUpstreamRequest) => RawAnswer = () => rawAnswer();

  const server = createServer((socket) => {
    const connection = connections;
    connections += 1;
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    if (greeting !== '') socket.write(greeting);
    let pending = '';
    socket.on('data', (chunk: Buffer) => {
      bytes.push(chunk);
      pending += chunk.toString('latin1');
      for (let taken = takeRequest(pending); taken; taken = takeRequest(pending)) {
        pending = pending.slice(taken.length);
        const request = toRequest(taken.head, taken.body, connection);
        seen.push(request);
        const answer = authAnswer(request) ?? choose(request);
        if (typeof answer === 'function') answer(socket, request);
        else socket.write(answer);
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: () => seen.filter(({ target }) => !target.includes('/api/v1/auth/')),
    allRequests: () => seen,
    received: () => Buffer.concat(bytes).toString('latin1'),
    answer(...answers) {
      let next = 0;
      choose = () => {
        const answer = answers[Math.min(next, answers.length - 1)] ?? rawAnswer();
        next += 1;
        return answer;
      };
    },
    answerBy(by) {
      choose = by;
    },
    greet(text) {
      greeting = text;
    },
    interject(answer) {
      for (const socket of sockets) socket.write(answer);
    },
    connections: () => connections,
    openConnections: () => sockets.size,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface TakenRequest {
  readonly head: string;
  readonly body: string;
  /** How much of the bytes it took. */
  readonly length: number;
}

/** The first whole request of the bytes, by Content-Length or chunks; what has neither has no body (RFC 9112 §6.3). */
function takeRequest(bytes: string): TakenRequest | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.slice(0, end);
  const start = end + 4;
  if (/^transfer-encoding:/im.test(head)) {
    const chunks = takeChunks(bytes, start);
    return chunks && { head, ...chunks };
  }
  const length = Number(/^content-length:[ \t]*(\d+)/im.exec(head)?.[1] ?? 0);
  if (bytes.length < start + length) return undefined;
  return { head, body: bytes.slice(start, start + length), length: start + length };
}

function takeChunks(bytes: string, start: number): { body: string; length: number } | undefined {
  let at = start;
  let body = '';
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error(`no chunk size: ${bytes.slice(at, lineEnd)}`);
    at = lineEnd + 2;
    if (bytes.length < at + size + 2) return undefined;
    body += bytes.slice(at, at + size);
    at += size + 2;
    if (size === 0) return { body, length: at };
  }
}

function toRequest(head: string, body: string, connection: number): RawUpstreamRequest {
  const [line = '', ...lines] = head.split('\r\n');
  return {
    line,
    target: line.split(' ')[1] ?? '',
    lines,
    body,
    connection,
    values: (name) =>
      lines.flatMap((each) => {
        const colon = each.indexOf(':');
        return each.slice(0, colon).toLowerCase() === name.toLowerCase() ? [each.slice(colon + 1).trim()] : [];
      }),
  };
}

/** Logs everyone in whose password is `demo-password`; the refresh answers the same tokens again. */
function authAnswer({ target, body, values }: RawUpstreamRequest): string | undefined {
  const path = target.split('?')[0] ?? '';
  if (path.endsWith('/api/v1/auth/token')) {
    const { email, password } = JSON.parse(body) as { email: string; password: string };
    return password === 'demo-password' ? tokensAnswer(email) : rawAnswer('{}', [], '401 Unauthorized');
  }
  if (path.endsWith('/api/v1/auth/refresh')) {
    return tokensAnswer(userOf(values('cookie')[0] ?? ''));
  }
  if (path.endsWith('/api/v1/auth/validate')) {
    const email = userOf(values('authorization')[0] ?? '');
    const identity = { user_id: email, email, username: email, licensing_tier_id: 'standard' };
    return rawAnswer(JSON.stringify(identity), ['Content-Type: application/json']);
  }
  return undefined;
}

function tokensAnswer(email: string): string {
  const tokens = { token: accessTokenOf(email), refresh_token: refreshTokenOf(email), expires_in: 3600 };
  return rawAnswer(JSON.stringify(tokens), ['Content-Type: application/json']);
}

const userOf = (token: string): string => Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
