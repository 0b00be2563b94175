/**
 * New tokens that the store would not take: Finvera has rotated, so they exist nowhere but here. Kept, served to who
 * asks in this process, and written again and again until done or 60 s have passed. Not a cache.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { GatewayError } from '../kernel/errors.ts';
import type { ForcedRefresh, Session, Tokens } from '../session/session.ts';
import type { Renewal, Sessions } from '../session/sessions.ts';

const RETRY_FOR_MS = 60_000;
const RETRY_PAUSE_MS = 150;

export type WriteResult = Renewal | { readonly kind: 'pending'; readonly session: Session };

export interface PendingObserver {
  writePending(session: Session, event: 'started' | 'written' | 'dropped'): void;
}

export interface PendingWrites {
  /**
   * Writes new tokens; where the store does not answer, goes on in the background.
   * @param done called once when a write that went to the background is over, whatever came of it.
   */
  write(
    base: Session,
    tokens: Tokens,
    forced: ForcedRefresh | undefined,
    done: () => Promise<void>,
  ): Promise<WriteResult>;
  /** The session with its newest tokens, where those are still waiting to be written. */
  overlay(session: Session): Session;
  settled(): Promise<void>;
}

export function createPendingWrites(sessions: Sessions, observer: PendingObserver): PendingWrites {
  const waiting = new Map<string, { readonly renewed: Session; readonly loop: Promise<void> }>();

  const writeUntilDone = async (base: Session, tokens: Tokens, forced: ForcedRefresh | undefined): Promise<void> => {
    const deadline = performance.now() + RETRY_FOR_MS;
    while (performance.now() < deadline) {
      await delay(RETRY_PAUSE_MS * (0.5 + Math.random()));
      try {
        const renewal = await sessions.renew(base, tokens, forced);
        observer.writePending(base, renewal.kind === 'renewed' ? 'written' : 'dropped');
        return;
      } catch (error) {
        if (!isStoreOutage(error)) break;
      }
    }
    observer.writePending(base, 'dropped');
  };

  return {
    async write(base, tokens, forced, done) {
      try {
        return await sessions.renew(base, tokens, forced);
      } catch (error) {
        if (!isStoreOutage(error)) throw error;
      }
      const renewed: Session = { ...base, tokens, ...(forced ? { forced } : {}) };
      observer.writePending(base, 'started');
      const loop = writeUntilDone(base, tokens, forced).finally(async () => {
        waiting.delete(base.hash);
        await done();
      });
      waiting.set(base.hash, { renewed, loop });
      return { kind: 'pending', session: renewed };
    },
    overlay(session) {
      const entry = waiting.get(session.hash);
      return entry && entry.renewed.version === session.version ? entry.renewed : session;
    },
    async settled() {
      while (waiting.size > 0) await Promise.allSettled([...waiting.values()].map(({ loop }) => loop));
    },
  };
}

function isStoreOutage(error: unknown): boolean {
  return error instanceof GatewayError && error.kind === 'store_unavailable';
}
