/** Holds a source back while the browser takes nothing. It writes nothing itself. */
import type { ServerResponse } from 'node:http';

export interface PausableSource {
  pause(): void;
  resume(): void;
}

export interface ReaderPace {
  /** A write was refused: the source waits until what was written has left. */
  hold(): void;
  /** The exchange is over. */
  stop(): void;
}

/**
 * What the system has not taken yet of the write under way, as Node's own socket time-out asks it; undefined where it is
 * not to be had. `writableLength` knows only of whole writes.
 */
const unsentBytes = ({ socket }: ServerResponse): number | undefined =>
  (socket as { _handle?: { writeQueueSize?: number } } | null)?._handle?.writeQueueSize;

/** @param onStalled a reader that takes nothing for `limitMs` is gone for us: what it holds is memory. */
export function createReaderPace(
  res: ServerResponse,
  limitMs: number,
  source: PausableSource,
  onStalled: () => void,
): ReaderPace {
  let timer: NodeJS.Timeout | undefined;
  let unsent: number | undefined;
  const stop = () => clearTimeout(timer);
  const look = () => {
    // A slow reader that moves is none that stalls, though what was written has not all left.
    const left = unsentBytes(res);
    if (left === unsent) return onStalled();
    unsent = left;
    timer = setTimeout(look, limitMs);
  };
  const goOn = () => {
    stop();
    source.resume();
  };
  return {
    hold() {
      source.pause();
      // One that leaves instead must not be held by the timer.
      if (timer === undefined) res.once('close', stop);
      unsent = unsentBytes(res);
      timer = setTimeout(look, limitMs);
      res.once('drain', goOn);
    },
    stop,
  };
}
