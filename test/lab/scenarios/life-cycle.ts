// A rolling restart under load, and what a process with many live sessions weighs.
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { forgeSessions } from '../../support/forge-sessions.ts';
import { residentBytes } from '../../support/process-usage.ts';
import { freePort } from '../../support/redis-server.ts';
import type { GatewayProcess } from '../gateway-process.ts';
import { inParallel, type LabAnswer, type LabClient, logIn, tally } from '../load.ts';
import { createVerdict, EVENT, forgery, type Scenario, withLab } from '../scenario.ts';

const REQUESTS_PER_SECOND = 200;
const PROBE_MS = 50;

export const rollingRestart: Scenario = {
  name: `rolling restart of two instances under ${REQUESTS_PER_SECOND} requests/s`,
  run: ({ repetitions }) =>
    withLab({}, async ({ client, start }) => {
      const ports = await Promise.all([freePort(), freePort()]);
      const boot = (port: number) => start({ PORT: String(port), SHUTDOWN_DELAY: '2s' });
      const gateways = await Promise.all(ports.map(boot));
      const cookie = await logIn(client, gateways[0]?.url ?? '');
      const balancer = startBalancer(
        client,
        gateways.map(({ url }) => url),
      );
      const pending: Promise<LabAnswer>[] = [];
      const ticker = setInterval(() => {
        pending.push(client.get(`${balancer.pick()}${EVENT}`, cookie));
      }, 1_000 / REQUESTS_PER_SECOND);
      const rounds = Math.max(3, Math.min(repetitions / 20, 10));
      const exits: unknown[] = [];
      for (let round = 0; round < rounds; round += 1) {
        for (const [i, port] of ports.entries()) {
          await balancer.untilReady(gateways.map(({ url }) => url));
          const old = gateways[i] as GatewayProcess;
          old.kill('SIGTERM');
          exits.push(await old.ended);
          gateways[i] = await boot(port);
        }
      }
      clearInterval(ticker);
      balancer.stop();
      const answers = await Promise.all(pending);
      const failed = answers.filter(({ status }) => status !== 200);
      const { expect, violations } = createVerdict();
      expect(failed.length === 0, `failed: ${JSON.stringify(tally(failed))}`);
      expect(
        exits.every((code) => code === 0),
        `exit codes: ${exits.join(' ')}`,
      );
      return { numbers: { restarts: exits.length, requests: answers.length, failed: failed.length }, violations };
    }),
};

/** What a load balancer does: probes readiness, takes the ready ones in turn. */
function startBalancer(client: LabClient, urls: readonly string[]) {
  let ready: readonly string[] = urls;
  let next = 0;
  let stopped = false;
  const probing = (async () => {
    while (!stopped) {
      const states = await Promise.all(urls.map((url) => client.get(`${url}/health/ready`, '')));
      const alive = urls.filter((_, i) => states[i]?.status === 200);
      if (alive.length > 0) ready = alive;
      await delay(PROBE_MS);
    }
  })();
  return {
    pick() {
      next += 1;
      return ready[next % ready.length] ?? '';
    },
    async untilReady(all: readonly string[]) {
      while (!all.every((url) => ready.includes(url))) await delay(PROBE_MS);
    },
    stop() {
      stopped = true;
      return probing;
    },
  };
}

const LIMIT_MB = 150;
export const manyLiveSessions: Scenario = {
  name: 'memory of a process with many live sessions',
  run: ({ sessions }) =>
    withLab({}, async ({ redis, client, start }) => {
      const cookies = await forgeSessions(forgery(redis.url), sessions);
      const gateway = await start();
      await logIn(client, gateway.url);
      await delay(1_000);
      const idle = residentBytes(gateway.pid) / 2 ** 20;
      const answers = await inParallel(cookies, 64, (cookie) =>
        client.get(`${gateway.url}/bff/session?slide=false`, cookie),
      );
      const loaded = residentBytes(gateway.pid) / 2 ** 20;
      const metrics = await (await fetch(`${gateway.managementUrl}/metrics`)).text();
      const cached = Number(/^finvera_gateway_cached_sessions (\d+)/m.exec(metrics)?.[1]);
      const growth = loaded - idle;
      const { expect, violations } = createVerdict();
      expect(
        answers.every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(answers))}`,
      );
      expect(growth <= LIMIT_MB, `${Math.round(growth)} MB above idle`);
      const redisBytes = await bytesPerSession(redis.client);
      return {
        numbers: {
          sessions,
          'idle, MB': Math.round(idle),
          'above idle, MB': Math.round(growth),
          'in the process cache': cached,
          'Redis bytes a session': redisBytes,
        },
        violations,
      };
    }),
};

/** Session and index entry together, as Redis accounts for them. */
async function bytesPerSession(client: Redis): Promise<number> {
  const [, keys] = await client.scan('0', 'MATCH', '*', 'COUNT', '1000');
  const session = keys.find((key) => key.endsWith(':session')) ?? '';
  const index = keys.find((key) => key.includes(':user:')) ?? '';
  const sizes = await Promise.all([session, index].map((key) => client.memory('USAGE', key)));
  return sizes.reduce<number>((sum, size) => sum + Number(size ?? 0), 0);
}
