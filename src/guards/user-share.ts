/**
 * One user's share of what is under way to Finvera. Whoever has more at once waits behind themselves: else a single user,
 * with a slow call or a script, would take every connection from all others.
 */
import type { ServerResponse } from 'node:http';
import { overload } from '../kernel/errors.ts';

export interface UserShareOptions {
  /** A quarter of the connections to Finvera: more than any page needs, and room for others beside several who want all. */
  readonly maxAtOnce?: number;
  /** What waits holds memory and a client's connection: beyond this it is refused. */
  readonly maxWaiting?: number;
  readonly maxWaitMs?: number;
}

export interface UserShare {
  /**
   * Takes a place; whoever got one calls `leave`.
   * @returns undefined where there is one at once, else a promise of it.
   * @throws GatewayError `upstream_unavailable`, or rejects with it, where too many wait, for too long, or the client left.
   */
  enter(userId: string, res: ServerResponse): Promise<void> | undefined;
  /** Takes a place where there is one at once. @returns false where there is none. */
  tryEnter(userId: string): boolean;
  /** Hands the place on to whoever has waited longest. */
  leave(userId: string): void;
}

interface Share {
  underWay: number;
  /** In the order they came; made where somebody waits. */
  waiting?: Set<() => void>;
}

const MAX_AT_ONCE = 128;
const MAX_WAITING = 1_024;
const MAX_WAIT_MS = 15_000;

export function createUserShare(options: UserShareOptions = {}): UserShare {
  const { maxAtOnce = MAX_AT_ONCE, maxWaiting = MAX_WAITING, maxWaitMs = MAX_WAIT_MS } = options;
  const shares = new Map<string, Share>();
  const tryEnter = (userId: string): boolean => {
    const share = shares.get(userId);
    if (share === undefined) {
      shares.set(userId, { underWay: 1 });
      return true;
    }
    if (share.underWay >= maxAtOnce) return false;
    share.underWay += 1;
    return true;
  };
  return {
    tryEnter,
    enter(userId, res) {
      if (tryEnter(userId)) return undefined;
      const share = shares.get(userId) as Share;
      share.waiting ??= new Set();
      if (share.waiting.size >= maxWaiting) throw overload();
      return waitIn(share.waiting, res, maxWaitMs);
    },
    leave(userId) {
      const share = shares.get(userId);
      if (share === undefined) return;
      const next = share.waiting?.values().next().value;
      if (next) next();
      else if (share.underWay > 1) share.underWay -= 1;
      else shares.delete(userId);
    },
  };
}

function waitIn(waiting: Set<() => void>, res: ServerResponse, maxWaitMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      res.off('close', giveUp);
      waiting.delete(takePlace);
    };
    const takePlace = () => {
      stop();
      resolve();
    };
    const giveUp = () => {
      stop();
      reject(overload());
    };
    const timer = setTimeout(giveUp, maxWaitMs).unref();
    res.once('close', giveUp);
    waiting.add(takePlace);
  });
}
