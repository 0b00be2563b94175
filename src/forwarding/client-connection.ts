/**
 * Tells when a client's connection is gone, for every response on it. With HTTP/1.1 pipelining Node tells only the
 * response at the head of the queue; the requests behind it would go on at the upstream unread.
 */
import type { Socket } from 'node:net';
import { createPlaceList, NOWHERE, type Placed, type PlaceList } from '../kernel/place-list.ts';

interface Listener extends Placed {
  readonly onGone: () => void;
}

const LISTENERS = Symbol('listeners');

/** On the socket itself: a look into a WeakMap would cost more than all the rest. */
interface Watched {
  [LISTENERS]?: PlaceList<Listener>;
}

const listenersOf = (socket: Socket): PlaceList<Listener> | undefined => (socket as Watched)[LISTENERS];

/** Of one connection: a single pipelining client would take the upstream's connections from all others. */
const MAX_PIPELINED = 16;

/** More than one request of a connection is waited for only where the client pipelines. */
export const isPipeliningTooMuch = (socket: Socket): boolean => (listenersOf(socket)?.size ?? 0) >= MAX_PIPELINED;

/** Calls `onGone` once if the socket closes before the returned function is called. */
export function whenGone(socket: Socket, onGone: () => void): () => void {
  if (socket.destroyed) {
    queueMicrotask(onGone);
    return () => undefined;
  }
  let waiting = listenersOf(socket);
  if (!waiting) {
    waiting = createPlaceList();
    (socket as Watched)[LISTENERS] = waiting;
    const all = waiting;
    socket.once('close', () => {
      all.visitAll(({ onGone: tell }) => tell());
      all.clear();
    });
  }
  const ours = waiting;
  const listener = { place: NOWHERE, onGone };
  ours.add(listener);
  return () => ours.delete(listener);
}
