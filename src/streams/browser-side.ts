/** The browser's end of a stream: what a WebSocket handshake must be, and taking it over. It decides nothing on who may. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { CLOSE_TIMEOUT_MS } from './upstream-dial.ts';

export interface BrowserSide {
  /**
   * Answers 101 and hands the WebSocket over.
   * @param headers lines for the answer, such as `X-Request-Id: …`.
   * @returns undefined where the browser is gone.
   */
  accept(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    answer: { readonly protocol: string | undefined; readonly headers: readonly string[] },
  ): WebSocket | undefined;
}

export function createBrowserSide({ maxMessageBytes }: { readonly maxMessageBytes: number }): BrowserSide {
  const answers = new WeakMap<IncomingMessage, { protocol: string | undefined; headers: readonly string[] }>();
  const options = {
    noServer: true,
    clientTracking: false,
    maxPayload: maxMessageBytes,
    closeTimeout: CLOSE_TIMEOUT_MS,
    // Off, as towards the upstream: memory, and what compression tells of secrets (docs/streams.md).
    perMessageDeflate: false,
    handleProtocols: (_offered: Set<string>, req: IncomingMessage) => answers.get(req)?.protocol ?? false,
  };
  const server = new WebSocketServer(options);
  server.on('headers', (lines, req) => lines.push(...(answers.get(req)?.headers ?? [])));
  return {
    accept(req, socket, head, answer) {
      answers.set(req, answer);
      let accepted: WebSocket | undefined;
      server.handleUpgrade(req, socket, head, (webSocket) => {
        accepted = webSocket;
      });
      // An error without a listener would end the process; what it means is told by the close.
      accepted?.on('error', ignore);
      return accepted;
    },
  };
}

function ignore(): void {}

export type HandshakeFault = { readonly kind: 'version' } | { readonly kind: 'malformed'; readonly detail: string };

const KEY_FORM = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const TOKEN_FORM = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const MAX_PROTOCOLS = 16;

/** What RFC 6455 §4.2.1 asks of a handshake, besides the method and that there is an upgrade at all. */
export function handshakeFault(req: IncomingMessage): HandshakeFault | undefined {
  const { headers } = req;
  if (headers['sec-websocket-version'] !== '13') return { kind: 'version' };
  if (!KEY_FORM.test(headers['sec-websocket-key'] ?? ''))
    return { kind: 'malformed', detail: 'Sec-WebSocket-Key must be 16 bytes in base64.' };
  // Its bytes would be taken for frames.
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
    return { kind: 'malformed', detail: 'An upgrade has no body.' };
  if (req.httpVersion !== '1.1') return { kind: 'malformed', detail: 'An upgrade needs HTTP/1.1.' };
  if (offeredProtocols(req) === undefined)
    return { kind: 'malformed', detail: 'Sec-WebSocket-Protocol must be a list of different tokens.' };
  return undefined;
}

/** In the browser's order; undefined where the header is not a list of different tokens. */
export function offeredProtocols({ headers }: IncomingMessage): readonly string[] | undefined {
  const header = headers['sec-websocket-protocol'];
  if (header === undefined) return [];
  const names = header.split(',').map((name) => name.trim());
  const areValid = names.length <= MAX_PROTOCOLS && names.every((name) => TOKEN_FORM.test(name));
  return areValid && new Set(names).size === names.length ? names : undefined;
}
