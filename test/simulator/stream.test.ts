import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { Simulator } from '../../simulator/simulator.ts';
import { until } from '../support/until.ts';
import { call, closeAll, json, login, start } from './client.ts';

afterEach(closeAll);

async function open(
  simulator: Simulator,
  query: string,
  headers: Record<string, string> = {},
  protocols: string[] = [],
): Promise<WebSocket> {
  const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/${query}`, protocols, { headers });
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

async function ask(socket: WebSocket, message: unknown) {
  const reply = once(socket, 'message');
  socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  return JSON.parse(String((await reply)[0]));
}

describe('the stream', () => {
  it('opens with the server key or a bearer, and is noted', async () => {
    const simulator = await start({ apiKey: 'sk_test' });
    const { access } = await login(simulator);
    await open(simulator, '?apikey=sk_test');
    await open(simulator, '', { Authorization: `Bearer ${access}` });
    expect(simulator.openStreams()).toBe(2);
    expect(simulator.requests('stream').map(({ url, status }) => [url, status])).toEqual([
      ['/?apikey=sk_test', 101],
      ['/', 101],
    ]);
  });

  it.each([
    ['/', 401],
    ['/?apikey=wrong', 401],
    ['/elsewhere', 404],
  ])('refuses %s with a plain %i', async (path, status) => {
    const simulator = await start({ apiKey: 'sk_test' });
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };
    expect((await call(`${simulator.url}${path}`, { headers })).status).toBe(status);
  });

  it('understands every documented action', async () => {
    const simulator = await start({ apiKey: 'k' });
    const socket = await open(simulator, '?apikey=k');
    expect((await ask(socket, { action: 'list' })).symbols).toContain('AAPL');
    expect(await ask(socket, { action: 'subscribe', symbol: 'AAPL' })).toMatchObject({ status: 'ok' });
    expect(await ask(socket, { action: 'subscribed' })).toEqual({ action: 'subscribed', symbols: ['AAPL'] });
    expect(await ask(socket, { action: 'unsubscribe', symbol: 'AAPL' })).toMatchObject({ status: 'ok' });
    expect(await ask(socket, { action: 'echo', message: 'test' })).toEqual({ action: 'echo', message: 'test' });
    expect(await ask(socket, { action: 'ping' })).toEqual({ action: 'pong' });
    expect((await ask(socket, 'not json')).error.code).toBe(400);
  });

  it('publishes to whoever subscribed to the symbol or to all', async () => {
    const simulator = await start({ apiKey: 'k' });
    const [one, all] = [await open(simulator, '?apikey=k'), await open(simulator, '?apikey=k')];
    await ask(one, { action: 'subscribe', symbol: 'AAPL' });
    await ask(all, { action: 'subscribe', symbol: '*' });
    const received = Promise.all([once(one, 'message'), once(all, 'message')]);
    expect(simulator.publish('AAPL', { ev: 'FMV', sym: 'AAPL', fmv: 1 })).toBe(2);
    for (const [data] of await received) expect(JSON.parse(String(data))).toEqual({ ev: 'FMV', sym: 'AAPL', fmv: 1 });
    expect(simulator.publish('MSFT', {})).toBe(1);
  });

  it('ends on a reset', async () => {
    const simulator = await start({ apiKey: 'k' });
    const closed = once(await open(simulator, '?apikey=k'), 'close');
    simulator.reset();
    expect((await closed)[0]).toBe(1006);
  });
});

/** Resolves with the next so many messages, parsed. */
async function collect(socket: WebSocket, count: number) {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
  const messages: any[] = [];
  await new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      messages.push(JSON.parse(String(data)));
      if (messages.length === count) resolve();
    });
  });
  return messages.slice(0, count);
}

/** Resolves with the status and `Retry-After` of a refused upgrade, or with how its connection failed. */
async function refused(simulator: Simulator) {
  const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/?apikey=k`);
  const failure = new Promise<string>((resolve) => socket.on('error', ({ message }) => resolve(message)));
  const answer = new Promise<unknown[]>((resolve) => {
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve([response.statusCode, response.headers['retry-after']]);
    });
  });
  return Promise.race([answer, failure]);
}

