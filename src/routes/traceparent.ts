/** The W3C trace context of a request: what came along, or one of its own. */
import type { IncomingMessage } from 'node:http';

/** https://www.w3.org/TR/trace-context/#traceparent-header */
const FORM = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Undefined where there is none, or one that is not valid. */
export function readTraceparent({ headers }: IncomingMessage): string | undefined {
  const sent = headers.traceparent;
  return typeof sent === 'string' && FORM.test(sent) ? sent : undefined;
}

/**
 * Not recorded anywhere here. @param uuid random, such as the request's id: one source of chance serves both, and who has
 * the one finds the other.
 */
export function newTraceparent(uuid: string): string {
  const end = uuid.slice(19, 23) + uuid.slice(24);
  return `00-${uuid.slice(0, 8)}${uuid.slice(9, 13)}${uuid.slice(14, 18)}${end}-${end}-00`;
}
