/**
 * The three documented auth calls (`/kms/api/v1/auth/token`, `…/refresh`, `…/validate`), each one request without
 * retry, on connections of their own, so that data calls cannot starve them. It stores nothing.
 */
import { errors, Pool } from 'undici';
import * as z from 'zod';
import type { Clock } from '../kernel/clock.ts';
import type { Secret } from '../kernel/secret.ts';
import { VIA } from '../kernel/via.ts';
import type { Failure, LoginOutcome, RefreshOutcome, ValidateOutcome } from './exchange-outcome.ts';
import { parseRetryAfter } from './retry-after.ts';
import { extractTokens } from './token-extraction.ts';

export interface FinveraClientOptions {
  /** Origin and optional base path, without a trailing slash. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  /** One whole exchange, from connecting to the last byte. */
  readonly authTimeoutMs: number;
  readonly clock: Clock;
  readonly breaker: AuthBreaker;
}

/** As much of a circuit breaker as the client needs; one of its own, so that data calls cannot close this way. */
export interface AuthBreaker {
  enter():
    | { readonly kind: 'permit'; succeed(): void; fail(): void; abandon(): void }
    | { readonly kind: 'open'; readonly retryAfterMs: number };
}

/** What goes along so that Finvera can tell users apart and calls can be followed. */
export interface CallContext {
  readonly requestId?: string;
  readonly clientIp?: string;
  /** W3C. */
  readonly traceparent?: string;
}

export interface FinveraClient {
  login(email: string, password: string, context: CallContext): Promise<LoginOutcome>;
  refresh(refreshToken: Secret, context: CallContext): Promise<RefreshOutcome>;
  validate(accessToken: Secret, context: CallContext): Promise<ValidateOutcome>;
  close(): Promise<void>;
}

const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_AUTH_CONNECTIONS = 64;
const AUTH = '/kms/api/v1/auth';
const REJECTIONS: readonly number[] = [400, 401, 403, 422];

const identityForm = z.object({
  user_id: z.string().min(1).max(256),
  email: z.string().max(320),
  username: z.string().max(256),
  licensing_tier_id: z.string().max(256),
});

type Answer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly retryAfterMs: number | undefined;
      readonly setCookies: readonly string[];
      /** Undefined where the body is not whole or not JSON. */
      readonly body: unknown;
      readonly whole: boolean;
      /** The time ran out inside the body. */
      readonly late?: boolean;
      readonly receivedAt: number;
    }
  /** Not sent: Finvera has failed too often a moment ago. */
  | { readonly kind: 'refused'; readonly retryAfterMs: number }
  | { readonly kind: 'timeout'; readonly connected: boolean }
  | { readonly kind: 'broken'; readonly connected: boolean; readonly cause: unknown };

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export function createFinveraClient({
  url,
  connectTimeoutMs,
  authTimeoutMs,
  clock,
  breaker,
}: FinveraClientOptions): FinveraClient {
  const base = new URL(url);
  const basePath = base.pathname === '/' ? '' : base.pathname.replace(/\/$/, '');
  const pool = new Pool(base.origin, {
    connections: MAX_AUTH_CONNECTIONS,
    pipelining: 1,
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  const send = async (call: Call, context: CallContext): Promise<Answer> => {
    const permit = breaker.enter();
    if (permit.kind === 'open') return { kind: 'refused', retryAfterMs: permit.retryAfterMs };
    const answer = await exchange(call, context);
    if (answer.kind === 'answer' && answer.status < 500) permit.succeed();
    else permit.fail();
    return answer;
  };

  const exchange = async (call: Call, { requestId, clientIp, traceparent }: CallContext): Promise<Answer> => {
    const signal = AbortSignal.timeout(authTimeoutMs);
    let answered = false;
    try {
      const response = await pool.request({
        method: call.method,
        path: basePath + call.path,
        headers: {
          accept: 'application/json',
          via: VIA,
          ...call.headers,
          ...(requestId ? { 'x-request-id': requestId } : {}),
          ...(clientIp ? { 'x-forwarded-for': clientIp } : {}),
          ...(traceparent ? { traceparent } : {}),
        },
        body: call.body ?? null,
        signal,
      });
      answered = true;
      const { text, whole } = await readBounded(response.body);
      const setCookie = response.headers['set-cookie'] ?? [];
      const retryAfter = response.headers['retry-after'];
      const receivedAt = clock.now();
      return {
        kind: 'answer',
        status: response.statusCode,
        retryAfterMs: parseRetryAfter(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter, receivedAt),
        setCookies: Array.isArray(setCookie) ? setCookie : [setCookie],
        body: whole ? parseJson(text) : undefined,
        whole,
        late: !whole && signal.aborted,
        receivedAt,
      };
    } catch (cause) {
      const connected = answered || !isConnectFailure(cause);
      if (signal.aborted || cause instanceof errors.ConnectTimeoutError) return { kind: 'timeout', connected };
      return { kind: 'broken', connected, cause };
    }
  };

  return {
    async login(email, password, context) {
      const body = JSON.stringify({ email, password });
      const headers = { 'content-type': 'application/json' };
      return readLogin(await send({ method: 'POST', path: `${AUTH}/token`, headers, body }, context));
    },
    async refresh(refreshToken, context) {
      const headers = { cookie: `DT_REFRESH_TOKEN=${refreshToken.reveal()}` };
      return readRefresh(await send({ method: 'POST', path: `${AUTH}/refresh`, headers }, context));
    },
    async validate(accessToken, context) {
      const headers = { authorization: `Bearer ${accessToken.reveal()}` };
      return readValidate(await send({ method: 'GET', path: `${AUTH}/validate`, headers }, context));
    },
    close: () => pool.destroy(),
  };
}

/** Reads at most 64 KiB; a body that is cut off or late is told apart from a whole one (RFC 9112 §8). */
async function readBounded(body: AsyncIterable<Buffer>): Promise<{ text: string; whole: boolean }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) return { text: '', whole: false };
      chunks.push(chunk);
    }
  } catch {
    return { text: '', whole: false };
  }
  return { text: Buffer.concat(chunks).toString('utf8'), whole: true };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const CONNECT_FAILURES = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/** True where no connection came about, so that Finvera cannot have acted on the request. */
