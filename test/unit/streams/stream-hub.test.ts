// The hub against the simulated Finvera, with readers that only keep what they are told.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../../simulator/simulator.ts';
import { Secret } from '../../../src/kernel/secret.ts';
import { createHubReport } from '../../../src/observability/hub-report.ts';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { createStreamHub, type StreamHub, type StreamHubOptions } from '../../../src/streams/stream-hub.ts';
import { dialUpstream } from '../../../src/streams/upstream-dial.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';
import { until } from '../../support/until.ts';

const KEY = 'sk_only_the_server_knows';
const FAST = { firstMs: 5, maxMs: 40, keyRefusedMs: 100, rateLimitedMs: 20, provenMs: 1_000 };
const WAIT_MS = 10_000;

let simulator: Simulator;
let hub: StreamHub;
const { log, lines, text } = createRecordedLog();
const metrics = createMetrics({ withProcess: false });

beforeEach(async () => {
  simulator = await createSimulator({ apiKey: KEY });
  hub = createHub();
});
afterEach(async () => {
  hub.close();
  await simulator.close();
});

function createHub(options: Partial<StreamHubOptions> = {}): StreamHub {
  return createStreamHub({
    dial: (signal) =>
      dialUpstream({
        url: `${simulator.url.replace('http', 'ws')}/?apikey=${KEY}`,
        headers: [],
        protocols: [],
        handshakeTimeoutMs: 500,
        maxMessageBytes: 1_048_576,
        signal,
      }),
    heartbeatMs: 60_000,
    symbolFields: ['symbol', 'sym'],
    report: createHubReport(log, metrics, new Secret(KEY)),
    lingerMs: 50,
    listTimeoutMs: 300,
    retryTimes: FAST,
    ...options,
  });
}

/** A browser that is never slow. */
function join(owner = 'somebody') {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  const got: any[] = [];
  const raw: Buffer[] = [];
  const member = hub.join(
    {
      send(data) {
        raw.push(data);
        got.push(JSON.parse(String(data)));
      },
    },
    owner,
  );
  return {
    got,
    raw,
    leave: member.leave,
    say: (message: unknown) => member.receive(Buffer.from(JSON.stringify(message)), false),
    sayRaw: (data: Buffer, isBinary: boolean) => member.receive(data, isBinary),
    got1: (what: string, holds: (message: { [name: string]: unknown }) => boolean) =>
      until(what, () => got.some(holds), WAIT_MS),
    async subscribe(symbol: string, type?: string) {
      member.receive(Buffer.from(JSON.stringify({ action: 'subscribe', symbol, type })), false);
      await until(
        `the upstream's subscription of ${symbol}`,
        () => held().includes(`${symbol}${type ? ` ${type}` : ''}`),
        WAIT_MS,
      );
    },
  };
}

const held = (): string[] =>
  (simulator.streams()[0]?.subscriptions ?? []).map(({ symbol, type }) => `${symbol}${type ? ` ${type}` : ''}`);
const heldAre = (...symbols: string[]) =>
  until(`the upstream to hold ${symbols}`, () => String(held().sort()) === String(symbols.sort()), WAIT_MS);
