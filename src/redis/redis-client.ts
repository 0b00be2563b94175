/**
 * The connection to Redis: standalone, Sentinel or Cluster behind one type, with bounded waits. It knows the gateway's
 * scripts and nothing of sessions.
 */
import { Cluster, Redis } from 'ioredis';
import { GatewayError } from '../kernel/errors.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Logger } from '../observability/logger.ts';
import { makeStringsFast } from './fast-strings.ts';
import { parseRedisAddress, type RedisAddress } from './redis-address.ts';
import { SCRIPTS, type ScriptCommands } from './redis-scripts.ts';
import { writeOnceATurn } from './write-once-a-turn.ts';

// Once, now that ioredis is loaded.
makeStringsFast();

/** The longest one command may take before it counts as failed; a paused Redis sends no RST. */
const COMMAND_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** The client waits for the end even of a connection that is gone already: a close must not take that long. */
const DISCONNECT_TIMEOUT_MS = 250;
const RECONNECT_MAX_MS = 500;

export type RedisConnection = (Redis | Cluster) & ScriptCommands;

/** Waits 25, 50, 100 … 500 ms, each ± 30 %, so that many instances do not come back in step. */
function reconnectDelayMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt, 8), RECONNECT_MAX_MS) * (0.7 + Math.random() * 0.6);
}

/**
 * Opens a connection that reconnects for ever. Commands fail at once while it is down (no offline queue: a queue would
 * turn an outage into a pile of waiting requests) and after 2 s where no answer comes; none is ever sent twice.
 */
export function createRedisConnection(url: Secret, log: Logger): RedisConnection {
  return open(url, log, {});
}

/** A connection that only listens: RESP2, whose messages come to one place, and subscribed anew by its owner. */
export function createRedisSubscriber(url: Secret, log: Logger): RedisConnection {
  return open(url, log, { protocol: 2, autoResubscribe: false, enableReadyCheck: true });
}

interface Extra {
  readonly protocol?: 2;
  readonly autoResubscribe?: false;
  readonly enableReadyCheck?: true;
}

function open(url: Secret, log: Logger, extra: Extra): RedisConnection {
  const address = parseRedisAddress(url.reveal());
  const connection = address.kind === 'cluster' ? openCluster(address, extra) : openSingle(address, extra);
  for (const [name, { lua, keys }] of Object.entries(SCRIPTS)) {
    connection.defineCommand(name, { numberOfKeys: keys, lua });
  }
  let down = false;
  connection.on('error', (error: Error) => {
    if (!down) log.warn({ event: 'redis_error', error: error.message }, 'redis connection failed');
    down = true;
  });
  connection.on('ready', () => {
    if (down) log.info({ event: 'redis_ready' }, 'redis connection is back');
    down = false;
  });
  reopenUntilDisconnected(connection);
  if (connection instanceof Redis) bundleWrites(connection);
  else connection.on('+node', bundleWrites);
  return connection as RedisConnection;
}

function bundleWrites(node: Redis): void {
  node.on('connect', () => writeOnceATurn(node.stream));
}

/**
 * Only `disconnect()` ends a connection. The client ends one by itself, for good, where a Sentinel tells of a failover
 * while it is connecting: its detector closes the connector, and a connector that was closed is no reason for it to retry.
 */
function reopenUntilDisconnected(connection: Redis | Cluster): void {
  let isDisconnected = false;
  let attempt = 0;
  const disconnect = connection.disconnect.bind(connection);
  connection.disconnect = (reconnect?: boolean) => {
    if (!reconnect) isDisconnected = true;
    disconnect(reconnect);
  };
  connection.on('ready', () => {
    attempt = 0;
  });
  connection.on('end', () => {
    if (isDisconnected) return;
    attempt += 1;
    setTimeout(() => {
      // Where it fails, it ends again.
      if (!isDisconnected && connection.status === 'end') connection.connect().catch(() => undefined);
    }, reconnectDelayMs(attempt)).unref();
  });
}

function commonOptions(address: RedisAddress, extra: Extra) {
  return {
    ...extra,
    connectTimeout: CONNECT_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: reconnectDelayMs,
    // A replica answers READONLY after a failover: reconnect to find the new master, without sending the command again.
    reconnectOnError: (error: Error): 1 | false => (error.message.startsWith('READONLY') ? 1 : false),
    ...(address.username ? { username: address.username } : {}),
    ...(address.password ? { password: address.password } : {}),
    ...(address.tls ? { tls: {} } : {}),
  };
}

function openSingle(address: RedisAddress, extra: Extra): Redis {
  const options = commonOptions(address, extra);
  if (address.kind === 'sentinel') {
    return new Redis({
      ...options,
      sentinels: address.nodes.map(({ host, port }) => ({ host, port })),
      name: address.masterName ?? '',
      sentinelRetryStrategy: reconnectDelayMs,
      ...(address.tls ? { enableTLSForSentinelMode: true } : {}),
      failoverDetector: true,
    });
  }
  const [node] = address.nodes;
  return new Redis({
    ...options,
    host: node?.host ?? '127.0.0.1',
    port: node?.port ?? 6379,
    db: address.database ?? 0,
  });
}

function openCluster(address: RedisAddress, extra: Extra): Cluster {
  const { retryStrategy: _, ...redisOptions } = commonOptions(address, extra);
  return new Cluster(
    address.nodes.map(({ host, port }) => ({ host, port })),
    {
      redisOptions,
      enableOfflineQueue: false,
      clusterRetryStrategy: reconnectDelayMs,
      retryDelayOnFailover: 100,
      retryDelayOnClusterDown: 100,
      maxRedirections: 8,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    },
  );
}

/** Waits until the connection can take commands, at most `limitMs`; false where it could not. */
export function whenReady(connection: Redis | Cluster, limitMs: number): Promise<boolean> {
  if (connection.status === 'ready') return Promise.resolve(true);
  return new Promise((resolve) => {
    const settle = (ready: boolean) => {
      clearTimeout(timer);
      connection.off('ready', onReady);
      resolve(ready);
    };
    const onReady = () => settle(true);
    const timer = setTimeout(() => settle(false), limitMs);
    connection.on('ready', onReady);
  });
}

/** Runs a store operation; whatever Redis throws becomes `store_unavailable`, never a verdict on the session. */
export async function storeOperation<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    throw new GatewayError('store_unavailable', { retryAfterMs: 1_000, cause });
  }
}
