// /stream in hub mode, from the page to the simulated Finvera: many browsers, one upstream connection with the server's key.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import type { StreamSettings } from '../../src/config/settings.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { closeStreamClients, openStream, refusedStream, type StreamClient } from '../support/stream-client.ts';
import { streamSettings } from '../support/stream-settings.ts';
import { closeGateways, startGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const KEY = 'sk_hub_key_of_the_server';
const WAIT_MS = 10_000;
let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator({ apiKey: KEY });
});
afterEach(async () => {
  closeStreamClients();
  await closeGateways();
  await simulator.close();
});

async function startHub(streams: Partial<StreamSettings> = {}) {
  const gateway = await startGateway(simulator, {
    settings: {
      finveraStreamUrl: simulator.url.replace('http', 'ws'),
      finveraApiKey: new Secret(KEY),
      streams: streamSettings({ mode: 'hub', credential: 'api-key', ...streams }),
    },
  });
  const page = gateway.browser();
  expect((await page.login()).status).toBe(200);
  const target = { url: gateway.url, cookie: page.cookie };
  return { gateway, page, target, open: () => openStream(target) };
}

const say = ({ socket }: StreamClient, message: unknown) => socket.send(JSON.stringify(message));
const got = ({ messages }: StreamClient) => messages.map((each) => JSON.parse(String(each)));
const held = () => (simulator.streams()[0]?.subscriptions ?? []).map(({ symbol }) => symbol).sort();

async function subscribed(client: StreamClient, symbol: string): Promise<void> {
  say(client, { action: 'subscribe', symbol });
  await until(`the subscription of ${symbol}`, () => held().includes(symbol), WAIT_MS);
}

describe('hub mode', () => {
  test('serves many browsers from one connection with the key, which no browser and no log sees', async () => {
    const { gateway, open, target } = await startHub();
    const clients = await Promise.all([open(), open(), openStream({ ...target, query: '?apikey=mine&x=1' })]);
    await subscribed(clients[0] as StreamClient, 'AAPL');
    await subscribed(clients[1] as StreamClient, 'MSFT');
    simulator.publish('AAPL', { symbol: 'AAPL', price: 1 });
    simulator.publish('MSFT', { symbol: 'MSFT', price: 2 });
    await until('both', () => clients.slice(0, 2).every(({ messages }) => messages.length === 2), WAIT_MS);
    expect(clients.map((client) => got(client).slice(1))).toEqual([
      [{ symbol: 'AAPL', price: 1 }],
      [{ symbol: 'MSFT', price: 2 }],
      [],
    ]);
    expect(simulator.requests('stream').map(({ url }) => url)).toEqual([`/?apikey=${KEY}`]);
    expect(simulator.requests('stream')[0]?.rawHeaders.join()).not.toMatch(/cookie|authorization|origin/i);
    expect(gateway.logText()).not.toContain(KEY);
    expect(JSON.stringify(clients.map(got))).not.toContain(KEY);
    expect(await gateway.metrics()).toMatch(/^finvera_gateway_hub_readers 3$/m);
  });

  test('forgets a browser that left, and keeps the connection for the others', async () => {
    const { open } = await startHub();
    const [one, two] = [await open(), await open()];
    await subscribed(one, 'AAPL');
    await subscribed(two, 'MSFT');
    one.socket.terminate();
    await until('the end of its subscription', () => String(held()) === 'MSFT', WAIT_MS);
    expect(simulator.openStreams()).toBe(1);
  });

  test('ends the streams of a session that ends with 4401, and only those', async () => {
    const { gateway, page, open } = await startHub();
    const [mine, other] = [await open(), gateway.browser()];
    await other.login();
    const theirs = await openStream({ url: gateway.url, cookie: other.cookie });
    await subscribed(mine, 'AAPL');
    await subscribed(theirs, 'MSFT');
    await page.fetch('/bff/logout', { method: 'POST' });
    expect(await mine.code()).toBe(4401);
    await until('the end of its subscription', () => String(held()) === 'MSFT', WAIT_MS);
    expect(theirs.closed()).toBeUndefined();
  });

  test('is refused to users of another tier before anything is dialled', async () => {
    const { target } = await startHub({ allowedTiers: ['gold'] });
    expect((await refusedStream(target)).status).toBe(403);
    expect((await refusedStream({ ...target, cookie: undefined })).status).toBe(401);
    expect(simulator.requests('stream')).toEqual([]);
  });

  test('keeps browsers while the upstream is away, and tells them', async () => {
    const { open } = await startHub();
    const client = await open();
    await subscribed(client, 'AAPL');
    simulator.dropStreams({ code: 1012 });
    await until('both notices', () => got(client).filter(({ event }) => event === 'upstream').length === 2, WAIT_MS);
    await until('the subscription', () => held().includes('AAPL'), WAIT_MS);
    simulator.publish('AAPL', { symbol: 'AAPL', after: true });
    await until('the message', () => got(client).some(({ after }) => after), WAIT_MS);
    expect(client.closed()).toBeUndefined();
  });

  /** Publishes so much that the one that reads nothing is let go, one message after the other: the other one is never behind. */
  async function publishUntilLeft(scene: Awaited<ReturnType<typeof startHub>>, size: number, readers: StreamClient[]) {
    const [slow, quick] = readers as [StreamClient, StreamClient];
    for (const client of readers) await subscribed(client, '*');
    slow.socket.pause();
    const padding = 'x'.repeat(size);
    const isLeft = async () => (await scene.gateway.metrics()).includes('\nfinvera_gateway_hub_readers 1\n');
    let published = 0;
    const publish = (padding?: string) => simulator.publish('AAPL', { symbol: 'AAPL', n: published++, padding });
    const caughtUp = () => until('the quick one has it', () => quick.messages.length === published + 1, WAIT_MS);
    while (published < 30_000_000 / size && (published % 20 > 0 || !(await isLeft()))) {
      publish(padding);
      await caughtUp();
    }
    await until('the slow one is let go', isLeft, WAIT_MS);
    slow.socket.resume();
    expect(await slow.code()).toBe(1013);
    publish();
    await caughtUp();
    const numbers = got(quick)
      .slice(1)
      .map((message) => message.n);
    expect(numbers).toEqual(Array.from({ length: published }, (_, n) => n));
    expect(quick.closed()).toBeUndefined();
    expect(simulator.requests('stream')).toHaveLength(1);
  }

  test('closes a reader that is too slow with 1013, and the others miss nothing', async () => {
    const scene = await startHub({ maxBufferedBytes: 256 * 1024, stallTimeout: 60_000 });
    await publishUntilLeft(scene, 100_000, [await scene.open(), await scene.open()]);
  });

  test('closes a reader that takes nothing for too long with 1013, however little waits', async () => {
    const scene = await startHub({ maxBufferedBytes: 64 * 1024 * 1024, stallTimeout: 1_000 });
    await publishUntilLeft(scene, 500_000, [await scene.open(), await scene.open()]);
  });

  test('closes a browser whose message is too big with 1009', async () => {
    const { open } = await startHub({ maxMessageBytes: 1_000 });
    const client = await open();
    client.socket.send('x'.repeat(2_000));
    expect(await client.code()).toBe(1009);
  });

  test('ends with the gateway: 1001 to browsers, 1000 to the upstream', async () => {
    const { gateway, open } = await startHub();
    const client = await open();
    await subscribed(client, 'AAPL');
    await gateway.close();
    expect(await client.code()).toBe(1001);
    await until('the end upstream', () => simulator.openStreams() === 0, WAIT_MS);
  });
});
