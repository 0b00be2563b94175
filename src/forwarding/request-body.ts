/**
 * A client's request body on its way to the upstream: counted against its limit while it streams, watched for a client
 * that stalls, and remembered while it is small, so that the request can be sent once more. Buffers nothing else.
 */
import type { IncomingMessage } from 'node:http';
import { Transform } from 'node:stream';
import { GatewayError } from '../kernel/errors.ts';
import { countSpent, LARGE_BODY_BYTES } from './spent-buffers.ts';

/** What is remembered for a replay (contract §5). */
export const MAX_REPLAY_BYTES = 64 * 1024;

export interface RequestBodyOptions {
  readonly maxBytes: number;
  /** The longest time without a byte moving. */
  readonly idleTimeoutMs: number;
  /** Called when the first byte is wanted: where the client waits with `Expect: 100-continue`, it is told to go on. */
  readonly onWanted?: () => void;
}

export interface RequestBody {
  /** To send now; a stream can be sent once. */
  readonly stream: Transform;
  /** The announced length in bytes, or undefined for a chunked body. */
  readonly length: number | undefined;
  /** The whole body, if it has ended and was small; undefined: it cannot be sent again. */
  replay(): Buffer | undefined;
}

/** True where the message has a body by its framing (RFC 9112 §6.3), whatever the method. */
export function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/** @throws GatewayError `body_too_large` where the announced length is over the limit already. */
export function takeRequestBody(req: IncomingMessage, options: RequestBodyOptions): RequestBody {
  const { maxBytes, idleTimeoutMs, onWanted } = options;
  const announced = req.headers['content-length'];
  const length = announced === undefined ? undefined : Number(announced);
  if (length !== undefined && length > maxBytes) throw new GatewayError('body_too_large');
  let kept: Buffer[] | undefined = [];
  let bytes = 0;
  let whole = false;

  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      timer.refresh();
      bytes += chunk.length;
      if (bytes > maxBytes) return done(new GatewayError('body_too_large'));
      if (bytes > MAX_REPLAY_BYTES) kept = undefined;
      else kept?.push(chunk);
      if (bytes > LARGE_BODY_BYTES) countSpent(chunk.length);
      done(null, chunk);
    },
    flush(done) {
      whole = true;
      clearTimeout(timer);
      done();
    },
  });
  const timer = setTimeout(() => {
    // Full on the side to the upstream: it is the upstream that does not read, not the client that does not send.
    stream.destroy(new GatewayError(stream.writableNeedDrain ? 'upstream_timeout' : 'request_timeout'));
  }, idleTimeoutMs);
  timer.unref();
  stream.on('close', () => clearTimeout(timer));
  // Without a listener an early failure would end the process; who sends the stream hears of it too.
  stream.on('error', () => undefined);
  req.on('error', (cause) => stream.destroy(cause));
  onWanted?.();
  req.pipe(stream);
  return { stream, length, replay: () => (whole && kept ? Buffer.concat(kept) : undefined) };
}
