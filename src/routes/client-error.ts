/** Answers what Node's parser refuses before there is a request: bytes on a socket, with problem+json like every error. */
import { randomUUID } from 'node:crypto';
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ErrorKind, GatewayError } from '../kernel/errors.ts';

const KINDS: Readonly<Record<string, ErrorKind>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** Of a target that came in one packet, and that no head is read for any more. */
const ENDLESS_TARGET = /^[A-Z]{3,10} [^\s]{16384}/;

function kindOf({ code, rawPacket }: ClientError): ErrorKind {
  if (code === 'HPE_HEADER_OVERFLOW' && rawPacket && ENDLESS_TARGET.test(rawPacket.toString('latin1')))
    return 'uri_too_long';
  return KINDS[code ?? ''] ?? 'invalid_request';
}

/** What Node tells of bytes that it cannot read; the packet is the last one only. */
type ClientError = Error & { readonly code?: string; readonly rawPacket?: Buffer };

/** @returns the status that was answered, or undefined where nobody is there to read one. */
export function answerClientError(error: ClientError, socket: Duplex): number | undefined {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return undefined;
  }
  const earlier = answerUnderWay(socket);
  if (earlier) {
    // A second answer would be taken for the body of the first, or for the answer to another request.
    if (earlier.writableEnded) socket.end(() => socket.destroy());
    else socket.destroy();
    return undefined;
  }
  const { kind, status } = refuseSocket(new GatewayError(kindOf(error)), socket);
  return kind === 'internal_error' ? undefined : status;
}

/**
 * The answer that has begun, or that an earlier request of a pipelining client waits for. Node's own handler looks at
 * the same property; there is no public one.
 */
function answerUnderWay(socket: Duplex): ServerResponse | undefined {
  const answer = (socket as { readonly _httpMessage?: ServerResponse | null })._httpMessage;
  return answer && (answer.headersSent || answer.req.complete) ? answer : undefined;
}

/** Writes an error as a whole HTTP response and closes: also for upgrades, which have no response object. */
export function refuseSocket(error: GatewayError, socket: Duplex): GatewayError {
  const title = STATUS_CODES[error.status] ?? 'Error';
  const requestId = randomUUID();
  const body = JSON.stringify({
    type: 'about:blank',
    title,
    status: error.status,
    detail: error.detail,
    code: error.code,
    request_id: requestId,
    error: { code: error.status, message: title, details: error.detail },
  });
  const head = [
    `HTTP/1.1 ${error.status} ${title}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ].join('\r\n');
  socket.on('error', () => socket.destroy());
  socket.end(`${head}\r\n\r\n${body}`, () => socket.destroy());
  return error;
}
