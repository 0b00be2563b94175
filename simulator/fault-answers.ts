// The answers that faults put in place of good ones, or make of them. Touches no socket.
import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import { LOGIN_MESSAGE, REFRESH_MESSAGE, unauthorized } from './auth-calls.ts';
import { rateLimited } from './data-calls.ts';
import type { FaultSpec } from './faults.ts';
import type { Received } from './received.ts';

const HTML = '<!doctype html><html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>';
const HALF_JSON = '{"message":"Authentication succ';

/**
 * The answer a fault gives instead. `good` is the answer the call gave where it took effect: then an unusable body
 * (`malformed_json`, `html`, `empty`) comes with that answer's status and headers, token cookies included.
 */
export function replacementAnswer(spec: FaultSpec, received: Received, good: Answer | undefined): Answer {
  switch (spec.fault) {
    case 'malformed_json':
      return unusable(spec, good, 'application/json', HALF_JSON);
    case 'html':
      return unusable(spec, good, 'text/html', HTML);
    case 'empty':
      return unusable(spec, good, 'application/json', '');
    case 'no_tokens':
      return withoutTokens(received);
    case 'rate_limited':
      return rateLimited(spec.retryAfter === undefined ? 1 : spec.retryAfter);
    case 'unauthorized':
      return unauthorized('Access token refused');
    case 'redirect':
      return redirect(spec, received);
    default:
      return statusAnswer(spec);
  }
}

/** An answer with the headers that faults add to it. */
export function withHeaders(answer: Answer, specs: readonly FaultSpec[]): Answer {
  let headers = answer.headers;
  for (const { headers: added = {} } of specs) {
    for (const [name, value] of Object.entries(added)) {
      if (name.toLowerCase() !== 'set-cookie') headers = without(headers, name);
      headers = [...headers, ...[value].flat().flatMap((one) => [name, one])];
    }
  }
  return { ...answer, headers };
}

function without(headers: readonly string[], name: string): string[] {
  const wanted = name.toLowerCase();
  return headers.filter((_, index) => headers[index - (index % 2)]?.toLowerCase() !== wanted);
}

function unusable(spec: FaultSpec, good: Answer | undefined, type: string, text: string): Answer {
  const headers = good === undefined ? [] : without(good.headers, 'content-type');
  return {
    status: spec.status ?? good?.status ?? 200,
    headers: ['Content-Type', type, ...headers],
    body: Buffer.from(spec.body ?? text),
  };
}

function withoutTokens({ call }: Received): Answer {
  if (call === 'token') return jsonAnswer(200, { message: LOGIN_MESSAGE, expires_in: 3600 });
  if (call === 'refresh') return jsonAnswer(200, { message: REFRESH_MESSAGE, expires_in: 3600 });
  return jsonAnswer(200, {});
}

function redirect(spec: FaultSpec, { request }: Received): Answer {
  const location = spec.location ?? `http://${request.headers.host ?? 'localhost'}/delivery/api/v1/events?redirected=1`;
  return { status: spec.status ?? 302, headers: ['Location', location], body: Buffer.from(spec.body ?? '') };
}

function statusAnswer(spec: FaultSpec): Answer {
  const status = spec.status ?? 503;
  const headers =
    spec.retryAfter === undefined || spec.retryAfter === null ? [] : ['Retry-After', String(spec.retryAfter)];
  if (spec.body !== undefined) {
    return { status, headers: ['Content-Type', 'application/json', ...headers], body: Buffer.from(spec.body) };
  }
  return errorAnswer(status, `Status ${status}`, 'A fault was asked for', headers);
}
