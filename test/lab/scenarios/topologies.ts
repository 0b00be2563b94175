// Sentinel and Cluster: the master dies under load and another takes over.
import { setTimeout as delay } from 'node:timers/promises';
import { startCluster } from '../../support/redis-cluster.ts';
import { startSentinel } from '../../support/redis-sentinel.ts';
import { type LabAnswer, type LabClient, logIn } from '../load.ts';
import { createVerdict, EVENT, type Scenario, withLab } from '../scenario.ts';
import { judgeOutage, type OutageTrace, traceOutage } from './outages.ts';

/** From the failover's end to the first success: the gateways must find the new master by themselves. */
const RECOVERY_LIMIT_MS = 1_500;
const REVOCATION_LIMIT_MS = 1_000;

/** Each round is a failover of its own: what two things at the same time do wrong shows in some of them only. */
export const sentinelFailover: Scenario = {
  name: 'Sentinel failover under load',
  async run({ repetitions }) {
    const rounds = Math.max(2, repetitions / 20);
    const traces: OutageTrace[] = [];
    const failovers: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { trace, failoverMs } = await failOver();
      traces.push(trace);
      failovers.push(failoverMs);
    }
    const answers = traces.flatMap((trace) => trace.answers);
    const recoveryMs = Math.max(...traces.map((trace) => trace.recoveryMs));
    const judged = judgeOutage({ answers, recoveryMs }, RECOVERY_LIMIT_MS);
    const slowest = Math.round(Math.max(...failovers));
    return { ...judged, numbers: { failovers: rounds, ...judged.numbers, 'slowest failover itself, ms': slowest } };
  },
};

function failOver(): Promise<{ trace: OutageTrace; failoverMs: number }> {
  return withLab({}, async ({ client, start }) => {
    const sentinel = await startSentinel();
    try {
      const gateways = await Promise.all([start({ REDIS_URL: sentinel.url }), start({ REDIS_URL: sentinel.url })]);
      const cookie = await logIn(client, gateways[0].url);
      const killedAt = performance.now();
      let failoverMs = 0;
      const trace = await traceOutage(client, gateways, cookie, {
        begin: () => sentinel.killMaster(),
        end: async () => {
          await sentinel.untilFailedOver();
          failoverMs = performance.now() - killedAt;
        },
        lastsMs: 500,
      });
      return { trace, failoverMs };
    } finally {
      await sentinel.close();
    }
  });
}

export const clusterFailover: Scenario = {
  name: 'Cluster: the main job, and a node that dies under load',
  run: ({ repetitions }) =>
    withLab({}, async ({ client, start, simulator }) => {
      const cluster = await startCluster();
      const { expect, violations } = createVerdict();
      try {
        const gateways = await Promise.all([start({ REDIS_URL: cluster.url }), start({ REDIS_URL: cluster.url })]);
        const [a, b] = gateways;
        // Sessions in many slots: a command over two of them would fail.
        for (let i = 0; i < Math.min(repetitions, 30); i += 1) {
          const cookie = await logIn(client, a.url, `user-${i}@finvera.test`);
          const forwarded = await client.get(`${b.url}${EVENT}`, cookie);
          const refreshed = await client.post(`${b.url}/bff/refresh`, cookie);
          const listed = await client.get(`${a.url}/bff/sessions`, cookie);
          const logout = await client.post(`${b.url}/bff/logout`, cookie);
          // The other instance hears of it over the Cluster's bus: within the second that the contract allows.
          const after = await untilUnauthorized(client, `${a.url}/bff/session`, cookie);
          const statuses = [forwarded, refreshed, listed, logout, after].map(({ status }) => status).join(' ');
          expect(statuses === '200 200 200 204 401', `the main job went ${statuses}`);
        }
        const cookie = await logIn(client, a.url);
        const exchangesBefore = simulator.counters().refresh.received;
        const [sessionKey = ''] = (await cluster.keys()).filter((key) => key.endsWith(':session'));
        const trace = await traceOutage(
          client,
          gateways,
          cookie,
          { begin: () => cluster.killMasterOf(sessionKey), end: () => undefined, lastsMs: 500 },
          30_000,
        );
        // The failover of a Cluster node takes its node timeout and an election: 10 s here at the most.
        const judged = judgeOutage(trace, 10_000);
        return {
          numbers: { ...judged.numbers, 'exchanges before': exchangesBefore },
          violations: [...violations, ...judged.violations],
        };
      } finally {
        await cluster.close();
      }
    }),
};

async function untilUnauthorized(client: LabClient, url: string, cookie: string): Promise<LabAnswer> {
  const deadline = performance.now() + REVOCATION_LIMIT_MS;
  for (;;) {
    const answer = await client.get(url, cookie);
    if (answer.status === 401 || performance.now() > deadline) return answer;
    await delay(5);
  }
}