describe('the credential', () => {
  it.each([
    ['apikey', 101, 401, 401],
    ['bearer', 401, 101, 101],
    ['any', 101, 101, 101],
  ] as const)('can be limited to %s', async (streamCredential, query, keyBearer, userBearer) => {
    const simulator = await start({ apiKey: 'k', streamCredential });
    const { access } = await login(simulator);
    const tries: [string, Record<string, string>][] = [
      ['?apikey=k', {}],
      ['', { Authorization: 'Bearer k' }],
      ['', { Authorization: `Bearer ${access}` }],
    ];
    const socketOf = async ([target, headers]: (typeof tries)[number]) => {
      const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/${target}`, { headers });
      await new Promise((resolve) => socket.on('open', resolve).on('error', resolve));
    };
    for (const one of tries) await socketOf(one);
    expect(simulator.requests('stream').map(({ status }) => status)).toEqual([query, keyBearer, userBearer]);
  });
});

describe('subscriptions', () => {
  it('with a type bring that type, without one all of them', async () => {
    const simulator = await start({ apiKey: 'k' });
    const [any, quotes] = [await open(simulator, '?apikey=k'), await open(simulator, '?apikey=k')];
    await ask(any, { action: 'subscribe', symbol: 'AAPL' });
    await ask(quotes, { action: 'subscribe', symbol: 'AAPL', type: 'quote' });
    expect(simulator.publish('AAPL', { type: 'news', symbol: 'AAPL' })).toBe(1);
    expect(simulator.publish('AAPL', { type: 'quote', symbol: 'AAPL' })).toBe(2);
    expect(simulator.publish('AAPL', { symbol: 'AAPL' })).toBe(2);
  });

  it('end by symbol with all types, by type alone, and all at once with *', async () => {
    const simulator = await start({ apiKey: 'k' });
    const socket = await open(simulator, '?apikey=k');
    const held = () => simulator.streams()[0]?.subscriptions.map(({ symbol, type }) => [symbol, type]);
    for (const symbol of ['AAPL', 'MSFT', '*']) await ask(socket, { action: 'subscribe', symbol });
    await ask(socket, { action: 'subscribe', symbol: 'AAPL', type: 'quote' });
    await ask(socket, { action: 'subscribe', symbol: 'MSFT', type: 'quote' });
    await ask(socket, { action: 'unsubscribe', symbol: 'MSFT', type: 'quote' });
    await ask(socket, { action: 'unsubscribe', symbol: 'AAPL' });
    expect(held()).toEqual([
      ['MSFT', undefined],
      ['*', undefined],
    ]);
    await ask(socket, { action: 'unsubscribe', symbol: '*' });
    expect(held()).toEqual([]);
  });

  it('of the second form are served in it', async () => {
    const simulator = await start({ apiKey: 'k', quoteRate: 50 });
    const socket = await open(simulator, '?apikey=k');
    expect(await ask(socket, { action: 'subscribe', params: 'FMV.AAPL,FMV.MSFT' })).toMatchObject({ status: 'ok' });
    for (const message of await collect(socket, 4)) {
      expect(Object.keys(message)).toEqual(['ev', 'fmv', 'sym', 't']);
      expect(message.ev).toBe('FMV');
    }
  });
});

describe('the feed', () => {
  it('numbers each symbol without a gap, and makes the same prices of the same seed', async () => {
    const run = async (quoteSeed: number) => {
      const simulator = await start({ apiKey: 'k', quoteRate: 100, streamSymbols: 10, quoteSeed });
      const socket = await open(simulator, '?apikey=k');
      await ask(socket, { action: 'subscribe', symbol: 'SIM00009' });
      await ask(socket, { action: 'subscribe', symbol: 'AAPL', type: 'quote' });
      const messages = await collect(socket, 40);
      await simulator.close();
      return messages;
    };
    const [one, same, other] = [await run(1), await run(1), await run(2)];
    const priceBySeq = (messages: typeof one) =>
      new Map(messages.map(({ symbol, seq, price }) => [`${symbol} ${seq}`, price]));
    for (const symbol of ['AAPL', 'SIM00009']) {
      const seqs = one.filter((message) => message.symbol === symbol).map(({ seq }) => seq);
      expect(seqs.length).toBeGreaterThan(10);
      expect(seqs).toEqual(seqs.map((_, index) => seqs[0] + index));
    }
    const [first, second, third] = [priceBySeq(one), priceBySeq(same), priceBySeq(other)];
    const shared = [...first.keys()].filter((key) => second.has(key) && third.has(key));
    expect(shared.length).toBeGreaterThan(10);
    for (const key of shared) expect(second.get(key)).toBe(first.get(key));
    expect(shared.some((key) => third.get(key) !== first.get(key))).toBe(true);
  });

  it('keeps to its rate', async () => {
    const simulator = await start({ apiKey: 'k', quoteRate: 5, streamSymbols: 20 });
    const socket = await open(simulator, '?apikey=k');
    await ask(socket, { action: 'subscribe', symbol: '*' });
    const startedAt = performance.now();
    await collect(socket, 50);
    const elapsedMs = performance.now() - startedAt;
    expect(elapsedMs).toBeGreaterThan(400);
    expect(elapsedMs).toBeLessThan(5_000);
  });

  it('has news and transcripts, as long as it is told', async () => {
    const simulator = await start({ apiKey: 'k', newsRate: 100, transcriptRate: 100, streamPaddingBytes: 50_000 });
    const socket = await open(simulator, '?apikey=k');
    await ask(socket, { action: 'subscribe', symbol: '*' });
    const messages = await collect(socket, 20);
    expect(new Set(messages.map(({ type }) => type))).toEqual(new Set(['news', 'transcript']));
    expect(messages.every(({ padding }) => padding.length === 50_000)).toBe(true);
    expect(messages.find(({ type }) => type === 'transcript')).toMatchObject({
      text: expect.any(String),
      symbol: 'AAPL',
    });
  });
});

describe('what goes wrong on a stream', () => {
  it.each([
    [{ fault: 'status', status: 403 }, [403, undefined]],
    [{ fault: 'status', status: 503, retryAfter: 7 }, [503, '7']],
    [{ fault: 'rate_limited', retryAfter: 3 }, [429, '3']],
    [{ fault: 'unauthorized' }, [401, undefined]],
    [{ fault: 'redirect' }, [302, undefined]],
    [{ fault: 'reset_before' }, 'read ECONNRESET'],
    [{ fault: 'half_body' }, 'socket hang up'],
    [{ fault: 'garbage' }, 'Parse Error'],
  ] as const)('its upgrade meets %j, once', async (fault, seen) => {
    const simulator = await start({ apiKey: 'k' });
    simulator.addFault({ ...fault, match: { call: 'stream' }, times: 1 });
    expect(await refused(simulator)).toEqual(typeof seen === 'string' ? expect.stringContaining(seen) : seen);
    await open(simulator, '?apikey=k');
    expect(simulator.requests('stream')[0]?.faults).toEqual([fault.fault]);
  });

  it.each(['hang', 'stall_body'] as const)('its handshake may %s until the client leaves', async (fault) => {
    const simulator = await start({ apiKey: 'k' });
    simulator.addFault({ fault });
    const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/?apikey=k`, { handshakeTimeout: 100 });
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('timed out');
    expect(simulator.openStreams()).toBe(0);
  });

  it('its upgrade may be late, and its answer bear further headers', async () => {
    const simulator = await start({ apiKey: 'k' });
    const hold = simulator.addFault({ fault: 'hold' });
    simulator.addFault({ fault: 'headers', headers: { 'Set-Cookie': 'a=1' } });
    const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/?apikey=k`);
    const [upgraded, opened] = [once(socket, 'upgrade'), once(socket, 'open')];
    await simulator.waitForRequests('stream', 1);
    expect(simulator.openStreams()).toBe(0);
    hold.remove();
    expect((await upgraded)[0].headers['set-cookie']).toEqual(['a=1']);
    await opened;
  });

  it('it is cut after so many messages, or all of them are now, with a code or without', async () => {
    const simulator = await start({ apiKey: 'k', streamDropAfter: 2 });
    const socket = await open(simulator, '?apikey=k');
    const cut = once(socket, 'close');
    await ask(socket, { action: 'ping' });
    socket.send('{"action":"ping"}');
    expect((await cut)[0]).toBe(1006);
    const dropped = once(await open(simulator, '?apikey=k'), 'close');
    expect(simulator.dropStreams()).toBe(1);
    expect((await dropped)[0]).toBe(1006);
    const closed = once(await open(simulator, '?apikey=k'), 'close');
    simulator.dropStreams({ code: 1012, reason: 'restart' });
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([1012, 'restart']);
  });

  it('it may be silent: no data, no reply, no pong', async () => {
    const simulator = await start({ apiKey: 'k', quoteRate: 100 });
    const socket = await open(simulator, '?apikey=k');
    let heard = 0;
    socket.on('message', () => heard++);
    const ponged = once(socket, 'pong');
    socket.ping();
    await ponged;
    await ask(socket, { action: 'subscribe', symbol: '*' });
    simulator.configure({ streamSilent: true });
    const sent = simulator.streams()[0]?.sent;
    await until('all sent before is here', () => heard === sent);
    socket.on('pong', () => heard++);
    socket.ping();
    socket.send('{"action":"ping"}');
    await until('both have arrived', () => simulator.streams()[0]?.received.length === 2);
    expect(heard).toBe(sent);
    simulator.configure({ streamSilent: false });
    await once(socket, 'message');
  });

  it('it may reply late', async () => {
    const simulator = await start({ apiKey: 'k', streamReplyDelayMs: 50 });
    const socket = await open(simulator, '?apikey=k');
    const startedAt = performance.now();
    expect(await ask(socket, { action: 'ping' })).toEqual({ action: 'pong' });
    expect(performance.now() - startedAt).toBeGreaterThan(45);
  });

  it('it may bring what is no JSON, what is binary, and what is no frame', async () => {
    const simulator = await start({ apiKey: 'k' });
    const socket = await open(simulator, '?apikey=k');
    let arrived = once(socket, 'message');
    expect(simulator.push({ text: '{"half":' })).toBe(1);
    expect(String((await arrived)[0])).toBe('{"half":');
    arrived = once(socket, 'message');
    simulator.push({ binary: Buffer.from([0, 255]).toString('base64') });
    const [data, isBinary] = await arrived;
    expect([[...data], isBinary]).toEqual([[0, 255], true]);
    const failed = once(socket, 'error');
    simulator.push({ frame: Buffer.from([0xff, 0xff]).toString('base64') });
    expect((await failed)[0].message).toContain('Invalid WebSocket frame');
  });
});

describe('sub-protocols', () => {
  it('are agreed on in the order of what the stream prefers', async () => {
    const simulator = await start({ apiKey: 'k', streamProtocols: ['v2', 'v1'] });
    expect((await open(simulator, '?apikey=k', {}, ['v1', 'v2'])).protocol).toBe('v2');
    expect((await open(simulator, '?apikey=k')).protocol).toBe('');
    expect(simulator.streams().map(({ protocol }) => protocol)).toEqual(['v2', '']);
  });
});

describe('streams over HTTP', () => {
  const control = (simulator: Simulator, method: string, path: string, body?: unknown) =>
    call(`${simulator.url}/__sim/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });

  it('are looked at, sent to and dropped', async () => {
    const simulator = await start({ apiKey: 'k' });
    const socket = await open(simulator, '?apikey=k');
    await ask(socket, { action: 'subscribe', symbol: 'AAPL', type: 'quote' });
    expect(json(await control(simulator, 'GET', 'streams')).streams).toEqual([
      {
        id: 1,
        url: '/?apikey=k',
        protocol: '',
        subscriptions: [{ symbol: 'AAPL', type: 'quote', form: 'symbol' }],
        received: ['{"action":"subscribe","symbol":"AAPL","type":"quote"}'],
        sent: 1,
      },
    ]);
    const arrived = once(socket, 'message');
    expect(json(await control(simulator, 'POST', 'streams/push', { symbol: 'AAPL', message: { a: 1 } }))).toEqual({
      sent: 1,
    });
    expect(String((await arrived)[0])).toBe('{"a":1}');
    expect(json(await control(simulator, 'POST', 'streams/push', { symbol: 'MSFT', text: '' }))).toEqual({ sent: 0 });
    const closed = once(socket, 'close');
    expect(json(await control(simulator, 'POST', 'streams/drop', { code: 1000 }))).toEqual({ dropped: 1 });
    expect((await closed)[0]).toBe(1000);
  });

  it.each([
    ['push', {}, 'one of message, text, binary, frame'],
    ['push', { text: 'a', message: 1 }, 'one of'],
    ['push', { binary: '?' }, 'binary: '],
    ['drop', { code: 1 }, 'code: '],
    ['drop', { code: 1005 }, 'code: '],
  ])('answer 400 to %s with %j', async (path, body, problem) => {
    const simulator = await start({ apiKey: 'k' });
    await open(simulator, '?apikey=k');
    const reply = await control(simulator, 'POST', `streams/${path}`, body);
    expect(reply.status).toBe(400);
    expect(json(reply).error.details).toContain(problem);
    expect(simulator.openStreams()).toBe(1);
  });
});
