/** Sends a body that streams: counted or in chunks (RFC 9112 §7.1), with back-pressure. It reads nothing of the answer. */
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';

export interface BodySending {
  /** Nothing more is written, and nothing more read of the body, which is destroyed unless it has ended. */
  stop(): void;
}

/**
 * @param head goes out with the first bytes: a client that sends none must not hold an upstream connection busy.
 * @param length bytes, as the head says; undefined: chunks.
 * @param onSent once all is handed to the socket.
 * @param onFailed the body broke off, or is not as long as the head says. What was sent is no request then.
 */
export function sendBody(
  socket: Socket,
  head: string,
  body: Readable,
  length: number | undefined,
  onSent: () => void,
  onFailed: (cause: unknown) => void,
): BodySending {
  let unsentHead = head;
  let sent = 0;
  let isOver = false;
  const writeHead = () => {
    if (unsentHead !== '') socket.write(unsentHead, 'latin1');
    unsentHead = '';
  };
  const goOn = () => body.resume();
  const close = (): boolean => {
    if (isOver) return false;
    isOver = true;
    body.off('data', onData).off('end', onEnd).off('close', onClose);
    socket.off('drain', goOn);
    return true;
  };
  const fail = (cause: unknown) => {
    if (close()) onFailed(cause);
  };
  const onData = (chunk: Buffer) => {
    if (chunk.length === 0) return;
    sent += chunk.length;
    if (length !== undefined && sent > length) return fail(new TypeError('The body is longer than announced.'));
    socket.cork();
    writeHead();
    if (length === undefined) socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    if (length === undefined) socket.write('\r\n', 'latin1');
    socket.uncork();
    if (socket.writableNeedDrain) body.pause();
  };
  const onEnd = () => {
    if (length !== undefined && sent < length) return fail(new TypeError('The body is shorter than announced.'));
    if (!close()) return;
    writeHead();
    if (length === undefined) socket.write('0\r\n\r\n', 'latin1');
    onSent();
  };
  const onClose = () => fail(body.errored ?? new TypeError('The body ended before its end.'));
  // An error is told by the close that follows it; without a listener it would end the process.
  body.on('error', () => undefined);
  body.on('data', onData).on('end', onEnd).on('close', onClose);
  socket.on('drain', goOn);
  if (body.destroyed) queueMicrotask(onClose);
  return {
    stop() {
      if (close()) body.destroy();
    },
  };
}
