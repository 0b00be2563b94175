// What users do all day, small: they read, log in and out, hold streams open; until it is told to end. Causes no incident.
import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import type { Simulator } from '../../../simulator/simulator.ts';
import type { GatewayProcess } from '../gateway-process.ts';
import { type LabClient, logIn } from '../load.ts';
import { EVENT } from '../scenario.ts';
import { createStreamLoad } from '../stream-load.ts';

const USERS = 24;
const STREAMS = 8;
const SEARCHES = ['AAPL', 'MSFT', 'NVDA'].map((symbol) => `/search/api/v1/securities?search=${symbol}`);
/** Of the tier that Finvera limits to 60 calls a minute. */
export const LIMITED_USER = 'standard@finvera.test';

interface Everyday {
  /** Resolves when everybody has stopped. */
  end(): Promise<void>;
}

export async function beginEveryday(
  client: LabClient,
  simulator: Simulator,
  gateways: readonly GatewayProcess[],
): Promise<Everyday> {
  let ended = false;
  const leaving = new AbortController();
  const urlOf = (i: number) => gateways[i % gateways.length]?.url ?? '';
  const names = Array.from({ length: USERS }, (_, i) => `user-${i}@finvera.test`);
  const cookies = await Promise.all(names.map((name, i) => logIn(client, urlOf(i), name)));
  const limited = await logIn(client, urlOf(0), LIMITED_USER);

  /** Does it again and again; nothing that fails ends it, that is what the panels show. */
  const repeat = async (everyMs: number, work: (round: number) => Promise<unknown>) => {
    for (let round = 0; !ended; round += 1) {
      await work(round).catch(() => undefined);
      await delay(everyMs);
    }
  };

  const readers = cookies.map((cookie, i) =>
    // Two at once, one on each instance, as a page with two widgets would behind a balancer.
    repeat(500, (round) =>
      Promise.all([
        client.get(urlOf(i) + EVENT, cookie),
        client.get(urlOf(i + 1) + (SEARCHES[(i + round) % SEARCHES.length] ?? ''), cookie),
      ]),
    ),
  );
  const visitors = repeat(1_500, async (round) => {
    const cookie = await logIn(client, urlOf(round), `visitor-${round}@finvera.test`);
    await client.get(urlOf(round) + EVENT, cookie);
    await client.post(`${urlOf(round)}/bff/logout`, cookie);
  });
  const eager = repeat(600, () => client.get(urlOf(0) + EVENT, limited));
  // A cookie that nobody has any more: only the store can tell.
  const strangers = repeat(500, (round) => {
    const id = Buffer.alloc(32, round % 256).toString('base64url');
    return client.get(urlOf(round) + EVENT, `__Host-finvera_session=${id}`);
  });
  const revoked = repeat(7_000, async (round) => simulator.revoke('access', names[round % USERS]));
  const foreign = repeat(3_000, async (round) => {
    const headers = { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example' };
    const answer = await request(`${urlOf(round)}/bff/logout`, { method: 'POST', headers });
    await answer.body.dump();
  });
  const pages = createStreamLoad();
  // A page comes back when its stream is closed, and leaves by itself after a while.
  const streams = Array.from({ length: STREAMS }, (_, i) =>
    repeat(1_500, async (round) => {
      const symbols = simulator.symbols().slice(i % 4, (i % 4) + 4);
      const { socket, code } = await pages.open(urlOf(i + round), cookies[i] ?? '', symbols);
      const leavesAt = performance.now() + 20_000 + i * 10_000;
      while (!ended && code() === undefined && performance.now() < leavesAt) await delay(200);
      socket.destroy();
    }),
  );
  const listening = cookies.slice(0, 4).map((cookie, i) =>
    repeat(1_500, async () => {
      const headers = { cookie, 'sec-fetch-site': 'same-origin' };
      const { body } = await request(`${urlOf(i)}/bff/events`, { headers, signal: leaving.signal });
      for await (const _ of body) if (ended) break;
    }),
  );
  return {
    async end() {
      ended = true;
      leaving.abort();
      await Promise.all([...readers, ...streams, ...listening, visitors, eager, strangers, revoked, foreign]);
    },
  };
}
