// Many requests find tokens expired at the same moment: what a refresh storm costs in exchanges and in time.
import { setTimeout as delay } from 'node:timers/promises';
import { createSimulator } from '../../simulator/simulator.ts';
import { createLabClient, inParallel, type LabAnswer, type LabClient, logIn, tally } from '../../test/lab/load.ts';
import { startGateway } from '../contenders/this-gateway.ts';
import { EVENT_PATH } from '../job.ts';
import { startStage } from '../stage.ts';
import { type Cell, type Part, type Section, table } from './part.ts';

const REQUESTS = 1_000;
const LONG_LIFE_S = 3_600;
/** Long enough that the first session is still good when the last has begun, on a slow machine too. */
const SHORT_LIFE_S = 30;
const LOGIN_WIDTH = 16;

export const storm: Part = { name: 'storm', run };

async function run(): Promise<Section> {
  await using stack = new AsyncDisposableStack();
  const stage = await startStage();
  stack.defer(() => stage.end());
  const finvera = await createSimulator({
    record: false,
    anyUser: true,
    tokenSizes: { access: 900, refresh: 700 },
    accessTokenLifeS: SHORT_LIFE_S,
  });
  stack.defer(() => finvera.close());
  const gateway = await startGateway(
    { ...stage, upstreamPort: finvera.port },
    {
      LOGIN_LIMIT_ACCOUNT: 'off',
      LOGIN_LIMIT_ADDRESS: 'off',
      REFRESH_AHEAD: '0',
    },
  );
  stack.defer(() => gateway.end());
  const client = createLabClient(REQUESTS);
  stack.defer(() => client.close());
  const url = `http://127.0.0.1:${gateway.port}`;
  const violations: string[] = [];

  const rows: Cell[][] = [];
  for (const sessions of [1, REQUESTS]) {
    finvera.reset();
    const users = Array.from({ length: sessions }, (_, i) => `user-${sessions}-${i}@finvera.test`);
    const cookies = await inParallel(users, LOGIN_WIDTH, (email) => logIn(client, url, email));
    await delay(SHORT_LIFE_S * 1_000);
    finvera.configure({ accessTokenLifeS: LONG_LIFE_S });
    const { answers, seconds } = await strike(client, url, cookies);
    const exchanges = finvera.counters().refresh.received;
    const good = answers.filter(({ status }) => status === 200).length;
    const busy = answers.filter(({ status }) => status === 503).length;
    // On a machine too slow for so many at once some exchanges take longer than they may: the answer is 503, and tried again.
    if (good + busy !== REQUESTS) violations.push(`answers: ${JSON.stringify(tally(answers))}`);
    if (busy === 0 && exchanges !== sessions) violations.push(`${exchanges} exchanges instead of ${sessions}`);
    const slowest = Math.max(...answers.map(({ ms }) => ms));
    const label = sessions === 1 ? 'one session' : `${sessions.toLocaleString('en-GB')} sessions`;
    rows.push([label, REQUESTS, exchanges, good, busy, seconds * 1_000, slowest]);
  }
  const head = [
    'expired at once',
    'requests at once',
    'exchanges with Finvera',
    '200',
    '503',
    'all answered after ms',
    'slowest ms',
  ];
  return { title: 'Refresh storm', text: `One process, Redis as the store.\n\n${table(head, rows)}`, violations };
}

async function strike(client: LabClient, url: string, cookies: readonly string[]) {
  const startedAt = performance.now();
  const answers: LabAnswer[] = await Promise.all(
    Array.from({ length: REQUESTS }, (_, i) => client.get(`${url}${EVENT_PATH}`, cookies[i % cookies.length] ?? '')),
  );
  return { answers, seconds: (performance.now() - startedAt) / 1_000 };
}
