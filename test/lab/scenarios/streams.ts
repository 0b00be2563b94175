// Streams by the thousand: what each costs while nothing happens on it, and how soon it ends with its session.
import { forgeSessions } from '../../support/forge-sessions.ts';
import { startStreamUpstream } from '../../support/stream-client.ts';
import { until } from '../../support/until.ts';
import { type BareWebSocket, openBareWebSocket } from '../bare-web-socket.ts';
import { inParallel, logIn } from '../load.ts';
import { inspected } from '../process-memory.ts';
import { createVerdict, FULL, forgery, type Scale, type Scenario, withConfig, withLab } from '../scenario.ts';

const KEY = 'sk_lab';
const MAX_KB_EACH = 25;
const OPENING_AT_ONCE = 50;
const LONG_MS = 60_000;
const MAX_END_MS = 1_000;
const SESSION_ENDED = 4401;

const isFull = ({ storm }: Scale) => storm >= FULL.storm;

export const idleStreamsOfTheirOwn = idleStreams('tunnel', 'an upstream connection each');
export const idleStreamsOfTheHub = idleStreams('hub', 'one upstream connection for all');

/** A session each, which is the most that a stream can cost. */
function idleStreams(mode: 'tunnel' | 'hub', what: string): Scenario {
  return {
    name: `memory of idle streams, ${what}`,
    run: (scale) =>
      withConfig(`streams: {mode: ${mode}, credential: api-key}\n`, (config) =>
        withLab({}, async ({ redis, start }) => {
          const count = isFull(scale) ? 5_000 : 200;
          const upstream = await startStreamUpstream();
          const opened: BareWebSocket[] = [];
          try {
            const cookies = await forgeSessions(forgery(redis.url), count * 2);
            const { env, settle } = await inspected();
            const { pid, url } = await start({
              ...env,
              GATEWAY_CONFIG: config,
              FINVERA_API_KEY: KEY,
              FINVERA_STREAM_URL: upstream.url,
            });
            const open = async (cookie: string) => {
              const quiet = { onText: () => undefined, onClose: () => undefined };
              opened.push(await openBareWebSocket(`${url}/stream`, { Cookie: cookie, Origin: url }, quiet));
            };
            // Code is compiled and buffers are at their size before it counts.
            await inParallel(cookies.slice(0, count / 10), OPENING_AT_ONCE, open);
            for (const { socket } of opened.splice(0)) socket.destroy();
            await until('the first ones to end', () => upstream.streams.every(({ closed }) => closed()), LONG_MS);
            const before = await settle(pid);
            await inParallel(cookies.slice(count), OPENING_AT_ONCE, open);
            const kb = ((await settle(pid)) - before) / 1_000 / count;
            const { expect, violations } = createVerdict();
            expect(opened.length === count, `${opened.length} of ${count} are open`);
            if (isFull(scale)) expect(kb <= MAX_KB_EACH, `${kb.toFixed(1)} KB a stream`);
            const numbers = {
              streams: count,
              'before, MB': Math.round(before / 1e6),
              'KB a stream': Number(kb.toFixed(1)),
            };
            return { numbers, violations };
          } finally {
            for (const { socket } of opened) socket.destroy();
            await upstream.close();
          }
        }),
      ),
  };
}

export const logoutEndsStreams: Scenario = {
  name: 'a logout on one instance closes streams on another with 4401 within a second',
  run: ({ repetitions }) =>
    withLab({}, async ({ client, simulator, start }) => {
      const env = { FINVERA_STREAM_URL: simulator.url.replace('http', 'ws') };
      const [a, b] = await Promise.all([start(env), start(env)]);
      const { expect, violations } = createVerdict();
      const delays: number[] = [];
      const codes: number[] = [];
      const tries = Math.min(repetitions, 100);
      for (let i = 0; i < tries; i += 1) {
        const cookie = await logIn(client, a.url, `user-${i}@finvera.test`);
        const ended = Promise.withResolvers<number>();
        const listener = { onText: () => undefined, onClose: ended.resolve };
        await openBareWebSocket(`${b.url}/stream`, { Cookie: cookie, Origin: b.url }, listener);
        const startedAt = performance.now();
        await client.post(`${a.url}/bff/logout`, cookie);
        codes.push(await ended.promise);
        delays.push(performance.now() - startedAt);
      }
      const right = codes.filter((code, i) => code === SESSION_ENDED && (delays[i] ?? 0) <= MAX_END_MS).length;
      expect(right === tries, `${right} of ${tries}; codes ${[...new Set(codes)]}, slowest ${Math.max(...delays)} ms`);
      const slowest = Math.round(Math.max(...delays) * 10) / 10;
      return { numbers: { tries, 'closed with 4401 within 1 s': right, 'slowest, ms': slowest }, violations };
    }),
};
