/**
 * Renews tokens once per expiry, however many requests and instances ask: one promise per process, one lock per session
 * in the store, and a write that counts only if nobody wrote before. Decides what an exchange's outcome means for the
 * session; the exchange itself is `finvera-client.ts` (ADR-0003).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RefreshOutcome } from '../finvera/exchange-outcome.ts';
import type { CallContext, FinveraClient } from '../finvera/finvera-client.ts';
import type { Clock } from '../kernel/clock.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Secret } from '../kernel/secret.ts';
import { refreshLockKey } from '../redis/redis-keys.ts';
import type { Lease, Lock } from '../redis/redis-lock.ts';
import type { EndReason, Session, Tokens } from '../session/session.ts';
import type { Sessions } from '../session/sessions.ts';
import { createPendingWrites } from './pending-writes.ts';
import { createSingleFlight } from './single-flight.ts';

/** A forced refresh happens at most this often; asked again, the last result stands (contract §5). */
const FORCED_INTERVAL_MS = 30_000;
/** The longest a request waits for another instance's exchange. */
const MAX_WAIT_MS = 15_000;
const BACKOFF_MIN_MS = 20;
const BACKOFF_MAX_MS = 250;
/** After a failure in the background, no further attempt for so long: the token is still good. */
const BACKGROUND_PAUSE_MS = 5_000;
const DEFAULT_RETRY_AFTER_MS = 1_000;

export type RefreshResult =
  /** `exchanged` is false where another caller's result was taken over or the last forced one stands. */
  | { readonly kind: 'refreshed'; readonly session: Session; readonly exchanged: boolean }
  | { readonly kind: 'ended' }
  | { readonly kind: 'unavailable'; readonly retryAfterMs: number };

export type Freshness =
  | { readonly kind: 'fresh'; readonly session: Session }
  | { readonly kind: 'ended' }
  | { readonly kind: 'unavailable'; readonly retryAfterMs: number };

/** Told of what happens; must not throw. */
export interface RefreshObserver {
  exchanged(
    session: Session,
    outcome: 'refreshed' | 'rejected' | 'unavailable',
    why: string,
    durationMs: number,
    context: CallContext,
  ): void;
  /** Another caller's exchange was waited for or its result taken over. */
  joined(how: 'process' | 'store'): void;
  waited(ms: number): void;
  lockLost(session: Session): void;
  backgroundFailed(session: Session, error: unknown): void;
  writePending(session: Session, event: 'started' | 'written' | 'dropped'): void;
}

export interface RefreshCoordinatorOptions {
  readonly sessions: Sessions;
  readonly finvera: Pick<FinveraClient, 'refresh'>;
  readonly lock: Lock;
  readonly clock: Clock;
  /** Renew in the background when less than this is left; at most half of the token's life. */
  readonly aheadMs: number;
  readonly observer: RefreshObserver;
}

export interface RefreshCoordinator {
  /**
   * A session whose token is good: at once while it is fresh, without waiting while it is renewed ahead, after an
   * exchange where it is not good any more. No I/O while fresh.
   * @throws GatewayError `store_unavailable`
   */
  ensureFresh(session: Session, context: CallContext): Freshness | Promise<Freshness>;
  /**
   * One exchange although the token looks good, at most once in 30 s a session. A token that was renewed since
   * `session` was read counts as the result.
   * @throws GatewayError `store_unavailable`
   */
  force(session: Session, context: CallContext): Promise<RefreshResult>;
  /** Resolves when no exchange and no write is under way, for shutdown. */
  settled(): Promise<void>;
}

