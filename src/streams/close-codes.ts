/** Which code a WebSocket is closed with (RFC 6455 §7.4, contract §6). Pure. */

export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  badText: 1007,
  policy: 1008,
  tooBig: 1009,
  upstreamFailed: 1011,
  tooSlow: 1013,
  sessionEnded: 4401,
} as const;

/** Never on the wire: they stand for "no code", "broken", "no TLS". */
const NO_STATUS = 1005;
const ABNORMAL = 1006;

/** True for what may be sent. */
export function isSendable(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && ![1004, NO_STATUS, ABNORMAL].includes(code);
}

/** What the browser is told when the upstream closed. `undefined`: a close frame without a code, as it came. */
export function codeForBrowser(fromUpstream: number): number | undefined {
  if (fromUpstream === NO_STATUS) return undefined;
  // Only the gateway knows whether the session ended: a page would take it for a logout.
  if (fromUpstream === CLOSE.sessionEnded) return CLOSE.policy;
  return isSendable(fromUpstream) ? fromUpstream : CLOSE.upstreamFailed;
}

/** What the upstream is told when the browser left. */
export function codeForUpstream(fromBrowser: number): number | undefined {
  if (fromBrowser === NO_STATUS) return undefined;
  return isSendable(fromBrowser) ? fromBrowser : CLOSE.goingAway;
}

/** The code that `ws` itself answers an input with that is not valid, by its error; undefined where it is none of those. */
export function codeOfInputError(error: { readonly code?: string }): number | undefined {
  if (!error.code?.startsWith('WS_ERR_')) return undefined;
  if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') return CLOSE.tooBig;
  if (error.code === 'WS_ERR_INVALID_UTF8') return CLOSE.badText;
  return error.code === 'WS_ERR_TOO_MANY_BUFFERED_PARTS' ? CLOSE.policy : CLOSE.protocolError;
}

const LABELS: readonly number[] = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 4401];

/** For a metric's label: a closed list, so that no peer can make it grow. */
export function codeLabel(code: number): string {
  return LABELS.includes(code) ? String(code) : code >= 4000 ? '4xxx' : code >= 3000 ? '3xxx' : 'other';
}
