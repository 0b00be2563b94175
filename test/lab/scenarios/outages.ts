// Redis stops answering, goes away, or is cut off: nobody is logged out, and a revocation is still heard.
import { setTimeout as delay } from 'node:timers/promises';
import type { TestRedis } from '../../support/redis-server.ts';
import type { GatewayProcess } from '../gateway-process.ts';
import { type LabAnswer, type LabClient, logIn, tally } from '../load.ts';
import { createVerdict, EVENT, type Outcome, type Scenario, withLab } from '../scenario.ts';
import { startTcpProxy } from '../tcp-proxy.ts';

const PAUSE_MS = 5_000;
const RATE_MS = 20;

/** What the invariants of every outage of the store are judged by. */
export interface OutageTrace {
  readonly answers: readonly LabAnswer[];
  /** From the end of the outage, which is where `end` resolves, to the first 200. */
  readonly recoveryMs: number;
}

/** Sends a request each 20 ms to each gateway in turn, during an outage and until the first success after it. */
export async function traceOutage(
  client: LabClient,
  gateways: readonly GatewayProcess[],
  cookie: string,
  outage: { begin(): unknown; end(): unknown; lastsMs: number },
  patienceMs = 10_000,
): Promise<OutageTrace> {
  const pending: Promise<LabAnswer>[] = [];
  let i = 0;
  const ask = () => {
    i += 1;
    return client.get(`${gateways[i % gateways.length]?.url}${EVENT}`, cookie);
  };
  await outage.begin();
  let endedAt = Number.POSITIVE_INFINITY;
  const ending = delay(outage.lastsMs).then(async () => {
    await outage.end();
    endedAt = performance.now();
  });
  while (endedAt === Number.POSITIVE_INFINITY) {
    pending.push(ask());
    await Promise.race([delay(RATE_MS), ending]);
  }
  let recoveryMs = Number.POSITIVE_INFINITY;
  while (recoveryMs === Number.POSITIVE_INFINITY && performance.now() - endedAt < patienceMs) {
    // One of each gateway: it is back when all are.
    const answers = await Promise.all(gateways.map(ask));
    pending.push(...answers.map((answer) => Promise.resolve(answer)));
    if (answers.every(({ status }) => status === 200)) recoveryMs = performance.now() - endedAt;
    else await delay(RATE_MS);
  }
  return { answers: await Promise.all(pending), recoveryMs };
}

/** No 401, no cookie cleared, only answers of the contract's, bounded, and back in time. */
export function judgeOutage({ answers, recoveryMs }: OutageTrace, recoveryLimitMs: number): Outcome {
  const { expect, violations } = createVerdict();
  const unauthorized = answers.filter(({ status }) => status === 401).length;
  const cleared = answers.filter(({ setCookie }) => setCookie !== undefined).length;
  const strange = answers.filter(({ status, code }) => status !== 200 && code !== 'store_unavailable');
  const slowest = Math.max(...answers.map(({ ms }) => ms));
  expect(unauthorized === 0, `${unauthorized} answers of 401`);
  expect(cleared === 0, `${cleared} cookies were set or cleared`);
  expect(strange.length === 0, `answers besides 200 and store_unavailable: ${JSON.stringify(tally(strange))}`);
  expect(recoveryMs <= recoveryLimitMs, `the first success came ${Math.round(recoveryMs)} ms after the end`);
  expect(slowest < 6_000, `the slowest answer took ${Math.round(slowest)} ms`);
  const numbers = {
    ...tally(answers),
    'cookies cleared': cleared,
    'first success after the end, ms': Math.round(recoveryMs),
    'slowest answer, ms': Math.round(slowest),
  };
  return { numbers, violations };
}

const outageScenario = (
  name: string,
  outage: (redis: TestRedis) => { begin(): unknown; end(): unknown },
): Scenario => ({
  name,
  run: () =>
    withLab({}, async ({ redis, client, start }) => {
      const gateways = await Promise.all([start(), start()]);
      const cookie = await logIn(client, gateways[0]?.url ?? '');
      const trace = await traceOutage(client, gateways, cookie, { ...outage(redis), lastsMs: PAUSE_MS });
      return judgeOutage(trace, 1_000);
    }),
});

