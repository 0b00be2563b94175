/**
 * The three documented auth calls (`/kms/api/v1/auth/token`, `…/refresh`, `…/validate`), each one request without
 * retry, on connections of their own, so that data calls cannot starve them. It stores nothing.
 */
import * as z from 'zod';
import { ExchangeFault } from '../http-client/exchange-fault.ts';
import {
  type ClientRequest,
  createHttpClient,
  type ExchangeHandle,
  type HttpClient,
} from '../http-client/http-client.ts';
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
  close(): void;
}

const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_AUTH_CONNECTIONS = 64;
/** Below common servers' own 5 s: a refresh that meets a closing connection is lost. */
const KEEP_ALIVE_MS = 4_000;
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
  /** Names and values in turn. */
  readonly fields: readonly string[];
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
  const client = createHttpClient({
    url: base,
    connectTimeoutMs,
    maxConnections: MAX_AUTH_CONNECTIONS,
    keepAliveMs: KEEP_ALIVE_MS,
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
    const fields = ['Accept', 'application/json', 'Via', VIA, ...call.fields];
    if (requestId) fields.push('X-Request-Id', requestId);
    if (clientIp) fields.push('X-Forwarded-For', clientIp);
    if (traceparent) fields.push('traceparent', traceparent);
    const { method, body } = call;
    const request = { method, path: basePath + call.path, fields, body: body === undefined ? body : Buffer.from(body) };
    const raw = await askOnce(client, request, authTimeoutMs);
    if (raw.kind !== 'answer') return raw;
    const receivedAt = clock.now();
    const [retryAfter] = valuesOf(raw.fields, 'retry-after');
    return {
      kind: 'answer',
      status: raw.status,
      retryAfterMs: parseRetryAfter(retryAfter, receivedAt),
      setCookies: valuesOf(raw.fields, 'set-cookie'),
      body: raw.whole ? parseJson(raw.text) : undefined,
      whole: raw.whole,
      late: raw.late,
      receivedAt,
    };
  };

  return {
    async login(email, password, context) {
      const body = JSON.stringify({ email, password });
      const fields = ['Content-Type', 'application/json'];
      return readLogin(await send({ method: 'POST', path: `${AUTH}/token`, fields, body }, context));
    },
    async refresh(refreshToken, context) {
      const fields = ['Cookie', `DT_REFRESH_TOKEN=${refreshToken.reveal()}`];
      return readRefresh(await send({ method: 'POST', path: `${AUTH}/refresh`, fields }, context));
    },
    async validate(accessToken, context) {
      const fields = ['Authorization', `Bearer ${accessToken.reveal()}`];
      return readValidate(await send({ method: 'GET', path: `${AUTH}/validate`, fields }, context));
    },
    close: () => client.close(),
  };
}

type RawAnswer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly fields: readonly string[];
      readonly text: string;
      readonly whole: boolean;
      readonly late: boolean;
    }
  | (Answer & { readonly kind: 'timeout' | 'broken' });

/**
 * One exchange, of whose body at most 64 KiB are read; one that is cut off or late is told apart from a whole one
 * (RFC 9112 §8). Never rejects.
 */
function askOnce(client: HttpClient, request: ClientRequest, timeoutMs: number): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let connected = false;
    let status = 0;
    let fields: readonly string[] = [];
    let bytes = 0;
    const chunks: Buffer[] = [];
    const finish = (result: RawAnswer) => {
      clearTimeout(timer);
      resolve(result);
    };
    const answer = (whole: boolean, late: boolean) => {
      const text = whole ? Buffer.concat(chunks).toString('utf8') : '';
      finish({ kind: 'answer', status, fields, text, whole, late });
    };
    const timer = setTimeout(() => {
      handle?.abort();
      if (status === 0) finish({ kind: 'timeout', connected });
      else answer(false, true);
    }, timeoutMs);
    let handle: ExchangeHandle | undefined;
    try {
      handle = client.send(request, {
        onStart() {
          connected = true;
        },
        onSent: () => undefined,
        onHead(code, list) {
          status = code;
          fields = list;
        },
        onBody(chunk) {
          bytes += chunk.length;
          if (bytes <= MAX_ANSWER_BYTES) chunks.push(Buffer.from(chunk));
          else {
            handle?.abort();
            answer(false, false);
          }
        },
        onEnd: () => answer(true, false),
        onFailure(cause) {
          if (status !== 0) return answer(false, false);
          if (cause instanceof ExchangeFault && cause.kind === 'connect_timeout')
            finish({ kind: 'timeout', connected });
          else finish({ kind: 'broken', connected, cause });
        },
      });
    } catch (cause) {
      finish({ kind: 'broken', connected, cause });
    }
  });
}

/** In their order, whatever the case of the name. @param name in lower case */
function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.flatMap((field, i) => (i % 2 === 0 && field.toLowerCase() === name ? [fields[i + 1] as string] : []));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isNoHttp = (cause: unknown): boolean =>
  cause instanceof ExchangeFault && (cause.kind === 'malformed' || cause.kind === 'head_too_large');

/** What is neither a success nor a rejection; the same for all three calls. */
function readFailure(answer: Answer): Failure {
  if (answer.kind === 'timeout') return { kind: 'timeout' };
  if (answer.kind === 'refused') return { kind: 'unavailable', retryAfterMs: answer.retryAfterMs };
  if (answer.kind === 'broken') {
    return { kind: isNoHttp(answer.cause) ? 'invalid' : 'unavailable', cause: answer.cause };
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
