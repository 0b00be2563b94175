/** Tells the upstream what it is to hold, neither faster than it may be told nor more than it takes. Decides nothing on what. */
import type { HeldSubscriptions } from './held-subscriptions.ts';
import type { HubUpstream } from './hub-upstream.ts';

export interface SubscriptionTeller {
  /** Soon: what one turn of the event loop subscribes and unsubscribes again is not told at all. */
  tell(): void;
  tellNow(): void;
  close(): void;
}

export interface TellingRate {
  /** Messages at once. */
  readonly burst: number;
  /** In the long run: a page that subscribes and unsubscribes without end does not become the upstream's flood. */
  readonly perSecond: number;
}

/** What could not be told at once is told at this pace. */
const RETELL_MS = 50;
/** An upstream that takes nothing is not given more. */
const MAX_UPSTREAM_BUFFERED = 1024 * 1024;

export function createSubscriptionTeller(
  held: HeldSubscriptions,
  upstream: Pick<HubUpstream, 'send' | 'state' | 'bufferedAmount'>,
  { burst, perSecond }: TellingRate,
): SubscriptionTeller {
  let soon: NodeJS.Immediate | undefined;
  let later: NodeJS.Timeout | undefined;
  let left = burst;
  let refilledAt = performance.now();

  function available(): number {
    const now = performance.now();
    left = Math.min(burst, left + ((now - refilledAt) / 1_000) * perSecond);
    refilledAt = now;
    return upstream.bufferedAmount < MAX_UPSTREAM_BUFFERED ? Math.max(0, Math.floor(left)) : 0;
  }

  function forget(): void {
    clearImmediate(soon);
    clearTimeout(later);
    soon = undefined;
    later = undefined;
  }

  function tellNow(): void {
    forget();
    if (upstream.state !== 'open') return;
    const messages = held.take(available());
    if (messages.length > 0) upstream.send(messages);
    // May be a debt: what belongs together is not told in pieces.
    left -= messages.length;
    if (held.isBehind) later = setTimeout(tellNow, RETELL_MS);
  }

  return {
    tell() {
      // One that waits for its turn already goes on by itself.
      if (soon === undefined && later === undefined) soon = setImmediate(tellNow);
    },
    tellNow,
    close: forget,
  };
}
