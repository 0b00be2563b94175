/** Sends one request to the gateway as `fetch` does, and turns every problem into a GatewayError. */
import { GatewayError, invalidUse, type ServerErrorCode } from './gateway-error.ts';

/** `fetch` of an address of the gateway's. @throws GatewayError; the caller's own `AbortError` where the caller aborts. */
export type Send = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** More is not a pause but an outage: the caller hears of it at once. */
const LONGEST_PAUSE_S = 3;

/** @param base the gateway's origin with a slash, and what relative addresses are relative to. */
export function createSend(base: { readonly origin: string; readonly href: string }): Send {
  return async (input, init = {}) => {
    const given = input instanceof Request ? input : undefined;
    const url = parse(given ? given.url : String(input), base.href);
    // The session's cookie would not go there, but the body might hold what is nobody else's business.
    if (url.origin !== base.origin) throw invalidUse(`fetch is for ${base.origin} only, not for ${url.origin}.`);
    const headers = new Headers(init.headers ?? given?.headers);
    headers.set('X-CSRF', '1');
    const options: RequestInit = { ...init, headers, credentials: 'include' };
    const method = (init.method ?? given?.method ?? 'GET').toUpperCase();
    const signal = init.signal ?? given?.signal;
    const once = () => sendOnce(given ? new Request(given, options) : url.href, given ? undefined : options, signal);
    try {
      return await once();
    } catch (error) {
      // Only what changes nothing, once, and only where the gateway itself says when: an instance that drains, a store that fails over.
      const pause = error instanceof GatewayError && error.status === 503 ? error.retryAfter : undefined;
      if (pause === undefined || pause > LONGEST_PAUSE_S || method !== 'GET') throw error;
      await rest((pause + Math.random() / 2) * 1_000, signal);
      return await once();
    }
  };
}

function parse(address: string, base: string): URL {
  try {
    return new URL(address, base);
  } catch {
    throw invalidUse(`'${address}' is no address.`);
  }
}

async function sendOnce(
  input: string | Request,
  init: RequestInit | undefined,
  signal: AbortSignal | null | undefined,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(input, init);
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw networkError(cause);
  }
  if (!response.ok && response.headers.get('content-type')?.startsWith('application/problem+json')) {
    const problem = await readProblem(response.clone());
    // Finvera might answer in this form too: that is the caller's, as it is. So is the answer to a HEAD, which has no body.
    if (typeof problem.code === 'string' && typeof problem.request_id === 'string')
      throw gatewayError(response, problem);
  }
  return response;
}

interface Problem {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly request_id?: unknown;
}

async function readProblem(response: Response): Promise<Problem> {
  try {
    return Object(await response.json());
  } catch {
    return {};
  }
}

function gatewayError({ status, headers }: Response, { code, detail, request_id }: Problem): GatewayError {
  const retryAfter = Number(headers.get('Retry-After') ?? Number.NaN);
  return new GatewayError(code as ServerErrorCode, status, String(detail), {
    requestId: request_id as string,
    retryAfter: Number.isNaN(retryAfter) ? undefined : retryAfter,
  });
}

function rest(ms: number, signal: AbortSignal | null | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** The JSON of one of the gateway's own answers; a captive portal's page is none. */
export async function readJson<T>(response: Response): Promise<T> {
  if (!response.ok) throw unexpectedAnswer(response);
  try {
    return (await response.json()) as T;
  } catch (cause) {
    if (Object(cause).name === 'SyntaxError') throw unexpectedAnswer(response, cause);
    throw networkError(cause);
  }
}

/** Such a page must not be taken for the end of a session either. */
export function expectDone(response: Response): void {
  if (response.status !== 204) throw unexpectedAnswer(response);
}

const networkError = (cause: unknown) =>
  new GatewayError('network_error', 0, 'The gateway cannot be reached.', { cause });

const unexpectedAnswer = ({ status }: Response, cause?: unknown) =>
  new GatewayError('unexpected_answer', status, 'Something else than the gateway answered.', { cause });
