// Shared answers under load and with a part of them failing: how often Finvera is asked, what a hit costs, what a dead Redis costs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SimulatorOptions } from '../../../simulator/settings.ts';
import { cpuSeconds } from '../../support/process-usage.ts';
import { startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import type { GatewayProcess } from '../gateway-process.ts';
import { createLabClient, inParallel, type LabAnswer, type LabClient, logIn, tally } from '../load.ts';
import { createVerdict, EVENT, FULL, type Lab, type Scale, type Scenario, withLab } from '../scenario.ts';

const TTL_S = 10;
const STALE_S = 20;
const RULES = `{ttl: ${TTL_S}s, staleWhileRevalidate: ${STALE_S}s, staleIfError: 0s, scope: tier}`;
const EVENTS = Array.from({ length: 6 }, (_, i) => `/delivery/api/v1/events/evt-000${i + 1}`);
const LONG_MS = 60_000;

type Start = Lab['start'];

export const coldStorm: Scenario = {
  name: 'shared answers: equal requests at once over 3 instances, nothing kept',
  run: (scale) =>
    withCache({}, async ({ simulator, client }, start) => {
      const { storm } = scale;
      const gateways = await Promise.all([start(), start(), start()]);
      const load = createLabClient(Math.ceil(storm / gateways.length) + 1);
      try {
        const cookie = await logIn(client, gateways[0]?.url ?? '');
        const one = await client.get(`${gateways[0]?.url}/delivery/api/v1/events/evt-0002`, cookie);
        // Connections, sessions and code are warm; what is asked for now is not.
        await askAll(load, gateways, '/delivery/api/v1/events/evt-0002', cookie, storm);
        simulator.addFault({ match: { call: 'data' }, fault: 'latency', ms: 300 });
        const before = simulator.requests('data').length;
        const cold = await askAll(load, gateways, EVENT, cookie, storm);
        const askedCold = simulator.requests('data').length - before;
        const warm = await askAll(load, gateways, EVENT, cookie, storm);
        const askedWarm = simulator.requests('data').length - before - askedCold;
        const { expect, violations } = createVerdict();
        expect(one.status === 200, `the first answer was ${one.status}`);
        for (const answers of [cold, warm]) {
          const correct = answers.filter(({ status, text }) => status === 200 && text.includes('evt-0001')).length;
          expect(correct === storm, `answers: ${JSON.stringify(tally(answers))}, ${correct} correct`);
        }
        // On a machine too busy for a look-up in Redis in time, an instance asks by itself.
        expect(
          askedCold <= (isFull(scale) ? 1 : gateways.length),
          `Finvera was asked ${askedCold} times while nothing was kept`,
        );
        expect(askedWarm === 0, `Finvera was asked ${askedWarm} times for what was kept`);
        const numbers = {
          requests: storm,
          'asked of Finvera, cold': askedCold,
          'asked of Finvera, warm': askedWarm,
          'slowest ms, cold (300 are Finvera’s)': Math.round(Math.max(...cold.map(({ ms }) => ms))),
          'slowest ms, warm': Math.round(Math.max(...warm.map(({ ms }) => ms))),
        };
        return { numbers, violations };
      } finally {
        await load.close();
      }
    }),
};

const MAX_HIT_RATIO = 0.8;

export const hitCost: Scenario = {
  name: 'shared answers: what a hit costs beside a forwarded request',
  run: (scale) =>
    withCache({}, async ({ client }, start, startPlain) => {
      const [cached, plain] = await Promise.all([start(), startPlain()]);
      const cookie = await logIn(client, cached.url);
      const count = isFull(scale) ? 10_000 : 500;
      const cpu = { hit: 0, forwarded: 0 };
      const answers: LabAnswer[] = [];
      const round = async ({ url, pid }: GatewayProcess): Promise<number> => {
        const before = cpuSeconds(pid);
        const got = await inParallel(Array.from({ length: count }), 32, () => client.get(`${url}${EVENT}`, cookie));
        answers.push(...got);
        return cpuSeconds(pid) - before;
      };
      // The first round of each compiles.
      for (const gateway of [cached, plain]) await round(gateway);
      const rounds = isFull(scale) ? 4 : 1;
      for (let i = 0; i < rounds; i += 1) {
        cpu.hit += await round(cached);
        cpu.forwarded += await round(plain);
      }
      const { expect, violations } = createVerdict();
      const ratio = cpu.hit / cpu.forwarded;
      expect(
        answers.every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(answers))}`,
      );
      if (isFull(scale)) expect(ratio <= MAX_HIT_RATIO, `a hit costs ${ratio.toFixed(2)} of a forwarded request`);
      const microseconds = (seconds: number) => Math.round((seconds / (count * rounds)) * 1e6);
      const numbers = {
        requests: 2 * count * rounds,
        'CPU µs, hit': microseconds(cpu.hit),
        'CPU µs, forwarded': microseconds(cpu.forwarded),
        ratio: ratio.toFixed(2),
      };
      return { numbers, violations };
    }),
};

const BROWSERS = 20;
const MAX_A_MINUTE = 60;

export const polling: Scenario = {
  name: `shared answers: ${BROWSERS} users of one standard account poll 6 widgets every 5 s`,
  run: (scale) =>
    withCache({ anyUserTier: 'standard' }, async ({ simulator, client }, start) => {
      const gateways = await Promise.all([start(), start()]);
      const cookies = await inParallel(Array.from({ length: BROWSERS }), 5, () =>
        logIn(client, gateways[0]?.url ?? '', 'account@finvera.test'),
      );
      const seconds = isFull(scale) ? 120 : 6;
      const everyMs = isFull(scale) ? 5_000 : 1_000;
      const until_ = performance.now() + seconds * 1_000;
      const answers: LabAnswer[] = [];
      const browse = async (cookie: string, index: number) => {
        // Not all in the same moment, as browsers are.
        await delay((index * everyMs) / BROWSERS);
        const url = gateways[index % gateways.length]?.url;
        while (performance.now() < until_) {
          const next = delay(everyMs);
          answers.push(...(await Promise.all(EVENTS.map((path) => client.get(`${url}${path}`, cookie)))));
          await next;
        }
      };
      await Promise.all(cookies.map(browse));
      const asked = simulator.requests('data').map(({ at }) => at);
      const aMinute = Math.max(...asked.map((from) => asked.filter((at) => at >= from && at < from + 60_000).length));
      const oldest = Math.max(...answers.map(({ headers }) => Number(headers.age ?? 0)));
      const { expect, violations } = createVerdict();
      expect(aMinute <= MAX_A_MINUTE, `Finvera was asked ${aMinute} times in one minute`);
      expect(
        answers.every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(answers))}`,
      );
      expect(oldest <= TTL_S + STALE_S, `an answer was ${oldest} s old`);
      const numbers = {
        seconds,
        'requests of browsers': answers.length,
        'asked of Finvera': asked.length,
        'in the busiest minute': aMinute,
        'oldest answer, s': oldest,
        ...tally(answers),
      };
      return { numbers, violations };
    }),
};

