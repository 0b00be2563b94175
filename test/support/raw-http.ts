// Bytes on a socket, for input that HTTP clients refuse to send or quietly repair.
import { connect, type Socket } from 'node:net';

/** Sends the bytes and resolves with all that came until the other side closed. */
export function exchangeRaw(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.write(bytes);
  });
}

export interface RawConnection {
  readonly socket: Socket;
  /** What came so far. */
  received(): string;
  isClosed(): boolean;
}

/** A connection that stays open; the test ends it. */
export function openRaw(port: number): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(connection));
    const chunks: Buffer[] = [];
    let closed = false;
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      closed = true;
    });
    const connection: RawConnection = {
      socket,
      received: () => Buffer.concat(chunks).toString('latin1'),
      isClosed: () => closed,
    };
  });
}

/** A request that asks for the connection to be closed after it. */
export function rawRequest(method: string, target: string, lines: readonly string[] = [], body = ''): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...lines, '', body].join('\r\n');
}

/** The status of a raw answer. */
export const rawStatus = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);

/** One answer as it was framed on the wire. */
export interface ParsedAnswer {
  readonly status: number;
  /** Header lines as they came, without the status line. */
  readonly lines: readonly string[];
  /** Without its chunk framing; cut where it is not whole. */
  readonly body: string;
  readonly whole: boolean;
  /** Values of a header, whatever the case of its name. */
  values(name: string): string[];
}

/**
 * All answers on one connection in their order, by their framing (RFC 9112 §6.3): bytes that are no answer make it throw.
 * @param toHead the answers, counted from 0, to HEAD: they have no body.
 */
export function parseAnswers(bytes: string, toHead: readonly number[] = []): ParsedAnswer[] {
  const answers: ParsedAnswer[] = [];
  for (let rest = bytes; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n');
    const [line = '', ...lines] = rest.slice(0, end < 0 ? undefined : end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]);
    if (Number.isNaN(status) || end < 0) throw new Error(`no answer: ${JSON.stringify(rest.slice(0, 200))}`);
    const values = (name: string) =>
      lines.flatMap((each) => {
        const colon = each.indexOf(':');
        return each.slice(0, colon).toLowerCase() === name.toLowerCase() ? [each.slice(colon + 1).trim()] : [];
      });
    rest = rest.slice(end + 4);
    const hasBody = status >= 200 && status !== 204 && status !== 304 && !toHead.includes(answers.length);
    const { body, whole, length } = hasBody ? takeBody(rest, values) : { body: '', whole: true, length: 0 };
    answers.push({ status, lines, body, whole, values });
    rest = rest.slice(length);
  }
  return answers;
}

function takeBody(bytes: string, values: (name: string) => string[]): { body: string; whole: boolean; length: number } {
  const [announced] = values('content-length');
  if (announced !== undefined) {
    const body = bytes.slice(0, Number(announced));
    return { body, whole: body.length === Number(announced), length: body.length };
  }
  if (values('transfer-encoding')[0] !== 'chunked') return { body: bytes, whole: true, length: bytes.length };
  let body = '';
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    const size = lineEnd < 0 ? Number.NaN : Number.parseInt(bytes.slice(at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (Number.isNaN(size) || bytes.length < next) return { body, whole: false, length: bytes.length };
    body += bytes.slice(lineEnd + 2, lineEnd + 2 + size);
    if (size === 0) return { body, whole: true, length: next };
    at = next;
  }
}
