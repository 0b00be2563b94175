/**
 * The hub's one upstream connection: opened when it is wanted, opened again after it was lost, given up when it falls silent,
 * closed when nobody has wanted it for a while. What is said on it is not its business.
 */
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { keepBeating } from './heartbeat.ts';
import type { DialOutcome } from './upstream-dial.ts';

/** What happens to the connection. */
export interface HubUpstreamListener {
  onOpen(): void;
  onMessage(data: Buffer, isBinary: boolean): void;
  /** It was open, or should have been: told once until it is open again. */
  onLost(why: string): void;
  /** An attempt failed; the next one is that far away. */
  onRetry(attempt: number, waitMs: number, why: string): void;
  /** The upstream refuses the key: nothing but a change of the key or of the account helps. */
  onKeyRefused(status: number): void;
}

export interface HubUpstreamOptions {
  /** One attempt; the key is the dialler's business. */
  readonly dial: (signal: AbortSignal) => Promise<DialOutcome>;
  readonly heartbeatMs: number;
  /** How long the connection stays when nobody wants it any more. */
  readonly lingerMs: number;
  /** What the heartbeat says besides a WebSocket ping. */
  readonly pingMessage: string;
  readonly times?: Partial<RetryTimes>;
  /** From 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
}

export interface RetryTimes {
  readonly firstMs: number;
  readonly maxMs: number;
  /** After a refusal of the key. */
  readonly keyRefusedMs: number;
  /** After a 429. */
  readonly rateLimitedMs: number;
  /** A connection that lasted that long was a good one: the next loss begins with the first wait again. */
  readonly provenMs: number;
}

export interface HubUpstream {
  /** Somebody wants it; safe to call again. */
  want(): void;
  /** Nobody wants it any more. */
  release(): void;
  /** In one write. @returns false where it is not open. */
  send(messages: readonly string[]): boolean;
  /** What waits to be sent. */
  readonly bufferedAmount: number;
  readonly state: 'idle' | 'connecting' | 'open' | 'waiting';
  close(): void;
}

const TIMES: RetryTimes = {
  firstMs: 250,
  maxMs: 30_000,
  keyRefusedMs: 60_000,
  rateLimitedMs: 5_000,
  provenMs: 10_000,
};

export function createHubUpstream(options: HubUpstreamOptions, listener: HubUpstreamListener): HubUpstream {
  return new Connection(options, listener);
}

class Connection implements HubUpstream {
  readonly #options: HubUpstreamOptions;
  readonly #listener: HubUpstreamListener;
  readonly #times: RetryTimes;
  readonly #random: () => number;
  #socket: WebSocket | undefined;
  /** What the socket writes to. */
  #connection: Duplex | undefined;
  #dialling: AbortController | undefined;
  #retry: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #stopHeart: () => void = () => {};
  #failures = 0;
  #notBefore = 0;
  #isLostTold = false;

  constructor(options: HubUpstreamOptions, listener: HubUpstreamListener) {
    this.#options = options;
    this.#listener = listener;
    this.#times = { ...TIMES, ...options.times };
    this.#random = options.random ?? Math.random;
  }

  want(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    if (this.state !== 'idle') return;
    // Browsers that come and go do not shorten what the upstream is owed after a failure.
    const waitMs = this.#notBefore - performance.now();
    if (waitMs > 0) {
      this.#lost('it failed a moment ago');
      this.#connectIn(waitMs);
    } else {
      void this.#connect();
    }
  }

  release(): void {
    clearTimeout(this.#linger);
    // Without a reader nothing is worth a further attempt.
    if (this.state === 'open') this.#linger = setTimeout(() => this.#stop(), this.#options.lingerMs).unref();
    else this.#stop();
  }

  send(messages: readonly string[]): boolean {
    if (this.#socket === undefined) return false;
    // Nothing shall get between an `unsubscribe` and the `subscribe`s that make up for it.
    this.#connection?.cork();
    for (const message of messages) this.#socket.send(message);
    this.#connection?.uncork();
    return true;
  }

  get bufferedAmount(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  get state(): HubUpstream['state'] {
    if (this.#socket) return 'open';
    if (this.#dialling) return 'connecting';
    return this.#retry ? 'waiting' : 'idle';
  }

  close(): void {
    this.#stop();
  }

  async #connect(): Promise<void> {
    const dialling = new AbortController();
    this.#dialling = dialling;
    const outcome = await this.#options
      .dial(dialling.signal)
      .catch((cause: Error): DialOutcome => ({ kind: 'failed', cause }));
    if (dialling.signal.aborted) {
      if (outcome.kind === 'open') outcome.socket.terminate();
      return;
    }
    this.#dialling = undefined;
    if (outcome.kind === 'open') this.#opened(outcome);
    else this.#failed(outcome);
  }

  #opened({ socket, connection }: Extract<DialOutcome, { kind: 'open' }>): void {
    this.#socket = socket;
    this.#connection = connection;
    this.#isLostTold = false;
    const openedAt = performance.now();
    let why = 'closed';
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (this.#socket === socket) this.#listener.onMessage(data as Buffer, isBinary);
    });
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.once('close', (code) => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#stopHeart();
      if (performance.now() - openedAt >= this.#times.provenMs) this.#failures = 0;
      this.#lost(`${why} (${code})`);
      this.#retryLater(why, this.#times.firstMs);
    });
    this.#stopHeart = keepAsking(socket, this.#options.heartbeatMs, this.#options.pingMessage, () => {
      why = 'silent';
      socket.terminate();
    });
    this.#listener.onOpen();
    socket.resume();
  }

  #failed(outcome: Exclude<DialOutcome, { kind: 'open' }>): void {
    const isRefused = outcome.kind === 'refused';
    const why = isRefused ? `refused with ${outcome.status}` : outcome.cause.message;
    this.#lost(why);
    if (isRefused && (outcome.status === 401 || outcome.status === 403)) {
      this.#listener.onKeyRefused(outcome.status);
      this.#retryLater(why, this.#times.keyRefusedMs);
    } else {
      this.#retryLater(why, isRefused && outcome.status === 429 ? this.#times.rateLimitedMs : this.#times.firstMs);
    }
  }

  #lost(why: string): void {
    if (this.#isLostTold) return;
    this.#isLostTold = true;
    this.#listener.onLost(why);
  }

  /** Twice as long each time, and half of it at random: instances that lost it together do not return together. */
  #retryLater(why: string, leastMs: number): void {
    const fullMs = Math.max(
      leastMs,
      Math.min(this.#times.maxMs, this.#times.firstMs * 2 ** Math.min(this.#failures, 20)),
    );
    const waitMs = Math.round(fullMs * (0.5 + this.#random() / 2));
    this.#failures += 1;
    this.#listener.onRetry(this.#failures, waitMs, why);
    this.#notBefore = performance.now() + waitMs;
    this.#connectIn(waitMs);
  }

  #connectIn(waitMs: number): void {
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void this.#connect();
    }, waitMs);
  }

  #stop(): void {
    clearTimeout(this.#linger);
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#linger = undefined;
    this.#dialling?.abort();
    this.#dialling = undefined;
    this.#stopHeart();
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isLostTold = false;
    socket?.close(1000);
  }
}

/** Pings in both ways that are known: Finvera documents a message for it. @returns what stops it. */
function keepAsking(socket: WebSocket, everyMs: number, message: string, onSilent: () => void): () => void {
  const heart = keepBeating(socket, everyMs, () => false, onSilent);
  const timer = setInterval(() => socket.send(message), everyMs);
  return () => {
    heart.stop();
    clearInterval(timer);
  };
}
