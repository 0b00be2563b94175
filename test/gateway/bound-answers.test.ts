// Forwarded answers that last (server-sent events, long downloads) end with their session, here and on the other instance.
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { closeGateways, createTestClock, startGateway, type TestGatewayOptions } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const SLOW = '/delivery/api/v1/feed';
const KEYS = `k1:${Buffer.alloc(32, 1).toString('base64url')}`;

let upstream: ScriptedUpstream;
let redis: TestRedis;
const opened = new Set<{ destroy(): void }>();

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  await redis.client.flushall();
  upstream = await startScriptedUpstream();
});
afterEach(async () => {
  for (const each of opened) each.destroy();
  opened.clear();
  await closeGateways();
  await upstream.close();
});

const onRedis = () => ({ REDIS_URL: redis.url, SESSION_KEYS: KEYS });

async function startScene(options: TestGatewayOptions = {}) {
  const gateway = await startGateway(upstream.url, options);
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  return { gateway, browser };
}

/** What Finvera has under way, by the path it was asked for. */
interface Feed {
  readonly response: ServerResponse;
  isCancelled(): boolean;
}

/** From now on every answer is a stream that says `: here` at first and then what the test writes. */
function streamEvents(type = 'text/event-stream'): Feed[] {
  const feeds: Feed[] = [];
  upstream.script((_request, _count, response) => {
    let cancelled = false;
    response.on('close', () => {
      cancelled = true;
    });
    feeds.push({ response, isCancelled: () => cancelled });
    response.writeHead(200, { 'Content-Type': type });
    response.write(': here\n\n');
    return undefined;
  });
  return feeds;
}

interface Reader {
  readonly response: IncomingMessage;
  text(): string;
  /** Undefined while it is open. */
  ended(): 'whole' | 'cut' | undefined;
  leave(): void;
}

function read(url: string, cookie: string | undefined, path = SLOW, method = 'GET'): Promise<Reader> {
  return new Promise((resolve, reject) => {
    const headers = { Cookie: cookie ?? '', 'Sec-Fetch-Site': 'same-origin', 'Accept-Encoding': 'gzip, br' };
    const sent = request(url + path, { agent: false, method, headers }, (response) => {
      let text = '';
      let ended: 'whole' | 'cut' | undefined;
      response.on('data', (chunk) => {
        text += String(chunk);
      });
      response.on('error', () => undefined);
      response.on('close', () => {
        ended = response.complete ? 'whole' : 'cut';
      });
      resolve({ response, text: () => text, ended: () => ended, leave: () => sent.destroy() });
    });
    opened.add(sent);
    sent.on('error', reject);
    sent.end();
  });
}

const over = (reader: Reader, timeoutMs = 10_000) =>
  until('the end of the answer', () => reader.ended() !== undefined, timeoutMs);

const lasting = async (url: Awaited<ReturnType<typeof startGateway>>) =>
  Number(/open_streams\{kind="answers"\} (\d+)/.exec(await url.metrics())?.[1]);

