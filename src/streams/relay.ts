/**
 * Passes the messages of one WebSocket on to another, with back-pressure: the source is not read while the sink has too
 * much waiting. What waits is bounded, and a sink that takes nothing for too long is told of. It closes neither.
 */
import type { RawData, WebSocket } from 'ws';

export interface RelayLimits {
  /** What may wait before one more message is too much. */
  readonly maxBufferedBytes: number;
  /** How long something may wait without a message leaving. */
  readonly stallMs: number;
}

export interface RelayListener {
  onMessage(bytes: number): void;
  /** The sink is too slow: told once. */
  onTooSlow(): void;
}

export interface Relay {
  /** True while the source is not read: whoever expects an answer of it has to wait. */
  isPaused(): boolean;
  stop(): void;
}

/** From here on the source waits. Low: many streams may be slow at the same time. */
const PAUSE_BYTES = 64 * 1024;
const RESUME_BYTES = 16 * 1024;

export function relay(source: WebSocket, sink: WebSocket, limits: RelayLimits, listener: RelayListener): Relay {
  let isPaused = false;
  let isStopped = false;
  let stalled: NodeJS.Timeout | undefined;

  const tooSlow = () => {
    if (isStopped) return;
    stop();
    listener.onTooSlow();
  };
  const pause = () => {
    isPaused = true;
    source.pause();
    stalled = setTimeout(tooSlow, limits.stallMs);
  };
  const resume = () => {
    isPaused = false;
    clearTimeout(stalled);
    source.resume();
  };
  const onFlushed = () => {
    if (!isPaused || isStopped) return;
    if (sink.bufferedAmount <= RESUME_BYTES) resume();
    else stalled?.refresh();
  };
  const onMessage = (data: RawData, isBinary: boolean) => {
    if (isStopped || sink.readyState !== sink.OPEN) return;
    // What came in one read is passed on even while the source is paused: here is where that ends.
    if (sink.bufferedAmount > limits.maxBufferedBytes) return tooSlow();
    const bytes = (data as Buffer).length;
    listener.onMessage(bytes);
    sink.send(data, { binary: isBinary }, onFlushed);
    if (!isPaused && sink.bufferedAmount > PAUSE_BYTES) pause();
  };
  const stop = () => {
    isStopped = true;
    clearTimeout(stalled);
    source.off('message', onMessage);
    // A closing handshake is only heard by who reads.
    if (isPaused) source.resume();
    isPaused = false;
  };

  source.on('message', onMessage);
  return { isPaused: () => isPaused, stop };
}