const MAX_ADDED_MS = 5;

export const cacheRedisFails: Scenario = {
  name: 'shared answers: their Redis stalls, then is gone',
  run: (scale) =>
    withCache({}, async ({ simulator, client }, start) => {
      const own = await startRedis();
      try {
        const gateway = await start({ CACHE_REDIS_URL: own.url });
        const cookie = await logIn(client, gateway.url);
        const count = isFull(scale) ? 300 : 30;
        let number = 0;
        const miss = () => {
          number += 1;
          return client.get(`${gateway.url}${EVENT}?n=${number}`, cookie);
        };
        const isUsable = async () =>
          /^finvera_gateway_cache_redis_usable 1$/m.test(
            await (await fetch(`${gateway.managementUrl}/metrics`)).text(),
          );
        const inTurn = async (times: number) => {
          const answers: LabAnswer[] = [];
          for (let i = 0; i < times; i += 1) answers.push(await miss());
          return answers;
        };
        await inTurn(count);
        const good = await inTurn(count);
        /** What the first meet is nobody's who comes later: Redis is given up until it answers again. */
        const firsts: LabAnswer[] = [];
        for (let i = 0; i < (isFull(scale) ? 30 : 2); i += 1) {
          own.pause();
          firsts.push(...(await inTurn(3)));
          own.resume();
          await until('it is used again', isUsable, LONG_MS);
          await inTurn(5);
        }
        own.pause();
        await inTurn(3);
        const stalled = await inTurn(count);
        own.resume();
        await until('it is used again', isUsable, LONG_MS);
        await own.stop();
        const dead = await inTurn(count);
        const { expect, violations } = createVerdict();
        const all = [...good, ...firsts, ...stalled, ...dead];
        const added = (answers: readonly LabAnswer[]) => Math.round((median(answers) - median(good)) * 100) / 100;
        expect(
          all.every(({ status }) => status === 200),
          `answers: ${JSON.stringify(tally(all))}`,
        );
        if (isFull(scale))
          for (const answers of [firsts, stalled, dead])
            expect(added(answers) <= MAX_ADDED_MS, `${added(answers)} ms were added`);
        expect(simulator.requests('data').length >= all.length, 'an answer came from nowhere');
        const numbers = {
          'ms of a forwarded request, its Redis well, p50 and p99': `${round(median(good))}, ${round(percentile(good, 0.99))}`,
          'ms added, the first three that meet it stalled, p50': added(firsts),
          'slowest of these, ms': round(percentile(firsts, 1)),
          'ms added while it stalls, p50': added(stalled),
          'p99, ms': round(percentile(stalled, 0.99)),
          'ms added when it is gone, p50': added(dead),
          'p99 then, ms': round(percentile(dead, 0.99)),
          ...tally(all),
        };
        return { numbers, violations };
      } finally {
        own.resume();
        await own.close();
      }
    }),
};

