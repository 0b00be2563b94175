// /stream: who may open one, what the upstream sees, and what passes through it; real sockets on both sides.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { call } from '../support/http-client.ts';
import { closeStreamClients, openStream, refusedStream } from '../support/stream-client.ts';
import { closeStreamScenes, type StreamSceneOptions, startStreamScene } from '../support/stream-scene.ts';
import { createTestClock, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeStreamScenes();
  await simulator.close();
});

const startScene = (options: StreamSceneOptions = {}) => startStreamScene(simulator, options);

const codeIn = (body: string): unknown => JSON.parse(body).code;

const streamLine = async (gateway: TestGateway) => {
  const find = () => gateway.logLines().find(({ event }) => event === 'stream');
  await until('the line of the stream', () => find() !== undefined);
  return find() ?? {};
};

describe('a stream', () => {
  test('carries text and binary both ways, in order and byte for byte', async () => {
    const { upstream, target } = await startScene({ echo: true });
    const client = await openStream(target);
    const sent = ['{"action":"list"}', Buffer.from([0, 1, 254, 255]), '', 'ä€😀', Buffer.alloc(200_000, 7)];
    for (const each of sent) client.socket.send(each, { binary: typeof each !== 'string' });
    await until('the echo', () => client.messages.length === sent.length, 10_000);
    expect(client.messages).toEqual(sent);
    expect((await upstream.next()).messages).toEqual(sent);
  });

  test('carries a message in fragments as one message', async () => {
    const { target } = await startScene({ echo: true });
    const client = await openStream(target);
    client.socket.send('one ', { fin: false });
    client.socket.send('two ', { fin: false });
    client.socket.send('three', { fin: true });
    await until('the echo', () => client.messages.length > 0);
    expect(client.messages).toEqual(['one two three']);
  });

  test('answers pings of both sides with their payload', async () => {
    const { upstream, target } = await startScene();
    const client = await openStream(target);
    const pongs: string[] = [];
    client.socket.on('pong', (data) => pongs.push(`browser ${data}`));
    const { socket } = await upstream.next();
    socket.on('pong', (data) => pongs.push(`upstream ${data}`));
    client.socket.ping('a');
    socket.ping('b');
    await until('both pongs', () => pongs.length === 2);
    expect(pongs.sort()).toEqual(['browser a', 'upstream b']);
  });

  test('keeps what the upstream says in the very answer of its handshake', async () => {
    const { upstream, target } = await startScene();
    const opening = openStream(target);
    const { socket } = await upstream.next();
    socket.send('first');
    socket.send('second');
    const client = await opening;
    await until('both', () => client.messages.length === 2);
    expect(client.messages).toEqual(['first', 'second']);
  });

  test('shows the upstream the bearer, the query without an apikey, the request id and nothing of the page', async () => {
    const { upstream, target, browser } = await startScene();
    await openStream({
      ...target,
      query: '?symbol=A%26B&%61pikey=mine&APIKEY=mine&x=1&apikey',
      headers: { Authorization: 'Bearer mine', 'X-Forwarded-For': '192.0.2.9', 'Accept-Language': 'de' },
    });
    const { request } = await upstream.next();
    expect(request.url).toBe('/?symbol=A%26B&x=1');
    expect(request.headers.authorization).toMatch(/^Bearer ey/);
    expect(request.headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1', 'accept-language': 'de' });
    expect(request.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(request.headers.traceparent).toMatch(/^00-/);
    expect(request.headers.via).toMatch(/finvera-gateway/);
    const seen = JSON.stringify(request.rawHeaders);
    expect(seen).not.toContain(browser.cookie?.split('=')[1]);
    for (const name of ['cookie', 'origin', 'sec-fetch-site', 'sec-websocket-extensions'])
      expect(request.headers[name]).toBeUndefined();
  });

  test('bears the server’s key instead where the settings say so, and no bearer', async () => {
    const { upstream, target, gateway } = await startScene({
      streams: { credential: 'api-key' },
      gateway: { settings: { finveraApiKey: new Secret('sk_secret&1') } },
    });
    await openStream({ ...target, query: '?apikey=mine&symbol=A' });
    const { request } = await upstream.next();
    expect(request.url).toBe('/?symbol=A&apikey=sk_secret%261');
    expect(request.headers.authorization).toBeUndefined();
    closeStreamClients();
    await streamLine(gateway);
    expect(gateway.logText()).not.toContain('sk_secret');
  });

  test('speaks the sub-protocol that the upstream chooses', async () => {
    const { upstream, target } = await startScene({ protocol: 'v2.quotes' });
    const client = await openStream({ ...target, protocols: ['v1.quotes', 'v2.quotes'] });
    expect(client.socket.protocol).toBe('v2.quotes');
    expect((await upstream.next()).request.headers['sec-websocket-protocol']).toBe('v1.quotes,v2.quotes');
  });

  test('leaves one line at its end and shows in the metrics, without token, cookie or query', async () => {
    const { upstream, target, gateway, browser } = await startScene({ echo: true });
    const client = await openStream({ ...target, query: '?symbol=told-to-nobody' });
    client.socket.send('four');
    await until('the echo', () => client.messages.length === 1);
    expect(await gateway.metrics()).toContain('finvera_gateway_open_streams{kind="streams"} 1');
    client.socket.close(3001, 'bye');
    expect(await streamLine(gateway)).toMatchObject({
      messages_in: 1,
      messages_out: 1,
      bytes_in: 4,
      bytes_out: 4,
      close_code: 3001,
      closed_by: 'browser',
      session: expect.stringMatching(/^[\w-]{43}$/),
    });
    const metrics = await gateway.metrics();
    expect(metrics).toContain('finvera_gateway_streams_closed_total{code="3xxx",by="browser"} 1');
    expect(metrics).toContain('finvera_gateway_stream_messages_total{direction="in"} 1');
    expect(metrics).toContain('finvera_gateway_open_streams{kind="streams"} 0');
    const request = gateway.logLines().find(({ route }) => route === 'stream');
    expect(request).toMatchObject({ status: 101, path: '/stream' });
    const bearer = (await upstream.next()).request.headers.authorization?.slice(7) ?? '';
    for (const secret of [bearer, browser.cookie?.split('=')[1] ?? '', 'told-to-nobody'])
      expect(gateway.logText() + metrics).not.toContain(secret);
  });
});

describe('close codes', () => {
  test.each([1000, 1001, 1008, 1011, 1012, 3000, 4000, 4999])(
    '%d of the browser reaches the upstream',
    async (code) => {
      const { upstream, target } = await startScene();
      const client = await openStream(target);
      const stream = await upstream.next();
      client.socket.close(code, 'because');
      await until('the close', () => stream.closed() !== undefined, 10_000);
      expect(stream.closed()).toEqual({ code, reason: 'because' });
    },
  );

  test.each([1000, 1001, 1003, 1012, 3000, 4000, 4999])('%d of the upstream reaches the browser', async (code) => {
    const { upstream, target } = await startScene();
    const client = await openStream(target);
    (await upstream.next()).socket.close(code, 'ä'.repeat(61));
    await client.code();
    expect(client.closed()).toEqual({ code, reason: 'ä'.repeat(61) });
  });

  test('none stays none, both ways', async () => {
    const { upstream, target } = await startScene();
    const one = await openStream(target);
    (await upstream.next()).socket.close();
    expect(await one.code()).toBe(1005);
    const other = await openStream(target);
    const stream = await upstream.next(2);
    other.socket.close();
    await until('the close', () => stream.closed() !== undefined, 10_000);
    expect(stream.closed()?.code).toBe(1005);
  });

  test('a browser that breaks off leaves the upstream with 1001, an upstream that breaks off the browser with 1011', async () => {
    const { upstream, target } = await startScene();
    const one = await openStream(target);
    const stream = await upstream.next();
    one.socket.terminate();
    await until('the close', () => stream.closed() !== undefined, 10_000);
    expect(stream.closed()?.code).toBe(1001);
    const other = await openStream(target);
    (await upstream.next(2)).socket.terminate();
    expect(await other.code()).toBe(1011);
  });

  test('the upstream cannot say that the session ended', async () => {
    const { upstream, target } = await startScene();
    const client = await openStream(target);
    (await upstream.next()).socket.close(4401, 'token expired');
    await client.code();
    expect(client.closed()).toEqual({ code: 1008, reason: 'token expired' });
  });
});

describe('an upstream that does not take the stream', () => {
  const answer = (status: string, lines: string[] = []) =>
    [`HTTP/1.1 ${status}`, ...lines, 'Content-Length: 2', 'Connection: close', '', 'no'].join('\r\n');

  test.each([
    ['403 Forbidden', [], 1008],
    ['429 Too Many Requests', [], 1013],
    ['500 Internal Server Error', [], 1011],
    ['200 OK', [], 1011],
    ['302 Found', ['Location: ws://127.0.0.1:1/'], 1011],
  ])('%s closes the browser’s with its code, and no redirect is followed', async (status, lines, code) => {
    const { upstream, target } = await startScene({ refuse: () => answer(status, lines) });
    const client = await openStream({ ...target, protocols: ['v1'] });
    expect(await client.code()).toBe(code);
    expect(upstream.handshakes).toHaveLength(1);
    expect(client.messages).toEqual([]);
  });

  test('unreachable, silent or speaking nonsense closes with 1011', async () => {
    const { target } = await startScene({ gateway: { settings: { finveraStreamUrl: 'ws://127.0.0.1:1' } } });
    expect(await (await openStream(target)).code()).toBe(1011);
    const hanging = await startScene({ refuse: () => 'hang', streams: { handshakeTimeout: 200 } });
    expect(await (await openStream(hanging.target)).code()).toBe(1011);
    const nonsense = await startScene({ refuse: () => 'nonsense\r\n\r\n' });
    expect(await (await openStream(nonsense.target)).code()).toBe(1011);
  });

  test('401 leads to one forced refresh and one more dial with the new token', async () => {
    const { upstream, target } = await startScene({
      refuse: (_request, count) => (count === 1 ? answer('401 Unauthorized') : undefined),
      echo: true,
    });
    const client = await openStream(target);
    client.socket.send('works');
    await until('the echo', () => client.messages.length === 1);
    const [first, second] = upstream.handshakes.map(({ headers }) => headers.authorization);
    expect(second).not.toBe(first);
    expect(simulator.requests('refresh')).toHaveLength(1);
  });

  test('401 again is the end of it, and the session stays', async () => {
    const { upstream, target, browser } = await startScene({ refuse: () => answer('401 Unauthorized') });
    expect(await (await openStream(target)).code()).toBe(1008);
    expect(upstream.handshakes).toHaveLength(2);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
  });
});

describe('a stream is refused as plain HTTP before anything is dialled', () => {
  test('without a session, with an unknown one, with two different cookies', async () => {
    const { upstream, target } = await startScene();
    const none = await refusedStream({ ...target, cookie: undefined });
    expect([none.status, codeIn(none.body), none.headers['set-cookie']]).toEqual([401, 'session_required', undefined]);
    expect(none.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(none.headers['x-request-id']).toBe(JSON.parse(none.body).request_id);
    const unknown = await refusedStream({ ...target, cookie: `__Host-finvera_session=${'A'.repeat(43)}` });
    expect([unknown.status, codeIn(unknown.body)]).toEqual([401, 'session_expired']);
    expect(unknown.headers['set-cookie']?.[0]).toMatch(/^__Host-finvera_session=; .*Max-Age=0$/);
    const twice = await refusedStream({ ...target, cookie: `${target.cookie}; __Host-finvera_session=other` });
    expect([twice.status, codeIn(twice.body)]).toEqual([401, 'session_required']);
    expect(upstream.handshakes).toEqual([]);
  });

  test.each([
    ['another', 'https://evil.test'],
    ['null', 'null'],
    ['a suffix', 'http://127.0.0.1.evil.test'],
    ['another port', 'http://127.0.0.1:1'],
  ])('from %s origin', async (_what, origin) => {
    const { upstream, target, gateway } = await startScene();
    for (const site of [undefined, 'none', 'cross-site', 'same-site']) {
      const headers = { Origin: origin, ...(site ? { 'Sec-Fetch-Site': site } : {}) };
      const refusal = await refusedStream({ ...target, headers });
      expect([site, refusal.status, codeIn(refusal.body)]).toEqual([site, 403, 'origin_forbidden']);
    }
    expect(upstream.handshakes).toEqual([]);
    expect(gateway.auditLines().filter(({ event }) => event === 'origin_refused')).toHaveLength(4);
  });

  test('from an origin that may call, it is not', async () => {
    const { target } = await startScene({
      gateway: { env: { ALLOWED_ORIGINS: 'http://localhost:5173', PUBLIC_URL: 'http://localhost:3000' } },
      streams: { maxPerSession: 5 },
    });
    await openStream({ ...target, headers: { Origin: 'http://localhost:5173' } });
    await openStream({ ...target, headers: { Origin: 'http://localhost:5173', 'Sec-Fetch-Site': 'cross-site' } });
    expect((await refusedStream(target)).status).toBe(403);
  });

  test('beyond the number of a session, until one is closed', async () => {
    const { upstream, target, gateway } = await startScene({ streams: { maxPerSession: 2 } });
    const [first] = await Promise.all([openStream(target), openStream(target)]);
    const refusal = await refusedStream(target);
    expect([refusal.status, codeIn(refusal.body)]).toEqual([429, 'too_many_streams']);
    expect(upstream.handshakes).toHaveLength(2);
    const other = gateway.browser();
    await other.login();
    await openStream({ ...target, cookie: other.cookie });
    first.socket.close();
    await first.code();
    await until('the place', async () => (await gateway.metrics()).includes('open_streams{kind="streams"} 2'));
    await openStream(target);
  });

  test('for users of another tier', async () => {
    const { upstream, target, gateway } = await startScene({ streams: { allowedTiers: ['platinum'] } });
    const refusal = await refusedStream(target);
    expect([refusal.status, codeIn(refusal.body)]).toEqual([403, 'tier_forbidden']);
    expect(upstream.handshakes).toEqual([]);
    expect(gateway.auditLines().at(-1)).toMatchObject({ event: 'stream_refused', reason: 'tier' });
  });

  test('while the process drains', async () => {
    const { upstream, target, gateway } = await startScene();
    gateway.gateway.beginDrain();
    const refusal = await refusedStream(target);
    expect([refusal.status, codeIn(refusal.body)]).toEqual([503, 'unavailable']);
    expect(refusal.headers['retry-after']).toBe('1');
    expect(upstream.handshakes).toEqual([]);
  });

  test('where the refresh that it needs is rejected or not to be had', async () => {
    const clock = createTestClock();
    const { upstream, target, browser } = await startScene({ gateway: { clock } });
    clock.advance(3_601_000);
    simulator.addFault({ fault: 'status', status: 503, match: { call: 'refresh' } });
    const unavailable = await refusedStream(target);
    expect([unavailable.status, codeIn(unavailable.body)]).toEqual([503, 'upstream_unavailable']);
    simulator.clearFaults();
    simulator.revoke('refresh');
    const ended = await refusedStream(target);
    expect([ended.status, codeIn(ended.body)]).toEqual([401, 'session_expired']);
    expect(upstream.handshakes).toEqual([]);
    expect((await browser.fetch('/bff/session')).status).toBe(401);
  });

  test('where it is no WebSocket at all', async () => {
    const { gateway, browser } = await startScene();
    const plain = await browser.fetch('/stream', { headers: { Origin: gateway.url } });
    expect([plain.status, plain.headers.upgrade, plain.headers['sec-websocket-version']]).toEqual([
      426,
      'websocket',
      '13',
    ]);
    const posted = await browser.fetch('/stream', { method: 'POST', headers: { Origin: gateway.url } });
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET']);
    expect((await call(`${gateway.url}/stream`)).status).toBe(403);
  });
});
