// Many requests find tokens expired at the same moment, on several processes.
import { setTimeout as delay } from 'node:timers/promises';
import { inParallel, logIn, tally } from '../load.ts';
import { createVerdict, EVENT, type Scenario, withLab } from '../scenario.ts';

const PROCESSES = 4;
const SHORT_LIFE_S = 2;
const EXPIRED_MS = SHORT_LIFE_S * 1_000 + 50;

export const oneSession: Scenario = {
  name: 'one expired session, many requests, four processes',
  run: ({ storm }) =>
    withLab({ accessTokenLifeS: SHORT_LIFE_S }, async ({ simulator, client, start }) => {
      const gateways = await Promise.all(Array.from({ length: PROCESSES }, () => start({ REFRESH_AHEAD: '0' })));
      const urls = gateways.map(({ url }) => url);
      const cookie = await logIn(client, urls[0] ?? '');
      await delay(EXPIRED_MS);
      simulator.configure({ accessTokenLifeS: 3_600 });
      const answers = await Promise.all(
        Array.from({ length: storm }, (_, i) => client.get(`${urls[i % PROCESSES]}${EVENT}`, cookie)),
      );
      const exchanges = simulator.counters().refresh.received;
      const { expect, violations } = createVerdict();
      expect(exchanges === 1, `${exchanges} exchanges instead of 1`);
      expect(
        answers.every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(answers))}`,
      );
      const slowest = Math.max(...answers.map(({ ms }) => ms));
      return {
        numbers: { requests: storm, exchanges, ...tally(answers), 'slowest answer, ms': Math.round(slowest) },
        violations,
      };
    }),
};

export const manySessions: Scenario = {
  name: 'many different expired sessions at once, four processes',
  run: ({ storm }) =>
    withLab({ accessTokenLifeS: 3_600 }, async ({ simulator, client, start }) => {
      const gateways = await Promise.all(Array.from({ length: PROCESSES }, () => start({ REFRESH_AHEAD: '0' })));
      const urls = gateways.map(({ url }) => url);
      // Long enough that the first session is still good when the last one has begun.
      const lifeS = Math.max(5, Math.ceil(storm / 50));
      simulator.configure({ accessTokenLifeS: lifeS });
      const users = Array.from({ length: storm }, (_, i) => `user-${i}@finvera.test`);
      const cookies = await inParallel(users, 32, (email, i) => logIn(client, urls[i % PROCESSES] ?? '', email));
      await delay(lifeS * 1_000 + 50);
      simulator.configure({ accessTokenLifeS: 3_600 });
      const answers = await Promise.all(
        cookies.map((cookie, i) => client.get(`${urls[i % PROCESSES]}${EVENT}`, cookie)),
      );
      const exchanges = simulator.counters().refresh.received;
      const { expect, violations } = createVerdict();
      expect(exchanges === storm, `${exchanges} exchanges instead of ${storm}`);
      expect(
        answers.every(({ status }) => status === 200),
        `answers: ${JSON.stringify(tally(answers))}`,
      );
      return { numbers: { sessions: storm, exchanges, ...tally(answers) }, violations };
    }),
};

export const alwaysUnauthorized: Scenario = {
  name: 'an endpoint that always answers 401 costs one exchange, not one a request',
  run: ({ storm }) =>
    withLab({}, async ({ simulator, client, start }) => {
      const gateways = await Promise.all([start(), start()]);
      const cookie = await logIn(client, gateways[0]?.url ?? '');
      simulator.addFault({ match: { call: 'data' }, fault: 'unauthorized' });
      const answers = await inParallel(Array.from({ length: storm }), 16, (_, i) =>
        client.get(`${gateways[i % 2]?.url}${EVENT}`, cookie),
      );
      simulator.clearFaults();
      const after = await client.get(`${gateways[0]?.url}${EVENT}`, cookie);
      const exchanges = simulator.counters().refresh.received;
      const { expect, violations } = createVerdict();
      expect(exchanges === 1, `${exchanges} exchanges instead of 1`);
      expect(
        answers.every(({ status, code }) => status === 401 && code === undefined),
        `answers other than Finvera's 401: ${JSON.stringify(tally(answers))}`,
      );
      expect(after.status === 200, `the session did not stay: ${after.status} ${after.code ?? ''}`);
      return { numbers: { requests: storm, exchanges }, violations };
    }),
};
