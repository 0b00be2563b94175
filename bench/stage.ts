// Redis and the upstream, as every contender finds them; both on the load's core. Everything ends with `end`.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startRedis, type TestRedis } from '../test/support/redis-server.ts';
import type { Stage } from './contender.ts';
import { direct } from './contenders/direct.ts';
import { runLoad } from './load.ts';
import { endChild, LOAD_CORE, pinThisProcess } from './pinned.ts';

const UPSTREAM = fileURLToPath(new URL('./fixed-upstream.ts', import.meta.url));

/** Compiled code of the upstream: a contender that warms up against a cold one stays slower by a tenth for all of the rounds. */
const UPSTREAM_WARM_UP = { connections: 32, seconds: 3 };

/** A request that should not arrive has this long to arrive nevertheless. */
const SETTLE_MS = 100;

export interface RunningStage extends Stage {
  readonly redis: TestRedis;
  /** The head of the request that reaches the upstream while `work` runs; undefined where none does. */
  headDuring(work: () => Promise<void>): Promise<string | undefined>;
  end(): Promise<void>;
}

export async function startStage(): Promise<RunningStage> {
  // What is started from here on without a core of its own inherits this one.
  pinThisProcess(LOAD_CORE);
  const folder = mkdtempSync(join(tmpdir(), 'gateway-bench-'));
  const redis = await startRedis();
  const upstream = fork(UPSTREAM, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ port }] = (await once(upstream, 'message')) as [{ port: number }];
  const stage: Stage = { redisUrl: redis.url, redisPort: redis.port, upstreamPort: port, folder };
  const { credential } = await direct.start(stage);
  await runLoad(credential ? [credential] : [], { port, ...UPSTREAM_WARM_UP });
  return {
    ...stage,
    redis,
    async headDuring(work) {
      let head: string | undefined;
      const listen = (message: { head?: string }) => {
        head ??= message.head;
      };
      upstream.send(true);
      await once(upstream, 'message');
      upstream.on('message', listen);
      await work();
      await delay(SETTLE_MS);
      upstream.send(false);
      await once(upstream, 'message');
      upstream.off('message', listen);
      return head;
    },
    async end() {
      await endChild(upstream);
      await redis.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A signal ends this process only after everything it started. */
export function endOnSignal(stack: AsyncDisposableStack): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stack.disposeAsync().finally(() => process.exit(1)));
}
