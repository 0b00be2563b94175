// What arrived: which call a request is, and its body, counted and (where small) kept. Answers nothing.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** The kinds of call a request is counted and matched as. */
export const CALLS = ['token', 'refresh', 'validate', 'data', 'stream', 'other'] as const;
export type Call = (typeof CALLS)[number];

/** A request body. */
export interface ReceivedBody {
  readonly bytes: number;
  /** The whole body; undefined where it was larger than {@link MAX_KEPT_BYTES}. */
  readonly kept: Buffer | undefined;
  /** Hex; undefined unless it was asked for. */
  readonly sha256: string | undefined;
}

/** A request with its target taken apart; nothing is decoded or normalised. */
export interface Received {
  readonly request: IncomingMessage;
  readonly method: string;
  readonly url: string;
  readonly path: string;
  /** Without the `?`; empty where there is none. */
  readonly query: string;
  readonly call: Call;
  body: ReceivedBody;
}

/** Bodies up to this size are kept in memory; larger ones are only counted and hashed. */
const MAX_KEPT_BYTES = 1_048_576;

export const EMPTY_BODY: ReceivedBody = { bytes: 0, kept: Buffer.alloc(0), sha256: undefined };

const AUTH_CALLS: ReadonlyMap<string, Call> = new Map([
  ['POST /kms/api/v1/auth/token', 'token'],
  ['POST /kms/api/v1/auth/refresh', 'refresh'],
  ['GET /kms/api/v1/auth/validate', 'validate'],
]);

function callOf(method: string, path: string): Call {
  if (path.startsWith('/delivery/') || path.startsWith('/search/') || path.startsWith('/public/')) return 'data';
  const isOtherKms = path.startsWith('/kms/') && !path.startsWith('/kms/api/v1/auth/');
  return AUTH_CALLS.get(`${method} ${path}`) ?? (isOtherKms ? 'data' : 'other');
}

/** Takes a request apart; the body is not read yet. */
export function receive(request: IncomingMessage): Received {
  const url = request.url ?? '/';
  const method = request.method ?? 'GET';
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  const query = mark === -1 ? '' : url.slice(mark + 1);
  const call = request.headers.upgrade === undefined || path !== '/' ? callOf(method, path) : 'stream';
  return { request, method, url, path, query, call, body: EMPTY_BODY };
}

/** Whether a request announces a body. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Reads a body to its end; undefined where the client left before. */
export async function readBody(request: IncomingMessage, withHash: boolean): Promise<ReceivedBody | undefined> {
  const hash = withHash ? createHash('sha256') : undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      hash?.update(chunk);
      if (bytes <= MAX_KEPT_BYTES) chunks.push(chunk);
      else chunks.length = 0;
    }
  } catch {
    return undefined;
  }
  const kept = bytes <= MAX_KEPT_BYTES ? Buffer.concat(chunks) : undefined;
  return { bytes, kept, sha256: hash?.digest('hex') };
}
