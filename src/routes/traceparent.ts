/** The W3C trace context of a request: what came along, or one of its own. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const FORM = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Undefined where there is none, or one that is not valid. */
export function readTraceparent({ headers }: IncomingMessage): string | undefined {
  const sent = headers.traceparent;
  return typeof sent === 'string' && FORM.test(sent) ? sent : undefined;
}

/** Not recorded anywhere here. */
export function newTraceparent(): string {
  const id = randomUUID().replaceAll('-', '');
  return `00-${id}-${id.slice(16)}-00`;
}