export function createRefreshCoordinator(options: RefreshCoordinatorOptions): RefreshCoordinator {
  const { sessions, clock, observer } = options;
  const flights = createSingleFlight<RefreshResult>();
  const pending = createPendingWrites(sessions, observer);
  const pausedUntil = new Map<string, number>();

  /** The store still holds the old tokens of a session whose new ones could not be written yet. */
  const latest = (session: Session): Session => pending.overlay(session);

  const fly = (session: Session, forced: boolean, context: CallContext): Promise<RefreshResult> => {
    if (flights.isRunning(session.hash)) observer.joined('process');
    return flights.run(session.hash, () => refreshOnce(options, pending, session, forced, context));
  };

  const inBackground = (session: Session, context: CallContext): void => {
    if (flights.isRunning(session.hash) || (pausedUntil.get(session.hash) ?? 0) > clock.now()) return;
    const pause = (error: unknown) => {
      if (pausedUntil.size > 10_000) pausedUntil.clear();
      pausedUntil.set(session.hash, clock.now() + BACKGROUND_PAUSE_MS);
      observer.backgroundFailed(session, error);
    };
    fly(session, false, context).then((result) => {
      if (result.kind === 'unavailable') pause(undefined);
      else pausedUntil.delete(session.hash);
    }, pause);
  };

  return {
    ensureFresh(stored, context) {
      const session = latest(stored);
      const leftMs = session.tokens.accessExpiresAt - clock.now();
      if (!needsRefresh(session.tokens, clock.now(), options.aheadMs)) return { kind: 'fresh', session };
      if (leftMs > 0) {
        if (session.tokens.refresh) inBackground(session, context);
        return { kind: 'fresh', session };
      }
      if (!session.tokens.refresh) return { kind: 'ended' };
      const startedAt = performance.now();
      return fly(session, false, context).then((result) => {
        observer.waited(performance.now() - startedAt);
        return result.kind === 'refreshed' ? { kind: 'fresh', session: result.session } : result;
      });
    },
    force: (stored, context) => fly(latest(stored), true, context),
    async settled() {
      await flights.settled();
      await pending.settled();
    },
  };
}

/** True where less than `aheadMs` is left, or than half of the life where that is shorter. */
export function needsRefresh(tokens: Tokens, now: number, aheadMs: number): boolean {
  return tokens.accessExpiresAt - now <= Math.min(aheadMs, tokens.accessLifeMs / 2);
}

type PendingWrites = ReturnType<typeof createPendingWrites>;

/** Takes the lock and exchanges, or waits until whoever has it is done. */
async function refreshOnce(
  options: RefreshCoordinatorOptions,
  pending: PendingWrites,
  seed: Session,
  forced: boolean,
  context: CallContext,
): Promise<RefreshResult> {
  const deadline = performance.now() + MAX_WAIT_MS;
  let backoffMs = BACKOFF_MIN_MS;
  for (;;) {
    const lease = await acquire(options.lock, seed);
    if (lease) return await exchangeUnderLock(options, pending, lease, seed, forced, context);
    await delay(backoffMs * (0.5 + Math.random()));
    backoffMs = Math.min(backoffMs * 1.5, BACKOFF_MAX_MS);
    const found = await lookAgain(options, seed, false);
    if (found.kind !== 'open') {
      options.observer.joined('store');
      return found;
    }
    if (performance.now() > deadline) return { kind: 'unavailable', retryAfterMs: DEFAULT_RETRY_AFTER_MS };
  }
}

async function acquire(lock: Lock, { hash }: Session): Promise<Lease | undefined> {
  try {
    return await lock.acquire(refreshLockKey(hash));
  } catch (cause) {
    throw new GatewayError('store_unavailable', { retryAfterMs: DEFAULT_RETRY_AFTER_MS, cause });
  }
}

/** Still to be renewed, from these tokens. */
interface Open {
  readonly kind: 'open';
  readonly session: Session;
}

/** Reads again: what others did to the session since `seed` was read may be the result already. */
async function lookAgain(
  { sessions, clock }: RefreshCoordinatorOptions,
  seed: Session,
  forced: boolean,
): Promise<RefreshResult | Open> {
  const finding = await sessions.reread(seed.id);
  if (finding.kind === 'unknown') return { kind: 'ended' };
  const { session } = finding;
  const now = clock.now();
  if (session.version !== seed.version && session.tokens.accessExpiresAt > now) {
    return { kind: 'refreshed', session, exchanged: false };
  }
  // At the same version the seed stays: its tokens may be waiting to be written. At another one its refresh token is used up.
  const open: Open = { kind: 'open', session: session.version === seed.version ? seed : session };
  if (!forced || !session.forced) return open;
  const standsForMs = session.forced.at + FORCED_INTERVAL_MS - now;
  if (standsForMs <= 0) return open;
  if (session.forced.outcome === 'unavailable') return { kind: 'unavailable', retryAfterMs: standsForMs };
  return { kind: 'refreshed', session, exchanged: false };
}

