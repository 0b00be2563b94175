// Calls Finvera does not have, for tests of forwarding: echo, any status, many bytes, a dribbled body. Checks no credential.
import { createHash } from 'node:crypto';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, errorAnswer, jsonAnswer, type StreamedBody } from './answer.ts';
import type { Received } from './received.ts';

const PROBE_PATH = /^\/[a-z]+\/api\/v1\/__(echo|status|bytes|slow)(?:\/(.*))?$/s;
const MAX_ECHOED_CHARACTERS = 65_536;
const MAX_BYTES = 100 * 1024 ** 3;
const EMPTY_SHA256 = createHash('sha256').digest('hex');

/** Byte n of every generated body is n mod 256. */
const BLOCK = Buffer.from(Array.from({ length: 65_536 }, (_, index) => index & 0xff));

/** Whether a path is an echo, whose body is hashed however large. */
export function isEcho(path: string): boolean {
  return path.includes('/api/v1/__echo');
}

/**
 * Answers `…/api/v1/__echo`, `__status/{code}`, `__bytes/{n}`, `__slow?ms=&bytes=&chunks=`; undefined for any other path.
 * `?header=Name:value` (repeatable) adds response headers, `?chunked=1` drops the Content-Length.
 */
export function probe(received: Received): Answer | undefined {
  const match = PROBE_PATH.exec(received.path);
  if (match === null) return undefined;
  const query = new URLSearchParams(received.query);
  const headers = askedHeaders(query);
  if (headers === undefined) return errorAnswer(400, 'Invalid request parameters', "A 'header' is not Name:value");
  switch (match[1]) {
    case 'echo':
      return echo(received, headers);
    case 'status':
      return status(match[2] ?? '', headers);
    case 'bytes':
      return bytes(match[2] ?? '', query, headers);
    default:
      return slow(query, headers);
  }
}

function askedHeaders(query: URLSearchParams): string[] | undefined {
  const headers: string[] = [];
  for (const asked of query.getAll('header')) {
    const colon = asked.indexOf(':');
    const name = asked.slice(0, Math.max(0, colon));
    const value = asked.slice(colon + 1).trim();
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch {
      return undefined;
    }
    headers.push(name, value);
  }
  return headers;
}

function echo({ request, method, url, body }: Received, headers: string[]): Answer {
  const text = body.kept?.toString('utf8');
  const isSmallText =
    body.kept !== undefined &&
    text !== undefined &&
    text.length <= MAX_ECHOED_CHARACTERS &&
    Buffer.from(text).equals(body.kept);
  const echoed = {
    method,
    url,
    httpVersion: request.httpVersion,
    rawHeaders: request.rawHeaders,
    rawTrailers: request.rawTrailers,
    bodyBytes: body.bytes,
    bodySha256: body.sha256 ?? EMPTY_SHA256,
    ...(isSmallText ? { body: text } : {}),
  };
  return jsonAnswer(200, echoed, headers);
}

function status(text: string, headers: string[]): Answer {
  const code = Number(text);
  if (!/^\d{3}$/.test(text) || code < 200 || code > 599) {
    return errorAnswer(400, 'Invalid request parameters', 'The status must be 200 to 599');
  }
  if (code >= 400) return errorAnswer(code, `Status ${code}`, 'As asked', headers);
  if (code === 204 || code === 304) return { status: code, headers, body: Buffer.alloc(0) };
  return jsonAnswer(code, { status: code }, headers);
}

function bytes(text: string, query: URLSearchParams, headers: string[]): Answer {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count > MAX_BYTES) {
    return errorAnswer(400, 'Invalid request parameters', `The number of bytes must be 0 to ${MAX_BYTES}`);
  }
  return streamed(query, headers, count, () => blocks(count));
}

function slow(query: URLSearchParams, headers: string[]): Answer {
  const ms = Number(query.get('ms') ?? 1000);
  const count = Number(query.get('bytes') ?? 1000);
  const chunks = Number(query.get('chunks') ?? 10);
  if (!(ms >= 0 && count >= 0 && count <= BLOCK.byteLength && chunks >= 1 && chunks <= count)) {
    return errorAnswer(
      400,
      'Invalid request parameters',
      `'ms' ≥ 0, 'bytes' ≤ ${BLOCK.byteLength}, 'chunks' ≥ 1 and ≤ bytes`,
    );
  }
  return streamed(query, headers, count, () => dribble(count, chunks, ms / chunks));
}

function streamed(
  query: URLSearchParams,
  headers: string[],
  byteLength: number,
  chunks: StreamedBody['chunks'],
): Answer {
  const body: StreamedBody = { byteLength, chunked: query.get('chunked') === '1', chunks };
  return { status: 200, headers: ['Content-Type', 'application/octet-stream', ...headers], body };
}

async function* blocks(count: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let left = count; left > 0; left -= BLOCK.byteLength)
    yield left < BLOCK.byteLength ? BLOCK.subarray(0, left) : BLOCK;
}

async function* dribble(count: number, chunks: number, pauseMs: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let index = 0; index < chunks; index++) {
    // Not keeping the process alive: a simulator that was closed leaves nothing behind.
    await delay(pauseMs, undefined, { ref: false });
    yield BLOCK.subarray(Math.floor((index * count) / chunks), Math.floor(((index + 1) * count) / chunks));
  }
}
