/** Tells a peer that is there from one that only seems to be. It closes nothing. */
import type { WebSocket } from 'ws';

/**
 * Pings, and gives a peer up that stays silent from one ping to the next.
 * @param isUnread true while nobody reads the peer, so that its silence means nothing.
 */
export function keepBeating(socket: WebSocket, everyMs: number, isUnread: () => boolean, onSilent: () => void) {
  let isAlive = true;
  const hear = () => {
    isAlive = true;
  };
  socket.on('pong', hear);
  socket.on('ping', hear);
  socket.on('message', hear);
  let wasUnread = false;
  const timer = setInterval(() => {
    if (!isAlive && !wasUnread && !isUnread()) return onSilent();
    wasUnread = isUnread();
    isAlive = false;
    socket.ping();
  }, everyMs);
  return { stop: () => clearInterval(timer) };
}