async function exchangeUnderLock(
  options: RefreshCoordinatorOptions,
  pending: PendingWrites,
  lease: Lease,
  seed: Session,
  forced: boolean,
  context: CallContext,
): Promise<RefreshResult> {
  const { sessions, clock, observer } = options;
  let keepLease = false;
  try {
    // Between the read that made `seed` and the lock, another holder may have finished.
    const found = await lookAgain(options, seed, forced);
    if (found.kind !== 'open') return found;
    const { session } = found;
    const { refresh } = session.tokens;
    if (!refresh) return { kind: 'unavailable', retryAfterMs: DEFAULT_RETRY_AFTER_MS };
    const { outcome, replyWasLost } = await exchange(options, session, refresh, context);
    if (lease.isLost()) observer.lockLost(session);
    if (outcome.kind === 'rejected') {
      const reason = replyWasLost ? 'refresh_reply_lost' : 'refresh_rejected';
      return await endAfterRejection(options, session, reason, context);
    }
    const note = forced ? { forced: { at: clock.now(), outcome: 'unavailable' as const } } : {};
    if (outcome.kind === 'unavailable') {
      if (note.forced) await sessions.noteForced(session, note.forced).catch(() => undefined);
      return { kind: 'unavailable', retryAfterMs: outcome.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS };
    }
    const tokens: Tokens = { ...withoutAccess(session.tokens), ...outcome.grant };
    const renewed = { tokens, ...(forced ? { forced: { at: clock.now(), outcome: 'refreshed' as const } } : {}) };
    const written = await pending.write(session, renewed.tokens, renewed.forced, () => lease.release());
    if (written.kind === 'pending') keepLease = true;
    if (written.kind === 'gone') return { kind: 'ended' }; // a logout in between wins
    if (written.kind === 'conflict') return await resultOfOthers(options, session);
    return { kind: 'refreshed', session: written.session, exchanged: true };
  } finally {
    if (!keepLease) await lease.release();
  }
}

/** A refresh answer need not bring a new refresh token: the old one with its end then stays. */
function withoutAccess({ refresh, refreshExpiresAt }: Tokens): Partial<Tokens> {
  return { ...(refresh ? { refresh } : {}), ...(refreshExpiresAt === undefined ? {} : { refreshExpiresAt }) };
}

/**
 * One exchange, and a second one at once where the first one's reply was lost: Finvera may have rotated the refresh
 * token, and a short grace for the old one is the only way back.
 */
async function exchange(
  { finvera, observer }: RefreshCoordinatorOptions,
  session: Session,
  refresh: Secret,
  context: CallContext,
): Promise<{ outcome: RefreshOutcome; replyWasLost: boolean }> {
  const ask = async (): Promise<RefreshOutcome> => {
    const startedAt = performance.now();
    const outcome = await finvera.refresh(refresh, context);
    const name = outcome.kind === 'granted' ? 'refreshed' : outcome.kind;
    const why = outcome.kind === 'unavailable' ? outcome.why : outcome.kind;
    observer.exchanged(session, name, why, performance.now() - startedAt, context);
    return outcome;
  };
  const first = await ask();
  if (first.kind !== 'unavailable' || !first.replyLost) return { outcome: first, replyWasLost: false };
  return { outcome: await ask(), replyWasLost: true };
}

/** The verdict is checked once more against the store: it may speak of tokens that others replaced since. */
async function endAfterRejection(
  options: RefreshCoordinatorOptions,
  session: Session,
  reason: EndReason,
  context: CallContext,
): Promise<RefreshResult> {
  const found = await lookAgain(options, session, false);
  if (found.kind !== 'open') return found;
  if (await options.sessions.end(session, reason, session.version, context)) return { kind: 'ended' };
  return await resultOfOthers(options, session);
}

/** What another writer left behind. Tokens that are past their end already are no reason to end a session that lives. */
async function resultOfOthers(options: RefreshCoordinatorOptions, session: Session): Promise<RefreshResult> {
  const found = await lookAgain(options, session, false);
  return found.kind === 'open' ? { kind: 'unavailable', retryAfterMs: DEFAULT_RETRY_AFTER_MS } : found;
}
