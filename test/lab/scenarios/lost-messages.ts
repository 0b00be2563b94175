// A reply of Finvera's that never arrives, and a write that Redis does not take: the two moments in which tokens can be lost.
import { setTimeout as delay } from 'node:timers/promises';
import { inParallel, logIn, tally } from '../load.ts';
import { createVerdict, EVENT, type Scenario, withLab } from '../scenario.ts';
import { startTcpProxy } from '../tcp-proxy.ts';

const LIFE_S = 1;
const EXPIRED_MS = LIFE_S * 1_000 + 50;

export const lostReplyWithGrace: Scenario = {
  name: 'a lost refresh reply, Finvera accepts the old token for a moment',
  run: ({ repetitions }) =>
    withLab({ accessTokenLifeS: LIFE_S, reuseGraceMs: 3_000 }, async ({ simulator, client, start }) => {
      const gateways = await Promise.all([start({ REFRESH_AHEAD: '0' }), start({ REFRESH_AHEAD: '0' })]);
      const answers = await inParallel(Array.from({ length: repetitions }), 1, async (_, i) => {
        simulator.configure({ accessTokenLifeS: LIFE_S });
        const cookie = await logIn(client, gateways[0].url, `user-${i}@finvera.test`);
        await delay(EXPIRED_MS);
        simulator.configure({ accessTokenLifeS: 3_600 });
        simulator.addFault({ match: { call: 'refresh' }, fault: 'reset_after', times: 1 });
        return await Promise.all(gateways.map(({ url }) => client.get(`${url}${EVENT}`, cookie)));
      });
      const exchanges = simulator.counters().refresh.received;
      const { expect, violations } = createVerdict();
      expect(
        answers.flat().every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(answers.flat()))}`,
      );
      expect(exchanges === repetitions * 2, `${exchanges} exchanges instead of ${repetitions * 2}`);
      return { numbers: { repetitions, exchanges, ...tally(answers.flat()) }, violations };
    }),
};

export const lostReplyWithoutGrace: Scenario = {
  name: 'a lost refresh reply, Finvera rejects the old token: an honest end, no loop',
  run: ({ repetitions }) =>
    withLab({ accessTokenLifeS: LIFE_S }, async ({ simulator, client, start }) => {
      const gateways = await Promise.all([start({ REFRESH_AHEAD: '0' }), start({ REFRESH_AHEAD: '0' })]);
      const answers = await inParallel(Array.from({ length: repetitions }), 1, async (_, i) => {
        const cookie = await logIn(client, gateways[0].url, `user-${i}@finvera.test`);
        await delay(EXPIRED_MS);
        simulator.addFault({ match: { call: 'refresh' }, fault: 'reset_after', times: 1 });
        const first = await Promise.all(gateways.map(({ url }) => client.get(`${url}${EVENT}`, cookie)));
        const then = await Promise.all(gateways.map(({ url }) => client.get(`${url}/bff/session`, cookie)));
        return [...first, ...then];
      });
      const exchanges = simulator.counters().refresh.received;
      const { expect, violations } = createVerdict();
      expect(
        answers.flat().every(({ status, code }) => status === 401 && code === 'session_expired'),
        `answers: ${JSON.stringify(tally(answers.flat()))}`,
      );
      expect(exchanges === repetitions * 2, `${exchanges} exchanges instead of ${repetitions * 2}`);
      return { numbers: { repetitions, exchanges, ...tally(answers.flat()) }, violations };
    }),
};

export const lostWrite: Scenario = {
  name: 'Redis is cut off from one instance between the exchange and the write',
  run: ({ repetitions }) =>
    withLab({ accessTokenLifeS: LIFE_S }, async ({ simulator, client, start, redis }) => {
      const proxy = await startTcpProxy(redis.port);
      const rounds = Math.min(repetitions, 20);
      const { expect, violations } = createVerdict();
      let lost = 0;
      try {
        const a = await start({ REFRESH_AHEAD: '0', REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
        const b = await start({ REFRESH_AHEAD: '0' });
        for (let i = 0; i < rounds; i += 1) {
          simulator.configure({ accessTokenLifeS: LIFE_S });
          const cookie = await logIn(client, b.url, `user-${i}@finvera.test`);
          await delay(EXPIRED_MS);
          simulator.configure({ accessTokenLifeS: 3_600 });
          const before = simulator.counters().refresh.received;
          const slow = simulator.addFault({ match: { call: 'refresh' }, fault: 'latency', ms: 300, times: 1 });
          const first = client.get(`${a.url}${EVENT}`, cookie);
          await simulator.waitForRequests('refresh', before + 1);
          proxy.cut();
          const waiter = client.get(`${b.url}${EVENT}`, cookie);
          await delay(1_500);
          proxy.open();
          const answers = await Promise.all([first, waiter]);
          slow.remove();
          const after = await client.get(`${b.url}${EVENT}`, cookie);
          const exchanges = simulator.counters().refresh.received - before;
          if (after.status !== 200) lost += 1;
          expect(exchanges === 1, `${exchanges} exchanges instead of 1`);
          expect(
            answers.every(({ status }) => status === 200),
            `answers: ${JSON.stringify(tally(answers))}`,
          );
          await untilBack(client, a.url);
        }
      } finally {
        await proxy.close();
      }
      expect(lost === 0, `${lost} sessions were lost`);
      return { numbers: { rounds, 'sessions lost': lost }, violations };
    }),
};

async function untilBack(client: Parameters<typeof logIn>[0], url: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while ((await client.get(`${url}/health/ready`, '')).status !== 200) {
    if (performance.now() > deadline) throw new Error('the gateway did not find Redis again');
    await delay(20);
  }
}
