/** An error as RFC 9457 tells it, with Finvera's `error` member for clients that read its format. The body only, not the answer. */
import { STATUS_CODES } from 'node:http';
import type { GatewayError } from './errors.ts';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export function problemBody({ status, code, detail }: GatewayError, requestId: string): string {
  const title = STATUS_CODES[status] ?? 'Error';
  return JSON.stringify({
    type: 'about:blank',
    title,
    status,
    detail,
    code,
    request_id: requestId,
    error: { code: status, message: title, details: detail },
  });
}
