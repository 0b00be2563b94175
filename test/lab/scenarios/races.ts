// Two things that must not get in each other's way: a logout and a refresh; a holder of the lock that dies.
import { setTimeout as delay } from 'node:timers/promises';
import type { GatewayProcess } from '../gateway-process.ts';
import { inParallel, type LabAnswer, logIn, tally } from '../load.ts';
import { createVerdict, EVENT, type Lab, type Scenario, withLab } from '../scenario.ts';

const LIFE_S = 1;
const EXPIRED_MS = LIFE_S * 1_000 + 50;

export const logoutWhileRefreshHangs: Scenario = {
  name: 'logout while a refresh hangs',
  run: ({ repetitions }) =>
    withLab({ accessTokenLifeS: LIFE_S }, async ({ simulator, client, start, redis }) => {
      const [a, b] = await Promise.all([start({ REFRESH_AHEAD: '0' }), start({ REFRESH_AHEAD: '0' })]);
      const users = Array.from({ length: repetitions }, (_, i) => `user-${i}@finvera.test`);
      const results = await inParallel(users, 10, async (email) => {
        const cookie = await logIn(client, a.url, email);
        await delay(EXPIRED_MS);
        const hang = simulator.addFault({ match: { call: 'refresh' }, fault: 'latency', ms: 400 });
        const request = client.get(`${a.url}${EVENT}`, cookie);
        await delay(100);
        const logout = await client.post(`${b.url}/bff/logout`, cookie);
        const answer = await request;
        hang.remove();
        const after = await Promise.all([a, b].map(({ url }) => client.get(`${url}/bff/session`, cookie)));
        return { logout, answer, after };
      });
      const left = (await redis.client.keys('*:session')).length;
      const { expect, violations } = createVerdict();
      const resurrected = results.filter(({ after }) => after.some(({ status }) => status !== 401)).length;
      expect(resurrected === 0, `${resurrected} sessions were alive after their logout`);
      expect(left === 0, `${left} sessions are left in Redis`);
      expect(
        results.every(({ logout }) => logout.status === 204),
        `logouts: ${JSON.stringify(tally(results.map((r) => r.logout)))}`,
      );
      const answers = results.map((r) => r.answer);
      expect(
        answers.every(({ status }) => status === 401),
        `hanging requests: ${JSON.stringify(tally(answers))}`,
      );
      return { numbers: { repetitions, resurrected, 'left in Redis': left, ...tally(answers) }, violations };
    }),
};

const WAITERS = 6;
const BATCH = 10;

export const holderKilled: Scenario = {
  name: 'kill -9 of the process that holds the refresh lock',
  run: ({ repetitions }) =>
    withLab({ accessTokenLifeS: LIFE_S }, async (lab) => {
      const { start } = lab;
      const [b, c] = await Promise.all([start({ REFRESH_AHEAD: '0' }), start({ REFRESH_AHEAD: '0' })]);
      const answers: LabAnswer[] = [];
      let lost = 0;
      // Several victims at a time: what takes the time is waiting for a dead holder's lock.
      for (let done = 0; done < repetitions; done += BATCH) {
        const size = Math.min(BATCH, repetitions - done);
        const emails = Array.from({ length: size }, (_, i) => `user-${done + i}@finvera.test`);
        const results = await killBatch(lab, [b, c], emails);
        answers.push(...results.waiting);
        lost += results.after.filter(({ status }) => status !== 200).length;
      }
      const { expect, violations } = createVerdict();
      const slowest = Math.max(...answers.map(({ ms }) => ms));
      expect(slowest < 15_000, `the slowest answer took ${Math.round(slowest)} ms`);
      expect(lost === 0, `${lost} sessions were lost although Finvera had not rotated`);
      expect(
        answers.every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(answers))}`,
      );
      return {
        numbers: { repetitions, 'sessions lost': lost, 'slowest answer, ms': Math.round(slowest), ...tally(answers) },
        violations,
      };
    }),
};

/** Each victim asks first and hangs before Finvera has done anything; others wait for it; it is killed. */
async function killBatch(
  { simulator, client, start }: Lab,
  others: readonly GatewayProcess[],
  emails: readonly string[],
) {
  const url = (i: number) => `${others[i % others.length]?.url}`;
  const victims = await Promise.all(
    emails.map(async (email) => {
      const gateway = await start({ REFRESH_AHEAD: '0' });
      return { gateway, cookie: await logIn(client, gateway.url, email) };
    }),
  );
  await delay(EXPIRED_MS);
  const before = simulator.counters().refresh.received;
  // Neither answered nor carried out: Finvera has not rotated.
  simulator.addFault({ match: { call: 'refresh' }, fault: 'hang', times: victims.length });
  const dying = victims.map(({ gateway, cookie }) => client.get(`${gateway.url}${EVENT}`, cookie));
  await simulator.waitForRequests('refresh', before + victims.length, 10_000);
  const waiting = victims.flatMap(({ cookie }) =>
    Array.from({ length: WAITERS }, (_, i) => client.get(`${url(i)}${EVENT}`, cookie)),
  );
  await delay(50);
  for (const { gateway } of victims) gateway.kill('SIGKILL');
  await Promise.all(dying);
  const answered = await Promise.all(waiting);
  simulator.clearFaults();
  const after = await Promise.all(victims.map(({ cookie }, i) => client.get(`${url(i)}/bff/session`, cookie)));
  return { waiting: answered, after };
}
