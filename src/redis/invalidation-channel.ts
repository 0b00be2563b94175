/**
 * Tells every instance at once what happened to a session elsewhere, and knows whether it still hears: a half-open
 * subscription raises no event, so each instance echoes itself through its own channel all the time (ADR-0004).
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from '../observability/logger.ts';
import type { RedisConnection } from './redis-client.ts';
import { EVENTS_CHANNEL, echoChannel, hashOfSessionKey, SESSION_KEY_PREFIX } from './redis-keys.ts';

const ECHO_INTERVAL_MS = 250;
/** An echo older than this: what happens elsewhere may not be heard any more. */
export const ECHO_MAX_AGE_MS = 750;

/** What the scripts publish; see `redis-scripts.ts`. */
export type SessionEvent =
  | { readonly kind: 'ended'; readonly hash: string; readonly reason: string }
  | { readonly kind: 'refreshed'; readonly hash: string }
  /** Sealed anew, or written, deleted or expired by whomever: whoever remembers it must read it again. */
  | { readonly kind: 'changed'; readonly hash: string }
  /** Everything may have changed: the store was emptied. */
  | { readonly kind: 'flushed' };

export interface InvalidationChannel {
  /** False from the moment on at which events may be missed. Cheap: asked on every request. */
  isHealthy(): boolean;
  onEvent(listener: (event: SessionEvent) => void): void;
  /** Tells the listeners of this instance what it did itself: at once, and also while nothing is heard. Redis says it again. */
  tell(event: SessionEvent): void;
  /** Called each time hearing begins (again): what happened in between was missed. */
  onHealthy(listener: () => void): void;
  /** Tells every other instance that Finvera limits a credential for so long. Nobody waits for it, and it may get lost. */
  tellLimited(tag: string, forMs: number): void;
  onLimited(listener: (tag: string, forMs: number) => void): void;
  close(): void;
}

/**
 * @param subscriber a connection of its own, RESP2, without automatic resubscription; closed by `close`.
 * @param publisher the connection that commands go over: an echo proves both ways.
 */
export function createInvalidationChannel(
  subscriber: RedisConnection,
  publisher: RedisConnection,
  log: Logger,
): InvalidationChannel {
  const echo = echoChannel(randomBytes(9).toString('base64url'));
  const eventListeners: ((event: SessionEvent) => void)[] = [];
  const healthyListeners: (() => void)[] = [];
  const limitListeners: ((tag: string, forMs: number) => void)[] = [];
  let echoedAt = Number.NEGATIVE_INFINITY;
  let wasHealthy = false;

  const isHealthy = () => performance.now() - echoedAt <= ECHO_MAX_AGE_MS;
  const onEcho = (sentAt: number) => {
    // Only an echo that was under way for less than the limit tells that nothing is held up on the way.
    if (performance.now() - sentAt > ECHO_MAX_AGE_MS) return;
    // A gap that nobody noticed yet counts as one, too.
    if (!isHealthy()) lost('no echo');
    echoedAt = sentAt;
    if (wasHealthy) return;
    wasHealthy = true;
    log.info({ event: 'invalidation_healthy' }, 'session events are heard');
    for (const listener of healthyListeners) listener();
  };
  const lost = (why: string) => {
    echoedAt = Number.NEGATIVE_INFINITY;
    if (!wasHealthy) return;
    wasHealthy = false;
    log.warn(
      { event: 'invalidation_lost', reason: why },
      'session events are not heard: the session cache is bypassed',
    );
  };

  const hearLimit = (message: string) => {
    const [tag = '', forMs = ''] = message.slice(LIMITED.length).split(' ');
    if (/^\d{1,9}$/.test(forMs)) for (const listener of limitListeners) listener(tag, Number(forMs));
  };

  subscriber.on('message', (channel: string, message: string) => {
    if (channel === echo) return onEcho(Number(message));
    if (message.startsWith(LIMITED)) return hearLimit(message);
    for (const event of parseEvents(channel, message)) for (const listener of eventListeners) listener(event);
  });
  subscriber.on('close', () => lost('closed'));
  // A Cluster's subscription moves between nodes by itself; what is said while it moves is missed.
  subscriber.on('+node', () => lost('nodes changed'));
  subscriber.on('-node', () => lost('nodes changed'));
  subscriber.on('ready', () => void subscribe(subscriber, echo, log));
  if (subscriber.status === 'ready') void subscribe(subscriber, echo, log);

  const timer = setInterval(() => {
    if (wasHealthy && !isHealthy()) lost('no echo');
    publisher.publish(echo, String(performance.now())).catch(() => undefined);
  }, ECHO_INTERVAL_MS);
  timer.unref();

  return {
    isHealthy,
    onEvent: (listener) => void eventListeners.push(listener),
    tell(event) {
      for (const listener of eventListeners) listener(event);
    },
    onHealthy: (listener) => void healthyListeners.push(listener),
    tellLimited(tag, forMs) {
      publisher.publish(EVENTS_CHANNEL, `${LIMITED}${tag} ${Math.ceil(forMs)}`).catch(() => undefined);
    },
    onLimited: (listener) => void limitListeners.push(listener),
    close() {
      clearInterval(timer);
      subscriber.disconnect();
    },
  };
}

/** Begins what is told of limits, on the channel of the sessions' events: `limited <tag> <ms>`. */
const LIMITED = 'limited ';
const TRACKING_CHANNEL = '__redis__:invalidate';

/**
 * Asks Redis itself to tell of every write to a session's key (client-side caching in broadcast mode): that covers keys
 * deleted by hand and an emptied store too. Where it may not be asked (ACL, Cluster nodes elsewhere), the events that the
 * gateway publishes still come.
 */
async function subscribe(subscriber: RedisConnection, echo: string, log: Logger): Promise<void> {
  try {
    if (!subscriber.isCluster) {
      const id = await subscriber.client('ID');
      await subscriber.client('TRACKING', 'ON', 'REDIRECT', id, 'BCAST', 'PREFIX', SESSION_KEY_PREFIX);
    }
  } catch (error) {
    log.debug({ event: 'tracking_refused', error: String(error) }, 'redis does not track keys for this user');
  }
  try {
    await subscriber.subscribe(EVENTS_CHANNEL, TRACKING_CHANNEL, echo);
  } catch (error) {
    log.warn({ event: 'subscribe_failed', error: String(error) }, 'session events cannot be subscribed to');
  }
}

function parseEvents(channel: string, message: string): SessionEvent[] {
  if (channel === TRACKING_CHANNEL) {
    if (message === '') return [{ kind: 'flushed' }];
    const hashes = message.split(',').map(hashOfSessionKey);
    return hashes.filter((hash) => hash !== undefined).map((hash) => ({ kind: 'changed', hash }));
  }
  const [kind, hash = '', reason = ''] = message.split(' ');
  if (kind === 'ended') return [{ kind, hash, reason }];
  if (kind === 'refreshed') return [{ kind, hash }];
  return kind === 'resealed' ? [{ kind: 'changed', hash }] : [];
}

/** For the memory store: one process has only itself to listen to. */
export function createLocalChannel(): InvalidationChannel {
  const listeners: ((event: SessionEvent) => void)[] = [];
  return {
    isHealthy: () => true,
    onEvent: (listener) => void listeners.push(listener),
    tell(event) {
      for (const listener of listeners) listener(event);
    },
    onHealthy() {},
    tellLimited() {},
    onLimited() {},
    close() {},
  };
}
