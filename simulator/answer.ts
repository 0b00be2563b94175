// What the simulator answers, and how an answer is put on the wire. Decides nothing: which answer is given is settled elsewhere.
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A body made while it is sent; its reader sets the pace. */
export interface StreamedBody {
  readonly byteLength: number;
  /** `true`: Transfer-Encoding chunked instead of a Content-Length. */
  readonly chunked: boolean;
  readonly chunks: () => AsyncGenerator<Uint8Array, void, undefined>;
}

/** A whole HTTP answer before it is sent. */
export interface Answer {
  readonly status: number;
  /** Names and values in turn, as they go out; framing headers are added on sending. */
  readonly headers: readonly string[];
  readonly body: Uint8Array | StreamedBody;
}

/** An answer with a JSON body. */
export function jsonAnswer(status: number, value: unknown, headers: readonly string[] = []): Answer {
  return {
    status,
    headers: ['Content-Type', 'application/json', ...headers],
    body: Buffer.from(JSON.stringify(value)),
  };
}

/** An answer in Finvera's documented error format. */
export function errorAnswer(status: number, message: string, details: string, headers: readonly string[] = []): Answer {
  return jsonAnswer(status, { error: { code: status, message, details } }, headers);
}

const NO_BODY = new Set([204, 304]);

function framing(answer: Answer): string[] {
  if (NO_BODY.has(answer.status)) return [];
  const isStreamed = 'chunks' in answer.body;
  if (isStreamed && (answer.body as StreamedBody).chunked) return ['Transfer-Encoding', 'chunked'];
  return ['Content-Length', String(answer.body.byteLength)];
}

function writeHead(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, [...answer.headers, ...framing(answer)]);
}

/** The head of an answer for a connection that no response belongs to; the connection ends with it. */
export function sendableHead({ status, headers, body }: Answer): string {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}`];
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`);
  return `${lines.join('\r\n')}\r\nContent-Length: ${body.byteLength}\r\nConnection: close\r\n\r\n`;
}

/**
 * Sends an answer. Buffered bodies leave at once; streamed ones resolve when the reader has everything or has gone.
 * A client that leaves is no error here.
 */
export function sendAnswer(response: ServerResponse, answer: Answer): Promise<void> | undefined {
  writeHead(response, answer);
  const isHead = response.req.method === 'HEAD';
  if (!('chunks' in answer.body)) {
    if (isHead || NO_BODY.has(answer.status)) response.end();
    else response.end(answer.body);
    return undefined;
  }
  if (isHead) {
    response.end();
    return undefined;
  }
  // The reader learns of the answer before the first byte of a slow body.
  response.flushHeaders();
  return pipeline(Readable.from(answer.body.chunks()), response).catch(() => {});
}

/** Sends the head (whole length announced) and the first half of the body, and leaves the connection open. */
export async function sendHalf(response: ServerResponse, answer: Answer): Promise<void> {
  writeHead(response, answer);
  const half = Math.floor(answer.body.byteLength / 2);
  const chunks = 'chunks' in answer.body ? answer.body.chunks() : whole(answer.body);
  try {
    await pipeline(Readable.from(firstBytes(chunks, half)), response, { end: false });
    await new Promise<void>((resolve) => response.write(Buffer.alloc(0), () => resolve()));
  } catch {
    // The client has gone: there is nobody left to send the half to.
  }
}

async function* whole(body: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield body;
}

async function* firstBytes(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  count: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = count;
  for await (const chunk of chunks) {
    if (left === 0) return;
    const part = chunk.subarray(0, left);
    left -= part.byteLength;
    yield part;
  }
}
