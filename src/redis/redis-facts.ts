/** What a Redis says of itself, each master of a Cluster by itself. It judges nothing. */
import type { Redis } from 'ioredis';
import type { Clock } from '../kernel/clock.ts';
import type { RedisConnection } from './redis-client.ts';
import { mastersOf, whenNodeReady } from './redis-masters.ts';

export interface RedisFacts {
  /** `host:port`. */
  readonly place: string;
  /** Absent where the user may not run INFO: the facts from it are then unknown. */
  readonly version?: string;
  readonly maxmemoryPolicy?: string;
  /** 0: no limit of its own. */
  readonly maxBytes?: number;
  readonly usedBytes?: number;
  readonly appendOnly?: boolean;
  readonly replicas?: number;
  /** False where the last save or rewrite failed. */
  readonly lastWriteToDiskWorked?: boolean;
  /** How far its clock is ahead of this machine's, give or take half a round trip. Absent where the user may not ask. */
  readonly clockAheadMs?: number;
  /** The fastest of several. */
  readonly roundTripMs: number;
}

/** @throws where a node does not answer. */
export async function readRedisFacts(redis: RedisConnection, clock: Clock): Promise<readonly RedisFacts[]> {
  return await Promise.all(mastersOf(redis).map((node) => readNode(node, clock)));
}

async function readNode(node: Redis, clock: Clock): Promise<RedisFacts> {
  const { host, port } = node.options;
  const place = `${host ?? 'unknown'}:${port ?? 6379}`;
  if (!(await whenNodeReady(node))) throw new Error(`the master ${place} does not answer`);
  const info = parseInfo(await node.info().catch(() => ''));
  const roundTripMs = await fastestPing(node);
  const ahead = await readClock(node, clock, roundTripMs);
  return { place, ...factsOf(info), ...(ahead === undefined ? {} : { clockAheadMs: ahead }), roundTripMs };
}

/** One alone may have met a busy moment of this machine's. */
const PINGS = 5;

async function fastestPing(node: Redis): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < PINGS; i += 1) {
    const askedAt = performance.now();
    await node.ping();
    fastest = Math.min(fastest, performance.now() - askedAt);
  }
  return fastest;
}

async function readClock(node: Redis, clock: Clock, roundTripMs: number): Promise<number | undefined> {
  try {
    const [seconds, microseconds] = await node.time();
    const theirs = Number(seconds) * 1_000 + Number(microseconds) / 1_000;
    return Math.round(theirs - (clock.now() - roundTripMs / 2));
  } catch {
    return undefined;
  }
}

function factsOf(info: ReadonlyMap<string, string>): Partial<RedisFacts> {
  const version = info.get('redis_version');
  if (version === undefined) return {};
  const number = (name: string) => Number(info.get(name) ?? 0);
  return {
    version,
    maxmemoryPolicy: info.get('maxmemory_policy') ?? 'unknown',
    maxBytes: number('maxmemory'),
    usedBytes: number('used_memory'),
    appendOnly: info.get('aof_enabled') === '1',
    replicas: number('connected_slaves'),
    lastWriteToDiskWorked:
      info.get('rdb_last_bgsave_status') !== 'err' &&
      info.get('aof_last_write_status') !== 'err' &&
      info.get('aof_last_bgrewrite_status') !== 'err',
  };
}

function parseInfo(text: string): ReadonlyMap<string, string> {
  const pairs = text.split('\r\n').map((line) => line.split(':'));
  return new Map(pairs.flatMap(([name, ...value]) => (name && value.length > 0 ? [[name, value.join(':')]] : [])));
}
