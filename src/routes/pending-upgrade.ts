/** An upgrade on its way through the pipeline: the same guards as for every request, then it is taken over or refused as HTTP. */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface PendingUpgrade {
  readonly socket: Duplex;
  /** What came after the request's head. */
  readonly head: Buffer;
  /** Ends what belongs to HTTP: from now on the socket is the caller's. */
  detach(): void;
}

const pending = new WeakMap<IncomingMessage, PendingUpgrade>();

/** @returns the upgrade that came with the request, if one did. */
export const upgradeOf = (req: IncomingMessage): PendingUpgrade | undefined => pending.get(req);

/** Runs a request that wants to upgrade through the pipeline: what answers it closes the connection. */
export function serveUpgrade(
  app: (req: IncomingMessage, res: ServerResponse) => void,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const res = new ServerResponse(req);
  res.shouldKeepAlive = false;
  socket.on('error', destroySelf);
  try {
    res.assignSocket(socket as Socket);
  } catch {
    // A pipelining client still waits for an earlier answer: what is written now would be taken for that.
    socket.destroy();
    return;
  }
  const release = () => {
    res.detachSocket(socket as Socket);
    tellClosed(res);
  };
  res.once('finish', () => {
    release();
    // What the client sent on in the belief of a tunnel is read by nobody.
    socket.end(() => socket.destroy());
  });
  pending.set(req, { socket, head, detach: release });
  app(req, res);
}

/** Lasts as long as the stream, so it is no closure: one in `serveUpgrade` would keep request and answer as long, too. */
function destroySelf(this: Duplex): void {
  this.destroy();
}

/** As Node does after an answer: whoever keeps books of it hears that it is over. */
function tellClosed(res: ServerResponse): void {
  res.destroyed = true;
  res.emit('close');
}