export const redisPaused = outageScenario('Redis paused for 5 s (SIGSTOP) under load', (redis) => ({
  begin: () => redis.pause(),
  end: () => redis.resume(),
}));

export const redisOutOfMemory = outageScenario('Redis out of memory for 5 s', (redis) => ({
  begin: () => redis.client.config('SET', 'maxmemory', '1'),
  end: () => redis.client.config('SET', 'maxmemory', '0'),
}));

export const redisCutOff: Scenario = {
  name: 'Redis behind a cut cable for 5 s: connections stay, no byte passes',
  run: () =>
    withLab({}, async ({ redis, client, start }) => {
      const proxy = await startTcpProxy(redis.port);
      try {
        const gateway = await start({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
        const cookie = await logIn(client, gateway.url);
        const trace = await traceOutage(client, [gateway], cookie, {
          begin: () => proxy.freeze(),
          end: () => proxy.thaw(),
          lastsMs: PAUSE_MS,
        });
        return judgeOutage(trace, 1_000);
      } finally {
        await proxy.close();
      }
    }),
};

export const revocationBehindCutCable: Scenario = {
  name: 'a logout reaches an instance whose subscription is half-open within a second',
  run: ({ repetitions }) =>
    withLab({}, async ({ redis, client, start }) => {
      const proxy = await startTcpProxy(redis.port);
      const { expect, violations } = createVerdict();
      let slowest = 0;
      let alive = 0;
      const rounds = Math.min(repetitions, 20);
      try {
        const a = await start();
        const b = await start({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
        for (let round = 0; round < rounds; round += 1) {
          const cookie = await logIn(client, a.url, `user-${round}@finvera.test`);
          await untilStatus(client, `${b.url}${EVENT}`, cookie, 200);
          proxy.freeze();
          await client.post(`${a.url}/bff/logout`, cookie);
          const loggedOutAt = performance.now();
          await delay(1_000);
          // After a second it must not be served from what b remembers: what b cannot check it must refuse.
          const answer = await client.get(`${b.url}${EVENT}`, cookie);
          if (answer.status === 200) alive += 1;
          proxy.thaw();
          await untilStatus(client, `${b.url}${EVENT}`, cookie, 401);
          slowest = Math.max(slowest, performance.now() - loggedOutAt);
        }
      } finally {
        await proxy.close();
      }
      expect(alive === 0, `${alive} of ${rounds} were served a second after their logout`);
      return {
        numbers: { rounds, 'served after a second': alive, 'slowest honest 401, ms': Math.round(slowest) },
        violations,
      };
    }),
};

export const revocationEverywhere: Scenario = {
  name: 'logout on one instance is effective on the others within a second',
  run: ({ repetitions }) =>
    withLab({}, async ({ client, start }) => {
      const gateways = await Promise.all([start(), start(), start()]);
      const { expect, violations } = createVerdict();
      const delays: number[] = [];
      for (let i = 0; i < repetitions; i += 1) {
        const cookie = await logIn(client, gateways[0]?.url ?? '', `user-${i}@finvera.test`);
        for (const { url } of gateways) await untilStatus(client, `${url}${EVENT}`, cookie, 200);
        await client.post(`${gateways[i % 3]?.url}/bff/logout`, cookie);
        const loggedOutAt = performance.now();
        for (const { url } of gateways) await untilStatus(client, `${url}${EVENT}`, cookie, 401);
        delays.push(performance.now() - loggedOutAt);
      }
      const slowest = Math.max(...delays);
      expect(slowest < 1_000, `the slowest took ${Math.round(slowest)} ms`);
      return { numbers: { repetitions, 'slowest, ms': Math.round(slowest) }, violations };
    }),
};

async function untilStatus(client: LabClient, url: string, cookie: string, status: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await client.get(url, cookie);
    if (answer.status === status) return;
    if (performance.now() > deadline)
      throw new Error(`${url} answers ${answer.status} ${answer.code ?? ''}, not ${status}`);
    await delay(5);
  }
}
