// A Redis Cluster of three masters with a replica each.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { launchRedis, type RedisProcess } from './redis-process.ts';
import { COMMON, freePort } from './redis-server.ts';
import { until } from './until.ts';

export interface TestCluster {
  readonly url: string;
  /** kill -9 of the master that holds a key's slot; its replica takes over. */
  killMasterOf(key: string): Promise<void>;
  /** Every key of every master. */
  keys(): Promise<string[]>;
  close(): Promise<void>;
}

const MASTERS = 3;

export async function startCluster(): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'finvera-cluster-'));
  const ports = await clusterPorts(MASTERS * 2);
  const processes = new Map<number, RedisProcess>();
  for (const port of ports) {
    const dir = join(folder, String(port));
    mkdirSync(dir);
    processes.set(
      port,
      await launchRedis([
        ...COMMON,
        '--port',
        `${port}`,
        '--dir',
        dir,
        '--cluster-enabled',
        'yes',
        '--cluster-node-timeout',
        '1500',
      ]),
    );
  }
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const made = spawnSync(
    'redis-cli',
    ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'],
    {
      encoding: 'utf8',
    },
  );
  if (made.status !== 0) throw new Error(`the cluster was not made: ${made.stdout}${made.stderr}`);
  const admins = ports.map((port) => {
    const admin = new Redis(port, '127.0.0.1', { retryStrategy: () => null });
    admin.on('error', () => undefined);
    return { port, admin };
  });
  await until(
    'cluster is whole',
    async () => {
      const infos = await Promise.all(admins.map(({ admin }) => admin.call('CLUSTER', 'INFO')));
      const roles = await Promise.all(admins.map(({ admin }) => admin.info('replication')));
      const linked = roles.filter((role) => role.includes('master_link_status:up')).length;
      return infos.every((info) => String(info).includes('cluster_state:ok')) && linked === MASTERS;
    },
    30_000,
  );
  return {
    url: `redis+cluster://${addresses.join(',')}`,
    async killMasterOf(key) {
      const slot = Number(await admins[0]?.admin.call('CLUSTER', 'KEYSLOT', key));
      const slots = (await admins[0]?.admin.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
      const owner = slots.find(([from, to]) => slot >= from && slot <= to)?.[2][1] ?? 0;
      await processes.get(owner)?.end();
    },
    async keys() {
      const found = await Promise.all(
        admins.map(async ({ admin }) => {
          if (admin.status !== 'ready') return [];
          const [role] = (await admin.role()) as [string];
          return role === 'master' ? admin.keys('*') : [];
        }),
      );
      return found.flat();
    },
    async close() {
      for (const { admin } of admins) admin.disconnect();
      await Promise.all([...processes.values()].map((each) => each.end()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The bus of a node listens 10 000 above its port: that must be a port too. */
async function clusterPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = await freePort();
    if (port < 55_000) ports.add(port);
    else ports.add(20_000 + Math.floor(Math.random() * 20_000));
  }
  return [...ports];
}