const heard = () => simulator.streams()[0]?.received ?? [];
const isOpen = () => until('the upstream connection', () => hub.stats().upstream === 'open', WAIT_MS);
const metricOf = async (name: string) =>
  Number(
    new RegExp(`^finvera_gateway_${name.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm').exec(await metrics.text())?.[1] ?? 0,
  );

describe('one upstream connection', () => {
  test('opens with the first browser, serves all, and closes a while after the last', async () => {
    expect(hub.stats().upstream).toBe('idle');
    const browsers = Array.from({ length: 20 }, join);
    await isOpen();
    await Promise.all(browsers.map(({ subscribe }) => subscribe('AAPL')));
    expect(simulator.requests('stream')).toHaveLength(1);
    for (const { leave } of browsers) leave();
    await until('the close', () => simulator.openStreams() === 0, WAIT_MS);
    expect(hub.stats()).toMatchObject({ readers: 0, topics: 0, upstream: 'idle' });
    join();
    await isOpen();
    expect(simulator.requests('stream')).toHaveLength(2);
  });

  test('stays for a browser that comes in between', async () => {
    const first = join();
    await isOpen();
    first.leave();
    const second = join();
    await second.subscribe('AAPL');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([simulator.requests('stream').length, simulator.openStreams()]).toEqual([1, 1]);
  });
});

describe('messages', () => {
  test('go to whoever asked for them, once, byte for byte', async () => {
    const [apple, both, all, none] = [join(), join(), join(), join()];
    await apple.subscribe('AAPL');
    await both.subscribe('AAPL');
    await both.subscribe('MSFT', 'quote');
    await all.subscribe('*');
    await all.subscribe('AAPL');
    for (const { got, raw } of [apple, both, all, none]) {
      got.length = 0;
      raw.length = 0;
    }
    const sent = '{"symbol" : "AAPL", "type":"quote","price":1.10}';
    simulator.push({ text: sent });
    simulator.push({ message: { sym: 'MSFT', ev: 'FMV', fmv: 2 } });
    simulator.push({ message: { symbol: 'MSFT', type: 'news' } });
    simulator.push({ message: { symbol: 'TSLA' } });
    await until('all four', () => all.got.length === 4, WAIT_MS);
    expect(apple.raw.map(String)).toEqual([sent]);
    expect(both.raw.map(String)).toEqual([sent, '{"sym":"MSFT","ev":"FMV","fmv":2}']);
    expect(none.got).toEqual([]);
    expect(apple.raw[0]).toBe(both.raw[0]);
  });

  test('without a symbol, of no JSON or binary are dropped and counted', async () => {
    const browser = join();
    await browser.subscribe('*');
    const [symbol, malformed, binary] = await Promise.all(
      ['no_symbol', 'malformed', 'binary'].map((reason) => metricOf(`hub_dropped_total{reason="${reason}"}`)),
    );
    simulator.push({ message: { hello: 1 } });
    simulator.push({ text: '{' });
    simulator.push({ binary: 'AAEC' });
    simulator.push({ message: { symbol: 'END' } });
    await browser.got1('the last', (message) => message.symbol === 'END');
    expect(browser.got.map(({ symbol, action }) => symbol ?? action)).toEqual(['*', 'END']);
    expect(await metricOf('hub_dropped_total{reason="no_symbol"}')).toBe(Number(symbol) + 1);
    expect(await metricOf('hub_dropped_total{reason="malformed"}')).toBe(Number(malformed) + 1);
    expect(await metricOf('hub_dropped_total{reason="binary"}')).toBe(Number(binary) + 1);
  });

  test('of symbols by the thousand that nobody asked for leave nothing behind', async () => {
    const browser = join();
    await browser.subscribe('AAPL');
    for (let i = 0; i < 5_000; i += 1) simulator.push({ message: { symbol: `S${i}` } });
    simulator.push({ message: { symbol: 'AAPL' } });
    await browser.got1('its own', ({ symbol, action }) => symbol === 'AAPL' && action === undefined);
    expect(browser.got).toHaveLength(2);
    expect(hub.stats().topics).toBe(1);
  });
});

describe('the upstream is told', () => {
  test('of the first and the last only', async () => {
    const [one, two] = [join(), join()];
    await one.subscribe('AAPL');
    await two.subscribe('AAPL');
    await one.subscribe('AAPL');
    one.say({ action: 'unsubscribe', symbol: 'AAPL' });
    await two.subscribe('MSFT');
    two.leave();
    await heldAre();
    expect(heard()).toEqual([
      '{"action":"subscribe","symbol":"AAPL"}',
      '{"action":"subscribe","symbol":"MSFT"}',
      '{"action":"unsubscribe","symbol":"AAPL"}',
      '{"action":"unsubscribe","symbol":"MSFT"}',
    ]);
  });

  test('of single symbols again after the last * left', async () => {
    const [single, all] = [join(), join()];
    await single.subscribe('AAPL', 'quote');
    await all.subscribe('*');
    all.leave();
    await heldAre('AAPL quote');
    expect(simulator.publish('AAPL', { symbol: 'AAPL', type: 'quote' })).toBe(1);
    await single.got1('its quote', ({ type, action }) => type === 'quote' && action === undefined);
  });

  test('so that single symbols miss nothing while * comes and goes, however little may be told', async () => {
    hub.close();
    hub = createHub({ limits: { maxTopics: 30, upstreamRate: 30, allEndsEveryMs: 0 } });
    const single = join();
    const symbols = simulator.symbols();
    await Promise.all(symbols.map((symbol) => single.subscribe(symbol)));
    simulator.configure({ quoteRate: 200 });
    for (let round = 0; round < 6; round += 1) {
      const all = join();
      await all.subscribe('*');
      all.leave();
      await until('the end of *', () => !held().includes('*'), WAIT_MS);
    }
    simulator.configure({ quoteRate: 0 });
    const made = simulator.quotesMade();
    const latest = () => new Map(single.got.filter(({ seq }) => seq).map(({ symbol, seq }) => [symbol, seq]));
    await until('the last ones', () => symbols.every((each) => latest().get(each) === made.get(each)), WAIT_MS);
    for (const symbol of symbols) {
      const numbers = single.got.filter((each) => each.symbol === symbol && each.seq).map(({ seq }) => seq);
      expect(numbers).toEqual(Array.from(numbers, (_, i) => numbers[0] + i));
    }
  });

  test('nothing of what comes and goes at once, and no flood of it', async () => {
    hub.close();
    hub = createHub({ limits: { maxTopics: 20, upstreamRate: 10 } });
    const browser = join();
    await browser.subscribe('KEPT');
    const before = heard().length;
    browser.say({ action: 'subscribe', symbol: 'GONE' });
    browser.say({ action: 'unsubscribe', symbol: 'GONE' });
    for (let i = 0; i < 200; i += 1) {
      browser.say({ action: i % 2 === 0 ? 'subscribe' : 'unsubscribe', symbol: 'CHURN' });
      await new Promise(setImmediate);
    }
    expect(
      heard()
        .slice(before)
        .some((each) => each.includes('GONE')),
    ).toBe(false);
    expect(heard().length - before).toBeLessThan(40);
    await heldAre('KEPT');
  });

  test('in the form in which it was asked', async () => {
    const browser = join();
    browser.say({ action: 'subscribe', params: 'FMV.AAPL' });
    await heldAre('AAPL');
    simulator.configure({ quoteRate: 20 });
    await browser.got1('the quote', ({ ev, sym }) => ev === 'FMV' && sym === 'AAPL');
  });
});

describe('answered here', () => {
  test.each([
    [{ action: 'ping' }, { action: 'pong' }],
    [
      { action: 'echo', message: 'test' },
      { action: 'echo', message: 'test' },
    ],
    [
      { action: 'echo', data: 'test' },
      { action: 'echo', data: 'test' },
    ],
    [{ action: 'subscribed' }, { action: 'subscribed', symbols: [] }],
    [
      { action: 'subscribe', symbol: 'A', type: 'quote' },
      { action: 'subscribe', symbol: 'A', type: 'quote', status: 'ok' },
    ],
    [
      { action: 'unsubscribe', symbol: '*' },
      { action: 'unsubscribe', symbol: '*', status: 'ok' },
    ],
    [{ action: 'auth' }, { error: { code: 400, message: 'Invalid request parameters', details: 'Unknown action' } }],
  ])('%j with %j', async (message, answer) => {
    const [browser, other] = [join(), join()];
    browser.say(message);
    expect(browser.got).toEqual([answer]);
    expect(other.got).toEqual([]);
    await isOpen();
    expect(heard().filter((each) => !each.includes('subscribe'))).toEqual([]);
  });

  test('what is subscribed, by the browser alone', () => {
    const [browser, other] = [join(), join()];
    for (const type of [undefined, 'quote']) browser.say({ action: 'subscribe', symbol: 'AAPL', type });
    other.say({ action: 'subscribe', symbol: 'MSFT' });
    browser.say({ action: 'subscribed' });
    expect(browser.got.at(-1)).toEqual({ action: 'subscribed', symbols: ['AAPL'] });
  });

  test('what is no text, and subscriptions beyond the limits, with an error', () => {
    hub.close();
    hub = createHub({ limits: { maxPerReader: 2, maxTopics: 3 } });
    const [browser, other] = [join(), join()];
    browser.sayRaw(Buffer.from([0, 1]), true);
    expect(browser.got.at(-1).error.code).toBe(400);
    for (const symbol of ['A', 'B', 'C']) browser.say({ action: 'subscribe', symbol });
    expect(browser.got.at(-1).error).toMatchObject({ code: 429, details: 'At most 2 subscriptions' });
    for (const symbol of ['D', 'E']) other.say({ action: 'subscribe', symbol });
    expect(other.got.at(-1).error.code).toBe(429);
    expect(hub.stats().topics).toBe(3);
  });

  test('what is beyond the limit of one user, however many browsers it is spread over; others subscribe', () => {
    hub.close();
    hub = createHub({ limits: { maxPerOwner: 3, maxTopics: 5 } });
    const greedy = [join('greedy'), join('greedy'), join('greedy')];
    for (const [i, browser] of greedy.entries())
      for (const symbol of ['A', 'B']) browser.say({ action: 'subscribe', symbol: `${symbol}${i}` });
    expect(greedy[1]?.got.at(-1).error).toMatchObject({ code: 429, details: 'At most 3 subscriptions of one user' });
    greedy[2]?.say({ action: 'subscribe', params: 'X,Y,Z' });
    expect(greedy[2]?.got.at(-1).error.code).toBe(429);
    expect(hub.stats().topics).toBe(3);
    const other = join('other');
    other.say({ action: 'subscribe', symbol: 'A0' });
    other.say({ action: 'subscribe', symbol: 'MSFT' });
    expect(other.got.map(({ status }) => status)).toEqual(['ok', 'ok']);
    greedy[0]?.leave();
    greedy[2]?.say({ action: 'subscribe', symbol: 'X' });
    expect(greedy[2]?.got.at(-1).status).toBe('ok');
  });
});

describe('the list', () => {
  const askers = () => [join(), join(), join()];

  test('is asked once for all who ask meanwhile, and goes to no one else', async () => {
    simulator.configure({ streamReplyDelayMs: 30 });
    const other = join();
    await other.subscribe('*');
    const browsers = askers();
    for (const { say } of browsers) say({ action: 'list' });
    browsers[0]?.say({ action: 'list' });
    for (const { got } of browsers) await until('the list', () => got.length > 0, WAIT_MS);
    for (const { got } of browsers) {
      expect(got).toHaveLength(1);
      expect(got[0].symbols).toContain('AAPL');
    }
    expect(heard().filter((each) => each.includes('list'))).toHaveLength(1);
    expect(other.got.filter(({ action }) => action === 'list')).toEqual([]);
  });

  test('that does not come is an error after the time-out, and comes when it is asked again', async () => {
    const browser = join();
    await isOpen();
    simulator.configure({ streamSilent: true });
    browser.say({ action: 'list' });
    await browser.got1('the error', ({ error }) => (error as { code: number } | undefined)?.code === 504);
    simulator.configure({ streamSilent: false });
    browser.say({ action: 'list' });
    await browser.got1('the list', ({ action }) => action === 'list');
  });

  test('is asked again where the upstream was lost meanwhile', async () => {
    hub.close();
    hub = createHub({ listTimeoutMs: 9_000 });
    const browser = join();
    await isOpen();
    simulator.configure({ streamSilent: true });
    browser.say({ action: 'list' });
    await until('the question', () => heard().length > 0, WAIT_MS);
    simulator.configure({ streamSilent: false });
    simulator.dropStreams();
    await browser.got1('the list', ({ action }) => action === 'list');
  });
});

describe('a lost upstream', () => {
  test('is told of, and subscribed to again, while browsers stay', async () => {
    const [one, two] = [join(), join()];
    await one.subscribe('AAPL');
    await two.subscribe('MSFT', 'quote');
    const refusal = simulator.addFault({ fault: 'status', status: 503, times: 3 });
    simulator.dropStreams();
    await one.got1('the first notice', ({ state }) => state === 'reconnecting');
    const late = join();
    expect(late.got).toEqual([{ event: 'upstream', state: 'reconnecting' }]);
    await heldAre('AAPL', 'MSFT quote');
    expect(refusal.applied).toBe(3);
    for (const { got } of [one, two, late]) {
      await until('the second notice', () => got.at(-1).state === 'connected', WAIT_MS);
      expect(got.filter(({ event }) => event === 'upstream').map(({ state }) => state)).toEqual([
        'reconnecting',
        'connected',
      ]);
    }
    simulator.publish('AAPL', { symbol: 'AAPL', n: 1 });
    await one.got1('the quote', ({ n }) => n === 1);
    expect(two.got.some(({ n }) => n === 1)).toBe(false);
  });

  test('that hangs, talks no sense or falls silent is given up and tried again', async () => {
    hub.close();
    hub = createHub({ heartbeatMs: 60 });
    simulator.addFault({ fault: 'hang', times: 1 });
    simulator.addFault({ fault: 'garbage', times: 1 });
    const browser = join();
    await browser.subscribe('AAPL');
    expect(simulator.requests('stream').length).toBeGreaterThanOrEqual(3);
    const notices = () => browser.got.filter(({ state }) => state === 'connected').length;
    await until('the notice', () => notices() === 1, WAIT_MS);
    simulator.push({ frame: Buffer.from([0xff, 0xff]).toString('base64') });
    await until('it is back after the frame', () => notices() === 2, WAIT_MS);
    simulator.configure({ streamSilent: true });
    await until('it is found silent', () => browser.got.at(-1).state === 'reconnecting', WAIT_MS);
    simulator.configure({ streamSilent: false });
    await heldAre('AAPL');
    expect(heard()).not.toContain('{"action":"list"}');
  });

  test('hears the documented ping', async () => {
    hub.close();
    hub = createHub({ heartbeatMs: 40 });
    join();
    await until('a ping', () => heard().includes('{"action":"ping"}'), WAIT_MS);
  });

  test('that refuses the key is asked again slowly, and the log says so without the key', async () => {
    simulator.configure({ apiKey: 'sk_another' });
    const startedAt = performance.now();
    const browser = join();
    await simulator.waitForRequests('stream', 3, WAIT_MS);
    expect(performance.now() - startedAt).toBeGreaterThan(FAST.keyRefusedMs);
    expect(browser.got).toEqual([{ event: 'upstream', state: 'reconnecting' }]);
    expect(lines()).toContainEqual(
      expect.objectContaining({ level: 'error', event: 'hub_key_refused', upstream_status: 401 }),
    );
    simulator.configure({ apiKey: KEY });
    await browser.got1('the notice', ({ state }) => state === 'connected');
    expect(text()).not.toContain('sk_');
  });

  test('is not dialled more often because browsers come and go', async () => {
    hub.close();
    hub = createHub({ retryTimes: { ...FAST, keyRefusedMs: 60_000 } });
    simulator.configure({ apiKey: 'sk_another' });
    join();
    await until('the first attempt', () => hub.stats().upstream === 'waiting', WAIT_MS);
    for (let i = 0; i < 20; i += 1) {
      join().leave();
      await new Promise(setImmediate);
    }
    expect(simulator.requests('stream')).toHaveLength(1);
  });

  test('is tried at growing, scattered intervals', async () => {
    hub.close();
    let turn = 0;
    hub = createHub({ random: () => (turn++ % 2 === 0 ? 0 : 1) });
    const before = lines().length;
    simulator.addFault({ fault: 'status', status: 503 });
    join();
    const waits = () =>
      lines()
        .slice(before)
        .filter(({ event }) => event === 'hub_retry')
        .map(({ wait_ms }) => wait_ms);
    await until('six attempts', () => waits().length >= 6, WAIT_MS);
    expect(waits().slice(0, 6)).toEqual([3, 10, 10, 40, 20, 40]);
  });
});
