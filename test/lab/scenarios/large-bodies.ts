// Bodies far larger than the gateway's memory may grow, and a peer that takes them slowly.
import { createServer, type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { forgeSessions } from '../../support/forge-sessions.ts';
import { inspected, watchMemory } from '../process-memory.ts';
import { createVerdict, FULL, forgery, type Scale, type Scenario, withConfig, withLab } from '../scenario.ts';

const MB = 1_000_000;
/** Enough to compile what is needed and to have every buffer at its size. */
const WARM_UP_BYTES = 64 * MB;
/** What the slow side takes; the other one gives all it can. */
const SLOW_BYTES_PER_SECOND = 25 * MB;
const MAX_GROWTH_MB = 30;
const ROUTE = 'routes: [{ path: /delivery, credential: session, maxBodyBytes: 1gb }]\n';
const BLOCK = Buffer.alloc(64 * 1024, 'x');

/** @returns how many bytes arrived at the other end. */
type Transfer = (url: string, cookie: string, bytes: number) => Promise<number>;

export const downloadToSlowReader: Scenario = {
  name: 'memory while a large body goes down to a slow reader',
  run: (scale) =>
    measure(scale, async (url, cookie, bytes) => takeSlowly(await ask(`${url}/delivery/${bytes}`, cookie))),
};

export const uploadToSlowUpstream: Scenario = {
  name: 'memory while a large body goes up to a slow upstream',
  run: (scale) =>
    measure(scale, async (url, cookie, bytes) => {
      const answer = await ask(`${url}/delivery/upload`, cookie, bytes);
      return Number(Buffer.concat(await answer.toArray()).toString());
    }),
};

function measure(scale: Scale, transfer: Transfer) {
  return withConfig(ROUTE, (GATEWAY_CONFIG) =>
    withLab({}, async ({ redis, start }) => {
      const isFull = scale.storm >= FULL.storm;
      const bytes = (isFull ? 1_000 : 16) * MB;
      const upstream = await startUpstream();
      try {
        const [cookie = ''] = await forgeSessions(forgery(redis.url), 1);
        const { env, settle } = await inspected();
        const { pid, url } = await start({ ...env, GATEWAY_CONFIG, FINVERA_URL: upstream.url });
        await transfer(url, cookie, Math.min(bytes, WARM_UP_BYTES));
        const before = await settle(pid);
        const watch = watchMemory(pid);
        const startedAt = performance.now();
        const passed = await transfer(url, cookie, bytes);
        const seconds = (performance.now() - startedAt) / 1_000;
        const growthMb = (watch.stop() - before) / MB;
        const { expect, violations } = createVerdict();
        expect(passed === bytes, `${passed} of ${bytes} bytes arrived`);
        if (isFull) expect(growthMb <= MAX_GROWTH_MB, `memory grew by ${growthMb.toFixed(1)} MB`);
        const numbers = {
          'body, MB': bytes / MB,
          'MB/s': Math.round(bytes / MB / seconds),
          'before, MB': Math.round(before / MB),
          'growth at most, MB': Number(growthMb.toFixed(1)),
        };
        return { numbers, violations };
      } finally {
        upstream.close();
      }
    }),
  );
}

/** Answers a GET with as many bytes as its path says, as fast as they are taken, and takes the body of a POST slowly. */
async function startUpstream() {
  const server = createServer(async (asked, answer) => {
    if (asked.method === 'POST') return void answer.end(String(await takeSlowly(asked)));
    const bytes = Number(asked.url?.split('/').at(-1));
    answer.setHeader('Content-Length', bytes);
    // Who leaves in between ends it.
    await pipeline(blocks(bytes), answer).catch(() => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function takeSlowly(body: IncomingMessage): Promise<number> {
  const startedAt = performance.now();
  let taken = 0;
  for await (const chunk of body) {
    taken += (chunk as Buffer).length;
    const aheadMs = (taken / SLOW_BYTES_PER_SECOND) * 1_000 - (performance.now() - startedAt);
    if (aheadMs > 1) await delay(aheadMs);
  }
  return taken;
}

/** A POST where there are bytes to send. */
async function ask(url: string, cookie: string, bytes?: number): Promise<IncomingMessage> {
  const answered = Promise.withResolvers<IncomingMessage>();
  const headers = { Cookie: cookie, 'Sec-Fetch-Site': 'same-origin' };
  const options: RequestOptions =
    bytes === undefined ? { headers } : { method: 'POST', headers: { ...headers, 'Content-Length': bytes } };
  const sent = request(url, { ...options, agent: false }, answered.resolve).on('error', answered.reject);
  if (bytes === undefined) sent.end();
  else await pipeline(blocks(bytes), sent);
  const answer = await answered.promise;
  if (answer.statusCode !== 200) throw new Error(`${url} answers ${answer.statusCode}`);
  return answer;
}

function blocks(bytes: number): Readable {
  let left = bytes;
  return new Readable({
    read() {
      const size = Math.min(left, BLOCK.length);
      left -= size;
      this.push(size === 0 ? null : BLOCK.subarray(0, size));
    },
  });
}
