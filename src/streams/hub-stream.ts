/** One browser's WebSocket as the hub's reader: what it says and is told, how long it may be slow, and its end. It knows no session. */
import type { RawData, WebSocket } from 'ws';
import { CLOSE, codeOfInputError } from './close-codes.ts';
import { keepBeating } from './heartbeat.ts';
import type { StreamHub } from './stream-hub.ts';
import type { Closing, OpenStream, TunnelLimits, TunnelListener } from './stream-tunnel.ts';

/** Takes a browser in. A reader that is too slow is closed with 1013, and nobody else waits for it. */
export function openHubStream(
  browser: WebSocket,
  hub: Pick<StreamHub, 'join'>,
  limits: TunnelLimits,
  listener: TunnelListener,
): OpenStream {
  let closing: Closing | undefined;
  let stalled: NodeJS.Timeout | undefined;

  const begin = (code: number, by: Closing['by']): boolean => {
    if (closing) return false;
    closing = { code, by };
    clearTimeout(stalled);
    heart.stop();
    member.leave();
    return true;
  };
  const end = (code: number, reason: string) => {
    if (begin(code, 'gateway')) browser.close(code, reason);
  };
  /** Something left: one function for all messages. */
  const onFlushed = () => {
    if (stalled === undefined || closing) return;
    if (browser.bufferedAmount > 0) stalled.refresh();
    else {
      clearTimeout(stalled);
      stalled = undefined;
    }
  };
  const send = (text: Buffer) => {
    if (closing || browser.readyState !== browser.OPEN) return;
    if (browser.bufferedAmount > limits.maxBufferedBytes) return end(CLOSE.tooSlow, 'too slow');
    browser.send(text, { binary: false }, onFlushed);
    listener.onMessage('out', text.length);
    if (browser.bufferedAmount > 0) stalled ??= setTimeout(() => end(CLOSE.tooSlow, 'too slow'), limits.stallMs);
  };
  const heart = keepBeating(
    browser,
    limits.heartbeatMs,
    () => false,
    () => browser.terminate(),
  );
  browser.on('error', (error: Error & { code?: string }) => {
    const code = codeOfInputError(error);
    if (code !== undefined) begin(code, 'gateway');
  });
  browser.once('close', (code) => {
    begin(code, 'browser');
    listener.onClosed(closing ?? { code, by: 'browser' });
  });
  browser.on('message', (data: RawData, isBinary: boolean) => {
    if (closing) return;
    const bytes = data as Buffer;
    listener.onActivity();
    listener.onMessage('in', bytes.length);
    member.receive(bytes, isBinary);
  });
  const member = hub.join({ send });
  return { end, terminate: () => browser.terminate() };
}
