/** One browser's WebSocket as the hub's reader: what it says and is told, how long it may be slow, and its end. It knows no session. */
import type { RawData, WebSocket } from 'ws';
import { CLOSE, codeOfInputError } from './close-codes.ts';
import { keepBeating } from './heartbeat.ts';
import type { HubMember, HubReader } from './stream-hub.ts';
import type { Closing, OpenStream, TunnelLimits, TunnelListener } from './stream-tunnel.ts';

const TEXT = { binary: false } as const;

/** Takes a browser in. A reader that is too slow is closed with 1013, and nobody else waits for it. */
export function openHubStream(
  browser: WebSocket,
  join: (reader: HubReader) => HubMember,
  limits: TunnelLimits,
  listener: TunnelListener,
): OpenStream {
  let closing: Closing | undefined;
  const slowness = watchSlowness(browser, limits.stallMs, () => end(CLOSE.tooSlow, 'too slow'));

  const begin = (code: number, by: Closing['by']): boolean => {
    if (closing) return false;
    closing = { code, by };
    slowness.stop();
    heart.stop();
    member.leave();
    return true;
  };
  const end = (code: number, reason: string) => {
    if (begin(code, 'gateway')) browser.close(code, reason);
  };
  const send = (text: Buffer) => {
    if (closing || browser.readyState !== browser.OPEN) return;
    if (browser.bufferedAmount > limits.maxBufferedBytes) return end(CLOSE.tooSlow, 'too slow');
    browser.send(text, TEXT);
    listener.onMessage('out', text.length);
    slowness.sent(text.length);
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
  const member = join({ send });
  return { end, terminate: () => browser.terminate() };
}

/**
 * Tells of a reader that has something waiting and takes none of it for so long. It looks only while something waits, and
 * asks for no callback of each message: that would cost more than all else that is done for one.
 */
function watchSlowness(browser: WebSocket, stallMs: number, onStalled: () => void) {
  let timer: NodeJS.Timeout | undefined;
  let sentBytes = 0;
  let takenBytes = 0;
  const look = () => {
    timer = undefined;
    // What waits has headers that `sentBytes` has not: more of them make it look like less taken, never like more.
    const taken = sentBytes - browser.bufferedAmount;
    if (browser.bufferedAmount === 0) return;
    if (taken <= takenBytes) onStalled();
    else wait(taken);
  };
  const wait = (taken: number) => {
    takenBytes = taken;
    timer = setTimeout(look, stallMs);
  };
  return {
    sent(bytes: number): void {
      sentBytes += bytes;
      if (timer === undefined && browser.bufferedAmount > 0) wait(sentBytes - browser.bufferedAmount);
    },
    stop: () => clearTimeout(timer),
  };
}
