// A Redis of the test's own: its own process, port and empty folder. Fails where redis-server is not installed: no test is skipped for that.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { launchRedis } from './redis-process.ts';

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** 0 without TLS. */
  readonly tlsPort: number;
  /** A connection for the test itself. */
  readonly client: Redis;
  /** Keys with every value in them, as text: what a dump would show. */
  dump(): Promise<string>;
  /** SIGSTOP: connections stay, no answers come. */
  pause(): void;
  resume(): void;
  /** Ends the process; `restart` brings an empty one (or its saved data) back on the same port. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface TestRedisOptions {
  readonly args?: readonly string[];
  readonly password?: string;
  /** Files; the plain port stays, for the test itself. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

/** Nothing is saved, and nobody else can reach it. */
export const COMMON: readonly string[] = [
  '--bind',
  '127.0.0.1',
  '--save',
  '',
  '--appendonly',
  'no',
  '--loglevel',
  'notice',
  '--daemonize',
  'no',
];

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export async function startRedis({ args = [], password, tls }: TestRedisOptions = {}): Promise<TestRedis> {
  const [port, tlsPort] = await Promise.all([freePort(), tls ? freePort() : 0]);
  const tlsArgs = tls
    ? [
        '--tls-port',
        String(tlsPort),
        '--tls-cert-file',
        tls.cert,
        '--tls-key-file',
        tls.key,
        '--tls-ca-cert-file',
        tls.ca,
        '--tls-auth-clients',
        'no',
      ]
    : [];
  const folder = mkdtempSync(join(tmpdir(), 'finvera-redis-'));
  const launch = () =>
    launchRedis([
      ...COMMON,
      '--port',
      String(port),
      '--dir',
      folder,
      ...(password ? ['--requirepass', password] : []),
      ...tlsArgs,
      ...args,
    ]);
  let child = await launch();
  const url = `redis://${password ? `:${password}@` : ''}127.0.0.1:${port}`;
  const client = new Redis(url, { maxRetriesPerRequest: null, disconnectTimeout: 100, retryStrategy: () => 20 });
  client.on('error', () => undefined);
  return {
    url,
    port,
    tlsPort,
    client,
    dump: () => dumpAll(client),
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    stop: () => child.end(),
    async restart() {
      child = await launch();
    },
    async close() {
      client.disconnect();
      await child.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function dumpAll(client: Redis): Promise<string> {
  const lines: string[] = [];
  for (const key of await client.keys('*')) {
    const type = await client.type(key);
    const value =
      type === 'hash'
        ? await client.hgetall(key)
        : type === 'zset'
          ? await client.zrange(key, '0', '-1', 'WITHSCORES')
          : await client.get(key);
    lines.push(`${key} ${JSON.stringify(value)}`);
  }
  return lines.join('\n');
}
