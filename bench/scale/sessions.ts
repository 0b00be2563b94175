// Many live sessions used at random, so that most requests miss the session cache, beside one session that is always in it.
import { freemem } from 'node:os';
import type { Redis } from 'ioredis';
import { residentBytes } from '../../test/support/process-usage.ts';
import { expressSession, logInMany } from '../contenders/node-peers.ts';
import { startGateway } from '../contenders/this-gateway.ts';
import { forgeSessions } from '../forge.ts';
import type { Header } from '../job.ts';
import { type LoadResult, runLoad } from '../load.ts';
import { familyCpuSeconds } from '../pinned.ts';
import { median } from '../rounds.ts';
import { type RunningStage, startStage } from '../stage.ts';
import { GB, MB, type Part, type Section, table } from './part.ts';

const CONNECTIONS = 32;
const WARM_UP_SECONDS = 6;
const SECONDS = 5;
const ROUNDS = 3;
/** Redis, the cookies here and in the load generator. */
const NEEDED_BYTES_PER_SESSION = 6_000;

export const sessions100k: Part = { name: 'sessions-100k', run: () => run(100_000, true) };
export const sessions1m: Part = { name: 'sessions-1m', run: () => run(1_000_000, false) };

/** @param withPeer the same with express-session, whose sessions are begun one by one. */
async function run(count: number, withPeer: boolean): Promise<Section> {
  const title = `${count.toLocaleString('en-GB')} live sessions, used at random`;
  const needed = count * NEEDED_BYTES_PER_SESSION;
  if (freemem() < needed) {
    const text = `Left out: needs ${Math.ceil(needed / GB)} GB of free memory.`;
    return { title, text, violations: [] };
  }
  await using stack = new AsyncDisposableStack();
  const stage = await startStage();
  stack.defer(() => stage.end());
  const { client } = stage.redis;
  const emptyBytes = await usedBytes(client);
  const credentials = (await forgeSessions(stage.redisUrl, count)).map((cookie): Header => ['Cookie', cookie]);
  const bytesEach = ((await usedBytes(client)) - emptyBytes) / count;
  const gateway = await startGateway(stage);
  stack.defer(() => gateway.end());

  const load = (users: readonly Header[]) => measureUse(client, gateway, users);
  const one = credentials.slice(0, 1);
  const cached = await load(one);
  const spread = await load(credentials);
  const residentMb = residentBytes(gateway.pid) / MB;
  await gateway.end();
  const peer = withPeer ? await measurePeer(stage, count) : undefined;
  const row = (label: string, use: Use, found: string) => [label, use.cpu, use.rate, use.p50, use.p99, found];
  const foundIn = ({ hitPercent }: Use) => `${hitPercent.toFixed(1)} %`;
  const head = ['sessions in use', 'CPU µs/request', 'requests/s', 'p50 ms', 'p99 ms', 'found in the cache'];
  const many = count.toLocaleString('en-GB');
  const rows = [row('one', cached, foundIn(cached)), row(many, spread, foundIn(spread))];
  if (peer) rows.push(row(`${many}, ${expressSession.label}`, peer, 'has none'));
  const ratio = peer
    ? `\n\nOf the CPU per request that ${expressSession.label} takes with as many: ${(spread.cpu / peer.cpu).toFixed(2)}.`
    : '';
  const text = `${table(head, rows)}${ratio}

Redis holds ${Math.round(bytesEach).toLocaleString('en-GB')} bytes a session, index and overhead included (tokens of 900 and 700 characters, sealed). With the cache as
full as it gets the process has ${Math.round(residentMb)} MB resident.`;
  const failed = cached.failed + spread.failed + (peer?.failed ?? 0);
  return { title, text, violations: failed > 0 ? [`${failed} requests were not answered with 200`] : [] };
}

async function measurePeer(stage: RunningStage, count: number): Promise<Use> {
  const { port, pid, end } = await expressSession.start(stage);
  try {
    const users = (await logInMany(port, count)).map((cookie): Header => ['Cookie', cookie]);
    return await measureUse(stage.redis.client, { port, pid: pid as number }, users);
  } finally {
    await end();
  }
}

interface Use {
  readonly cpu: number;
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly hitPercent: number;
  readonly failed: number;
}

async function measureUse(
  client: Redis,
  { port, pid }: { port: number; pid: number },
  users: readonly Header[],
): Promise<Use> {
  const order = { port, connections: CONNECTIONS, seconds: SECONDS };
  await runLoad(users, { ...order, seconds: WARM_UP_SECONDS });
  const rounds: { load: LoadResult; cpu: number; misses: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = { cpu: familyCpuSeconds(pid), reads: await sessionReads(client) };
    const load = await runLoad(users, order);
    rounds.push({ load, cpu: familyCpuSeconds(pid) - before.cpu, misses: (await sessionReads(client)) - before.reads });
  }
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  return {
    cpu: of(({ cpu, load }) => (cpu / load.requests) * 1e6),
    rate: of(({ load }) => load.requests / load.seconds),
    p50: of(({ load }) => load.p50Ms),
    p99: of(({ load }) => load.p99Ms),
    hitPercent: of(({ misses, load }) => Math.max(0, 1 - misses / load.requests) * 100),
    failed: rounds.reduce((sum, { load }) => sum + load.requests - (load.statuses['200'] ?? 0) + load.failures, 0),
  };
}

/** What is not in the process's cache is read from Redis with one HMGET. */
async function sessionReads(client: Redis): Promise<number> {
  return Number(/^cmdstat_hmget:calls=(\d+)/m.exec(await client.info('commandstats'))?.[1] ?? 0);
}

async function usedBytes(client: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1]);
}
