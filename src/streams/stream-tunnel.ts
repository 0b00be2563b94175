/**
 * One browser's WebSocket and the upstream's, each other's ends: messages, close codes, back-pressure and heartbeats. It
 * knows no session: it is told to end, and tells of what the user does.
 */
import type { WebSocket } from 'ws';
import { CLOSE, codeForBrowser, codeForUpstream, codeOfInputError, isSendable } from './close-codes.ts';
import { keepBeating } from './heartbeat.ts';
import { type RelayLimits, relay } from './relay.ts';

export interface TunnelLimits extends RelayLimits {
  readonly heartbeatMs: number;
}

export interface TunnelListener {
  /** The browser sent a message. */
  onActivity(): void;
  /** Both ways, as they pass. */
  onMessage(direction: Direction, bytes: number): void;
  /** The browser's side is closed; called once. */
  onClosed(closing: Closing): void;
}

/** `in` from the browser, `out` to it. */
export type Direction = 'in' | 'out';

export interface Closing {
  /** As the browser saw it, or as the browser said it; 1006 where the connection broke. */
  readonly code: number;
  readonly by: 'browser' | 'upstream' | 'gateway';
}

export interface OpenStream {
  /** Closes the browser's side with this code and cuts the upstream's. Safe to call again. */
  end(code: number, reason: string): void;
  /** Without a closing handshake. */
  terminate(): void;
}

/** @param upstream open and paused. */
export function openTunnel(
  browser: WebSocket,
  upstream: WebSocket,
  limits: TunnelLimits,
  listener: TunnelListener,
): OpenStream {
  let closing: Closing | undefined;

  const begin = (code: number, by: Closing['by']): boolean => {
    if (closing) return false;
    closing = { code, by };
    stopHearts();
    toUpstream.stop();
    toBrowser.stop();
    return true;
  };
  const end = (code: number, reason: string) => {
    if (!begin(code, 'gateway')) return;
    browser.close(code, reason);
    upstream.terminate();
  };
  const toUpstream = relay(browser, upstream, limits, {
    onMessage(bytes) {
      listener.onActivity();
      listener.onMessage('in', bytes);
    },
    onTooSlow: () => end(CLOSE.upstreamFailed, 'upstream too slow'),
  });
  const toBrowser = relay(upstream, browser, limits, {
    onMessage: (bytes) => listener.onMessage('out', bytes),
    onTooSlow: () => end(CLOSE.tooSlow, 'too slow'),
  });
  const browserHeart = keepBeating(browser, limits.heartbeatMs, toUpstream.isPaused, () => browser.terminate());
  const upstreamHeart = keepBeating(upstream, limits.heartbeatMs, toBrowser.isPaused, () =>
    end(CLOSE.upstreamFailed, 'upstream silent'),
  );
  function stopHearts(): void {
    browserHeart.stop();
    upstreamHeart.stop();
  }

  // What is not valid: ws itself closes that side with the right code, and the other side must hear of it.
  browser.on('error', (error: Error & { code?: string }) => {
    const code = codeOfInputError(error);
    if (code !== undefined && begin(code, 'gateway')) upstream.close(CLOSE.goingAway);
  });
  upstream.on('error', (error: Error & { code?: string }) => {
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') end(CLOSE.tooBig, 'message too big');
    else end(CLOSE.upstreamFailed, 'upstream failed');
  });
  browser.once('close', (code, reason) => {
    if (begin(code, 'browser')) closeWith(upstream, codeForUpstream(code), reason);
    listener.onClosed(closing ?? { code, by: 'browser' });
  });
  upstream.once('close', (code, reason) => {
    const told = codeForBrowser(code);
    if (!begin(told ?? code, 'upstream')) return;
    closeWith(browser, told, isSendable(code) ? reason : 'upstream failed');
  });
  upstream.resume();
  return { end, terminate: () => browser.terminate() };
}

function closeWith(socket: WebSocket, code: number | undefined, reason: Buffer | string = ''): void {
  if (code === undefined) socket.close();
  else socket.close(code, reason);
}