export const askerKilled: Scenario = {
  name: 'shared answers: kill -9 of the instance that asks for all',
  run: ({ repetitions }) =>
    withCache({}, async ({ simulator, client }, start) => {
      const others = await Promise.all([start(), start()]);
      const cookie = await logIn(client, others[0]?.url ?? '');
      const waited: LabAnswer[] = [];
      let asked = 0;
      const rounds = Math.ceil(repetitions / 20);
      for (let i = 0; i < rounds; i += 1) {
        const victim = await start();
        const path = `${EVENT}?round=${i}`;
        const before = simulator.requests('data').length;
        const hang = simulator.addFault({ match: { call: 'data' }, fault: 'hang', times: 1 });
        const dying = client.get(`${victim.url}${path}`, cookie);
        await simulator.waitForRequests('data', before + 1, 10_000);
        const waiting = others.flatMap(({ url }) =>
          Array.from({ length: 10 }, () => client.get(`${url}${path}`, cookie)),
        );
        await delay(200);
        victim.kill('SIGKILL');
        hang.remove();
        await dying;
        waited.push(...(await Promise.all(waiting)));
        asked += simulator.requests('data').length - before - 1;
      }
      const slowest = Math.max(...waited.map(({ ms }) => ms));
      const { expect, violations } = createVerdict();
      expect(
        waited.every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(waited))}`,
      );
      expect(slowest < 10_000, `the slowest waited ${Math.round(slowest)} ms`);
      expect(asked <= 2 * rounds, `${asked} more requests for ${rounds} that died`);
      const numbers = {
        rounds,
        'waited for it': waited.length,
        'asked of Finvera after it died': asked,
        'slowest answer, ms': Math.round(slowest),
        ...tally(waited),
      };
      return { numbers, violations };
    }),
};

const isFull = ({ storm }: Scale) => storm >= FULL.storm;

/** A laboratory whose gateways share answers of /delivery; `startPlain` starts one that does not. */
async function withCache<T>(
  options: SimulatorOptions,
  work: (lab: Lab, start: Start, startPlain: Start) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'shared-answers-'));
  const config = join(folder, 'gateway.yaml');
  writeFileSync(config, `routes:\n  - {path: /delivery, credential: session, cache: ${RULES}}\n`);
  try {
    return await withLab(options, (lab) =>
      work(lab, (env) => lab.start({ GATEWAY_CONFIG: config, ...env }), lab.start),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function askAll(
  client: LabClient,
  gateways: readonly GatewayProcess[],
  path: string,
  cookie: string,
  count: number,
): Promise<LabAnswer[]> {
  const urls = gateways.map(({ url }) => url);
  return Promise.all(Array.from({ length: count }, (_, i) => client.get(`${urls[i % urls.length]}${path}`, cookie)));
}

function percentile(answers: readonly LabAnswer[], share: number): number {
  const sorted = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

const median = (answers: readonly LabAnswer[]): number => percentile(answers, 0.5);
const round = (ms: number): number => Math.round(ms * 10) / 10;
