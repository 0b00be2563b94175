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

/** @param onStalled a reader that takes nothing for `limitMs` is gone for us: what it holds is memory. */
export function createReaderPace(
  res: ServerResponse,
  limitMs: number,
  source: PausableSource,
  onStalled: () => void,
): ReaderPace {
  let timer: NodeJS.Timeout | undefined;
  const stop = () => clearTimeout(timer);
  const goOn = () => {
    stop();
    source.resume();
  };
  return {
    hold() {
      source.pause();
      // One that leaves instead must not be held by the timer.
      if (timer === undefined) res.once('close', stop);
      timer = setTimeout(onStalled, limitMs);
      res.once('drain', goOn);
    },
    stop,
  };
}