function isConnectFailure(cause: unknown): boolean {
  const code = (cause as { code?: unknown } | undefined)?.code;
  return (
    typeof code === 'string' &&
    (CONNECT_FAILURES.includes(code) || code.startsWith('CERT_') || code.startsWith('ERR_TLS'))
  );
}

const isParserFailure = (cause: unknown): boolean => cause instanceof errors.HTTPParserError;

/** What is neither a success nor a rejection; the same for all three calls. */
function readFailure(answer: Answer): Failure {
  if (answer.kind === 'timeout') return { kind: 'timeout' };
  if (answer.kind === 'refused') return { kind: 'unavailable', retryAfterMs: answer.retryAfterMs };
  if (answer.kind === 'broken') {
    return { kind: isParserFailure(answer.cause) ? 'invalid' : 'unavailable', cause: answer.cause };
  }
  const retry = answer.retryAfterMs === undefined ? {} : { retryAfterMs: answer.retryAfterMs };
  if (answer.status === 429) return { kind: 'rate_limited', ...retry };
  if (answer.status >= 500) return { kind: 'unavailable', ...retry };
  return { kind: answer.late ? 'timeout' : 'invalid' };
}

const isRejection = (answer: Answer): answer is Answer & { kind: 'answer' } =>
  answer.kind === 'answer' && REJECTIONS.includes(answer.status);

const isSuccess = (answer: Answer): answer is Answer & { kind: 'answer' } =>
  answer.kind === 'answer' && answer.status >= 200 && answer.status < 300;

export function readLogin(answer: Answer): LoginOutcome {
  if (isRejection(answer)) return { kind: 'rejected', status: answer.status };
  if (isSuccess(answer) && answer.whole) {
    const grant = extractTokens(answer);
    if (grant) return { kind: 'granted', grant };
  }
  return readFailure(answer);
}

/** Tokens in the cookies of an answer whose body was cut off or late still count: to drop them would lose a rotated refresh token. */
export function readRefresh(answer: Answer): RefreshOutcome {
  if (isRejection(answer) && answer.status !== 422) return { kind: 'rejected', status: answer.status };
  if (isSuccess(answer)) {
    const grant = extractTokens(answer);
    if (grant) return { kind: 'granted', grant };
  }
  const failure = readFailure(answer);
  const replyLost = wasReplyLost(answer);
  const retryAfterMs = 'retryAfterMs' in failure ? failure.retryAfterMs : undefined;
  return { kind: 'unavailable', why: failure.kind, replyLost, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Only what was sent and not answered whole leaves it open whether Finvera acted on it. */
function wasReplyLost(answer: Answer): boolean {
  if (answer.kind === 'refused') return false;
  return answer.kind === 'answer' ? !answer.whole : answer.connected;
}

export function readValidate(answer: Answer): ValidateOutcome {
  if (isRejection(answer)) return { kind: 'rejected', status: answer.status };
  if (isSuccess(answer)) {
    const identity = identityForm.safeParse(answer.body);
    if (identity.success) {
      return { kind: 'identified', identity: identity.data, body: answer.body as Record<string, unknown> };
    }
  }
  return readFailure(answer);
}
