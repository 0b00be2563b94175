// A WebSocket client with next to nothing to it, for loads that a full one would spend more time on than who is measured.
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Socket } from 'node:net';

export interface BareWebSocket {
  readonly socket: Socket;
  /** Up to 125 bytes. */
  send(text: string): void;
}

export interface BareListener {
  /** Whole text messages; fragments are not understood. */
  onText(text: string): void;
  /** 1006 where the connection broke without a close frame. */
  onClose(code: number): void;
}

const TEXT = 0x81;
const CLOSE = 0x88;
const PING = 0x89;
const PONG = 0x8a;
const NO_MASK = Buffer.alloc(4);

/** @throws where the answer is not 101 */
export function openBareWebSocket(
  url: string,
  headers: Readonly<Record<string, string>>,
  listener: BareListener,
): Promise<BareWebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<BareWebSocket>();
  const asked = request(url, {
    agent: false,
    headers: {
      ...headers,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    },
  });
  asked.on('error', reject);
  asked.on('response', ({ statusCode }) => reject(new Error(`${url} answers ${statusCode}`)));
  asked.on('upgrade', (_response, socket: Socket, head) => {
    let code = 1006;
    const read = createFrameReader((opcode, payload) => {
      if (opcode === TEXT) listener.onText(payload.toString('latin1'));
      if (opcode === PING) socket.write(frame(PONG, payload));
      if (opcode !== CLOSE) return;
      code = payload.readUInt16BE(0);
      socket.end(frame(CLOSE, payload));
    });
    socket.on('error', () => undefined);
    socket.on('close', () => listener.onClose(code));
    socket.on('data', read);
    if (head.length > 0) read(head);
    resolve({ socket, send: (text) => void socket.write(frame(TEXT, Buffer.from(text))) });
  });
  asked.end();
  return promise;
}

/** Clients mask (RFC 6455 §5.3); with zeros the payload stays as it is. */
function frame(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([opcode, 0x80 | payload.length]), NO_MASK, payload]);
}

function createFrameReader(onFrame: (opcode: number, payload: Buffer) => void) {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk: Buffer): void => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const size = sizeAt(bytes, at);
      if (size === undefined || at + size.header + size.payload > bytes.length) break;
      const start = at + size.header;
      const end = start + size.payload;
      onFrame(bytes[at] as number, bytes.subarray(start, end));
      at = end;
    }
    rest = bytes.subarray(at);
  };
}

/** Servers do not mask. Undefined where the header is not whole yet. */
function sizeAt(bytes: Buffer, at: number): { readonly header: number; readonly payload: number } | undefined {
  if (bytes.length < at + 2) return undefined;
  const length = bytes[at + 1] as number;
  if (length < 126) return { header: 2, payload: length };
  if (length === 126) return bytes.length < at + 4 ? undefined : { header: 4, payload: bytes.readUInt16BE(at + 2) };
  return bytes.length < at + 10 ? undefined : { header: 10, payload: Number(bytes.readBigUInt64BE(at + 2)) };
}