describe('a long answer of a route', () => {
  test('passes each event at once, unkept, uncompressed, past FINVERA_BODY_TIMEOUT, and is cancelled when the browser leaves', async () => {
    const { gateway, browser } = await startScene({ env: { FINVERA_BODY_TIMEOUT: '1s' } });
    const feeds = streamEvents();
    const reader = await read(gateway.url, browser.cookie);
    expect(reader.response.headers).toMatchObject({ 'content-type': 'text/event-stream' });
    expect(reader.response.headers['content-encoding']).toBeUndefined();
    let beats = 1;
    await until('the first', () => reader.text() === ': here\n\n');
    for (; beats < 8; beats += 1) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      feeds[0]?.response.write(': here\n\n');
      await until('the heartbeat', () => reader.text() === ': here\n\n'.repeat(beats + 1), 900);
    }
    expect([reader.ended(), await lasting(gateway)]).toEqual([undefined, 1]);
    reader.leave();
    await until('the cancellation', () => feeds[0]?.isCancelled() === true);
    await until('nothing that lasts', async () => (await lasting(gateway)) === 0);
  });

  test('that Finvera leaves without a byte for FINVERA_BODY_TIMEOUT is cut', async () => {
    const { gateway, browser } = await startScene({ env: { FINVERA_BODY_TIMEOUT: '1s' } });
    const feeds = streamEvents();
    const reader = await read(gateway.url, browser.cookie);
    await over(reader);
    expect(reader.ended()).toBe('cut');
    await until('the cancellation', () => feeds[0]?.isCancelled() === true);
  });

  test.each([
    ['its logout', '/bff/logout', 'POST'],
    ['the end of all of the user’s', '/bff/sessions', 'DELETE'],
  ])(
    'is cut within a second of %s, here and on the other instance, and no other session’s is',
    async (_what, path, method) => {
      const { gateway, browser } = await startScene({ env: onRedis() });
      const there = await startGateway(upstream.url, { env: onRedis() });
      const other = gateway.browser();
      await other.login('standard@finvera.test');
      const feeds = streamEvents();
      const readers = await Promise.all([gateway.url, there.url].map((url) => read(url, browser.cookie)));
      const stranger = await read(there.url, other.cookie);
      await until('all that last', async () => (await lasting(gateway)) === 1 && (await lasting(there)) === 2);
      const startedAt = performance.now();
      expect((await browser.fetch(path, { method })).status).toBe(204);
      await Promise.all(readers.map((reader) => over(reader)));
      expect(performance.now() - startedAt).toBeLessThan(1_000);
      expect(readers.map((reader) => reader.ended())).toEqual(['cut', 'cut']);
      await until('the cancellation', () => feeds.filter((feed) => feed.isCancelled()).length === 2);
      expect(stranger.ended()).toBeUndefined();
      const cut = () => there.logLines().find(({ code }) => code === 'session_expired');
      await until('the line', () => cut() !== undefined);
      expect(cut()).toMatchObject({ status: 200, aborted: true });
    },
  );

  test('whose session ends a moment after its head is cut, too', async () => {
    const { gateway, browser } = await startScene({ env: onRedis() });
    const there = await startGateway(upstream.url, { env: onRedis() });
    streamEvents();
    const readers = await Promise.all([gateway.url, there.url].map((url) => read(url, browser.cookie)));
    const startedAt = performance.now();
    await browser.fetch('/bff/logout', { method: 'POST' });
    await Promise.all(readers.map((reader) => over(reader)));
    expect(performance.now() - startedAt).toBeLessThan(1_500);
  });

  test('stays open through a refresh', async () => {
    const { gateway, browser } = await startScene();
    const feeds = streamEvents();
    const reader = await read(gateway.url, browser.cookie);
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    expect((await browser.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
    feeds[0]?.response.end('data: last\n\n');
    await over(reader);
    expect([reader.ended(), reader.text()]).toEqual(['whole', ': here\n\ndata: last\n\n']);
  });

  test.each([
    ['idle', { SESSION_IDLE_TIMEOUT: '10m' }, 661_000],
    ['absolute', { SESSION_IDLE_TIMEOUT: '10m', SESSION_ABSOLUTE_TIMEOUT: '10m' }, 601_000],
  ])('is cut as its session expires (%s)', async (_reason, env, ms) => {
    const clock = createTestClock();
    const { gateway, browser } = await startScene({ env, clock });
    streamEvents();
    const reader = await read(gateway.url, browser.cookie);
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    clock.advance(ms);
    await over(reader);
    expect(reader.ended()).toBe('cut');
  });

  test('goes on while the store is down, and is cut after 30 s in which nobody could say whether its session lives', async () => {
    const clock = createTestClock();
    const { gateway, browser } = await startScene({ env: onRedis(), clock });
    const feeds = streamEvents();
    const reader = await read(gateway.url, browser.cookie);
    await until('hearing', () => gateway.logText().includes('session events are heard'));
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    redis.pause();
    try {
      await until('the loss', () => gateway.logText().includes('invalidation_lost'));
      // The doubt begins with a look at the hearing, by this clock: passed only after that.
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      clock.advance(28_000);
      feeds[0]?.response.write(': still\n\n');
      await until('the heartbeat', () => reader.text().endsWith(': still\n\n'));
      clock.advance(3_000);
      await over(reader);
      expect(reader.ended()).toBe('cut');
      await until('the line', () => gateway.logLines().some(({ code }) => code === 'store_unavailable'));
    } finally {
      redis.resume();
    }
  });

  test('to a reader that takes nothing is cut at the logout, too', async () => {
    const { gateway, browser } = await startScene();
    const feeds = streamEvents('application/octet-stream');
    const reader = await read(gateway.url, browser.cookie);
    reader.response.pause();
    const feed = () => {
      const response = feeds[0]?.response;
      if (response && !response.destroyed) response.write(Buffer.alloc(1_048_576), feed);
    };
    feed();
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    await browser.fetch('/bff/logout', { method: 'POST' });
    await until('the cancellation', () => feeds[0]?.isCancelled() === true, 1_500);
    await until('nothing that lasts', async () => (await lasting(gateway)) === 0);
  });

  test('to an API key’s route ends with the session, to a public one it does not', async () => {
    const route = { methods: ['GET'], apiKeyIn: 'bearer' } as const;
    const { gateway, browser } = await startScene({
      env: { FINVERA_API_KEY: 'sk_0123456789abcdef' },
      settings: {
        routes: [
          { ...route, path: '/delivery', credential: 'api-key' },
          { ...route, path: '/public', credential: 'none' },
        ],
      },
    });
    streamEvents();
    const bound = await read(gateway.url, browser.cookie);
    const free = await read(gateway.url, browser.cookie, '/public/feed');
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    await browser.fetch('/bff/logout', { method: 'POST' });
    await over(bound);
    expect([bound.ended(), free.ended()]).toEqual(['cut', undefined]);
  });

  test('of a shared route that is too large to keep is cut, too', async () => {
    const { gateway, browser } = await startScene({
      settings: {
        routes: [
          {
            path: '/delivery',
            methods: ['GET'],
            credential: 'session',
            apiKeyIn: 'bearer',
            cache: { ttl: 60_000, staleWhileRevalidate: 0, staleIfError: 0, scope: 'user' },
          },
        ],
      },
    });
    const feeds: ServerResponse[] = [];
    upstream.script((_request, _count, response) => {
      feeds.push(response);
      response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': '1000000000' });
      response.write(Buffer.alloc(4_000_000));
      return undefined;
    });
    const reader = await read(gateway.url, browser.cookie);
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    await browser.fetch('/bff/logout', { method: 'POST' });
    await over(reader, 1_500);
    expect(reader.ended()).toBe('cut');
    await until('the cancellation', () => feeds[0]?.destroyed === true);
  });
});

describe('a request that Finvera has not answered yet', () => {
  test('is answered 401 and given up where it only reads', async () => {
    const { gateway, browser } = await startScene();
    let cancelled = false;
    upstream.script((_request, _count, response) => {
      response.on('close', () => {
        cancelled = true;
      });
      return undefined;
    });
    const pending = read(gateway.url, browser.cookie);
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    await browser.fetch('/bff/logout', { method: 'POST' });
    const reader = await pending;
    await over(reader);
    expect([reader.response.statusCode, reader.text()]).toEqual([401, expect.stringContaining('session_expired')]);
    expect(reader.response.headers['set-cookie']).toEqual([expect.stringContaining('Max-Age=0')]);
    await until('the cancellation', () => cancelled);
  });

  test('and that changes something gets its answer: it says what became of the change', async () => {
    const { gateway, browser } = await startScene({
      settings: { routes: [{ path: '/delivery', methods: ['POST'], credential: 'session', apiKeyIn: 'bearer' }] },
    });
    const responses: ServerResponse[] = [];
    upstream.script((_request, _count, response) => {
      responses.push(response);
      return undefined;
    });
    const pending = read(gateway.url, browser.cookie, SLOW, 'POST');
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    await browser.fetch('/bff/logout', { method: 'POST' });
    await until('that it is over', async () => (await lasting(gateway)) === 0);
    responses[0]?.end('done');
    const reader = await pending;
    await over(reader);
    expect([reader.response.statusCode, reader.ended(), reader.text()]).toEqual([200, 'whole', 'done']);
    expect(reader.response.headers['set-cookie']).toBeUndefined();
    // An answer to a change that would last ends like others.
    await browser.login();
    const again = read(gateway.url, browser.cookie, SLOW, 'POST');
    await until('that it lasts', async () => (await lasting(gateway)) === 1);
    await browser.fetch('/bff/logout', { method: 'POST' });
    responses[1]?.write('begun');
    const long = await again;
    await over(long);
    expect([long.text(), long.ended()]).toEqual(['begun', 'cut']);
  });
});
