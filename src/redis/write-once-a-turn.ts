import type { Writable } from 'node:stream';

/**
 * Commands of one turn of the event loop go to Redis in one write, whichever requests they are of: a system call each would
 * cost more than the command itself. Nothing waits longer than the turn it was written in.
 */
export function writeOnceATurn(socket: Writable): void {
  const write = socket.write;
  let isHeld = false;
  const letGo = () => {
    isHeld = false;
    socket.uncork();
  };
  socket.write = function writeHeld(...args: unknown[]) {
    if (!isHeld) {
      isHeld = true;
      socket.cork();
      setImmediate(letGo);
    }
    return Reflect.apply(write, socket, args);
  } as typeof write;
}
