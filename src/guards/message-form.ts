/** What Node's parser lets through although RFC 9112 does not: refused before anything is decided on it. Pure. */
import type { IncomingMessage } from 'node:http';
import type { ErrorKind } from '../kernel/errors.ts';
import { hasBeenHere } from '../kernel/via.ts';

const HOST_FORM = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._~-]{1,255})(?::\d{1,5})?$/i;
const MAX_HEADER_PAIRS = 200;
/** Target and header fields together: as much as common servers read. */
export const MAX_HEAD_BYTES = 16 * 1024;

/** True for a host with or without a port, as a Host field may hold it. */
export const isHost = (text: string): boolean => HOST_FORM.test(text);

export interface FormFault {
  readonly kind: ErrorKind;
  readonly detail: string;
}

/** Counted on the raw headers: Node keeps the first of two Hosts and joins or drops other twins (N0-3, N0-4, N0-7, N0-8). */
export function formFault(req: IncomingMessage): FormFault | undefined {
  const { rawHeaders } = req;
  // Without a version there are no header fields (RFC 1945 §3.1), but Node reads them all the same.
  if (req.httpVersion === '0.9') return { kind: 'invalid_request', detail: 'HTTP/1.1 is spoken here.' };
  let headBytes = req.url?.length ?? 0;
  if (headBytes > MAX_HEAD_BYTES) return { kind: 'uri_too_long', detail: 'The request target is too long.' };
  if (rawHeaders.length > MAX_HEADER_PAIRS * 2)
    return { kind: 'headers_too_large', detail: 'There are too many header fields.' };
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    headBytes += name.length + (rawHeaders[i + 1] as string).length + 4; // the colon, the blank, the line's end
    if (name.length === 4 && name.toLowerCase() === 'host') {
      hosts += 1;
      if (!isHost(rawHeaders[i + 1] as string)) return { kind: 'invalid_request', detail: 'The Host is not valid.' };
    }
  }
  if (headBytes > MAX_HEAD_BYTES) return { kind: 'headers_too_large', detail: 'The header fields are too large.' };
  if (hosts > 1 || (hosts === 0 && req.httpVersion === '1.1')) {
    return { kind: 'invalid_request', detail: 'There must be exactly one Host.' };
  }
  const coding = req.headers['transfer-encoding'];
  if (coding !== undefined && req.httpVersion !== '1.1') {
    return { kind: 'invalid_request', detail: 'Transfer-Encoding needs HTTP/1.1.' };
  }
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    return { kind: 'not_implemented', detail: 'Only the transfer coding chunked is understood.' };
  }
  const { expect, via } = req.headers;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    return { kind: 'expectation_failed', detail: 'Only 100-continue is understood.' };
  }
  // An upstream address that leads back here would send each request round for ever (RFC 9110 §7.6).
  if (via !== undefined && hasBeenHere(via)) {
    return { kind: 'loop_detected', detail: 'The request has been through this gateway before.' };
  }
  return undefined;
}
