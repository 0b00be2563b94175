// A master, a replica and three sentinels that watch them, for failovers.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { launchRedis, type RedisProcess } from './redis-process.ts';
import { COMMON, freePort } from './redis-server.ts';
import { until } from './until.ts';

export interface TestSentinel {
  readonly url: string;
  /** kill -9 of the master; the sentinels find it out and promote the replica. */
  killMaster(): Promise<void>;
  /** Resolves when another than the first master is told. */
  untilFailedOver(): Promise<void>;
  close(): Promise<void>;
}

const DOWN_AFTER_MS = 1_000;

export async function startSentinel(): Promise<TestSentinel> {
  const folder = mkdtempSync(join(tmpdir(), 'finvera-sentinel-'));
  const [masterPort, replicaPort, ...sentinelPorts] = await Promise.all(Array.from({ length: 5 }, freePort));
  const processes: RedisProcess[] = [];
  const launch = async (args: readonly string[], readyText?: string) => {
    const started = await launchRedis(args, readyText);
    processes.push(started);
    return started;
  };
  const master = await launch([...COMMON, '--port', `${masterPort}`, '--dir', folder]);
  await launch([...COMMON, '--port', `${replicaPort}`, '--dir', folder, '--replicaof', '127.0.0.1', `${masterPort}`]);
  for (const port of sentinelPorts) {
    const file = join(folder, `sentinel-${port}.conf`);
    writeFileSync(
      file,
      [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${folder}`,
        `sentinel monitor main 127.0.0.1 ${masterPort} 2`,
        `sentinel down-after-milliseconds main ${DOWN_AFTER_MS}`,
        'sentinel failover-timeout main 3000',
      ].join('\n'),
    );
    await launch([file, '--sentinel'], '+monitor master');
  }
  const sentinel = new Redis(sentinelPorts[0] ?? 0, '127.0.0.1', { protocol: 2 });
  const ask = (...args: [string, ...string[]]) => sentinel.call('SENTINEL', ...args) as Promise<unknown[]>;
  await until(
    'replica and sentinels know each other',
    async () => {
      const [replicas, sentinels] = await Promise.all([ask('replicas', 'main'), ask('sentinels', 'main')]);
      return (
        replicas.length === 1 &&
        sentinels.length === 2 &&
        JSON.stringify(replicas).includes('"master-link-status","ok"')
      );
    },
    20_000,
  );
  return {
    url: `redis+sentinel://${sentinelPorts.map((port) => `127.0.0.1:${port}`).join(',')}/main`,
    killMaster: () => master.end(),
    untilFailedOver: () =>
      until(
        'failover',
        async () => String((await ask('get-master-addr-by-name', 'main'))[1]) !== String(masterPort),
        30_000,
      ),
    async close() {
      sentinel.disconnect();
      await Promise.all(processes.map((each) => each.end()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
