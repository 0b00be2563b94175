import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { FaultSpec } from '../../simulator/faults.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import {
  closeAll,
  cookieIn,
  get,
  json,
  loggedIn,
  type Reply,
  sendLogin,
  sendRefresh,
  sendValidate,
  tokensIn,
  untilAborted,
} from './client.ts';

afterEach(closeAll);

const EVENT = '/delivery/api/v1/events/evt-0001';

/** Sends raw bytes and answers everything that comes back until the connection ends. */
async function raw(simulator: Simulator, text: string): Promise<string> {
  const socket = connect(simulator.port, '127.0.0.1');
  socket.write(text);
  return everything(socket);
}

async function everything(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}

/** A GET as raw text, for faults that no client reads. */
function rawGet(path: string, token: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
}

describe('waiting', () => {
  it('adds latency', async () => {
    const { simulator, access } = await loggedIn({ fault: 'latency', ms: 60 }, { fault: 'latency', ms: 60 });
    const startedAt = performance.now();
    expect((await get(simulator, EVENT, access)).status).toBe(200);
    expect(performance.now() - startedAt).toBeGreaterThan(110);
  });

  it('holds requests until the fault is removed, before they take effect', async () => {
    const { simulator, refresh } = await loggedIn();
    const hold = simulator.addFault({ fault: 'hold', match: { call: 'refresh' } });
    const held = sendRefresh(simulator, refresh);
    await simulator.waitForRequests('refresh', 1);
    simulator.revoke('refresh');
    hold.remove();
    expect((await held).status).toBe(401);
  });

  it('lets a held call take effect first where it is computed', async () => {
    const { simulator, refresh } = await loggedIn();
    const hold = simulator.addFault({ fault: 'hold', match: { call: 'refresh' }, computed: true, times: 1 });
    const held = sendRefresh(simulator, refresh);
    await simulator.waitForRequests('refresh', 1);
    expect((await sendRefresh(simulator, refresh)).status).toBe(401);
    hold.remove();
    expect((await held).status).toBe(200);
  });

  it('takes effect even when the client does not wait', async () => {
    const { simulator, refresh } = await loggedIn();
    const hold = simulator.addFault({ fault: 'hold', times: 1 });
    const left = new AbortController();
    const held = sendRefresh(simulator, refresh, left.signal);
    await simulator.waitForRequests('refresh', 1);
    left.abort();
    await expect(held).rejects.toThrow();
    await untilAborted(simulator, 'refresh');
    hold.remove();
    expect((await sendRefresh(simulator, refresh)).status).toBe(401);
    expect(simulator.requests('refresh')[0]).toMatchObject({ aborted: true, faults: ['hold'] });
  });

  it('hangs without an answer until the client leaves', async () => {
    const { simulator, access } = await loggedIn({ fault: 'hang', match: { call: 'data' } });
    const socket = connect(simulator.port, '127.0.0.1');
    socket.write(rawGet(EVENT, access));
    await simulator.waitForRequests('data', 1);
    const received = everything(socket);
    socket.destroy();
    expect(await received).toBe('');
    expect(simulator.requests('data')[0]).toMatchObject({ status: undefined });
  });

  it('ends hanging, held and delayed requests on a reset', async () => {
    const { simulator, access } = await loggedIn(
      { fault: 'hang', times: 1 },
      { fault: 'hold', times: 1, skip: 1 },
      { fault: 'latency', ms: 600_000, skip: 2 },
    );
    const waiting = [1, 2, 3].map(() => get(simulator, EVENT, access));
    const failed = Promise.all(waiting.map((one) => expect(one).rejects.toThrow()));
    await simulator.waitForRequests('data', 3);
    simulator.reset();
    await failed;
  });
});

describe('resets', () => {
  it('resets the connection before the call takes effect', async () => {
    const { simulator, refresh } = await loggedIn({ fault: 'reset_before', match: { call: 'refresh' }, times: 1 });
    await expect(sendRefresh(simulator, refresh)).rejects.toThrow('ECONNRESET');
    expect((await sendRefresh(simulator, refresh)).status).toBe(200);
    expect(simulator.requests('refresh')[0]).toMatchObject({
      status: undefined,
      aborted: false,
      faults: ['reset_before'],
    });
  });

  it('loses the reply of a refresh that took effect', async () => {
    const { simulator, access, refresh } = await loggedIn({
      fault: 'reset_after',
      match: { call: 'refresh' },
      times: 1,
    });
    await expect(sendRefresh(simulator, refresh)).rejects.toThrow('ECONNRESET');
    expect((await sendRefresh(simulator, refresh)).status).toBe(401);
    expect((await sendValidate(simulator, access)).status).toBe(401);
  });
});

describe('answers in place of the good one', () => {
  it.each<[FaultSpec, number, Partial<Reply['headers']>]>([
    [{ fault: 'status' }, 503, {}],
    [{ fault: 'status', status: 500, retryAfter: 7 }, 500, { 'retry-after': '7' }],
    [{ fault: 'rate_limited' }, 429, { 'retry-after': '1' }],
    [{ fault: 'rate_limited', retryAfter: 30 }, 429, { 'retry-after': '30' }],
    [{ fault: 'rate_limited', retryAfter: null }, 429, { 'retry-after': undefined }],
    [{ fault: 'unauthorized' }, 401, {}],
  ])('answers %j in the error format', async (fault, status, headers) => {
    const { simulator, access } = await loggedIn(fault);
    const reply = await get(simulator, EVENT, access);
    expect(reply.status).toBe(status);
    expect(json(reply).error.code).toBe(status);
    expect(reply.headers).toMatchObject(JSON.parse(JSON.stringify(headers)));
    if ('retry-after' in headers && headers['retry-after'] === undefined) {
      expect(reply.headers).not.toHaveProperty('retry-after');
    }
  });

  it('answers a body and headers of the test’s own', async () => {
    const { simulator, access } = await loggedIn({
      fault: 'status',
      status: 418,
      body: 'tea',
      headers: { 'Content-Type': 'text/plain', 'X-Many': ['1', '2'] },
    });
    const reply = await get(simulator, EVENT, access);
    expect([reply.status, reply.text, reply.headers['content-type']]).toEqual([418, 'tea', 'text/plain']);
    expect(reply.headers['x-many']).toBe('1, 2');
  });

  it('answers a success that is no JSON', async () => {
    const { simulator } = await loggedIn({ fault: 'malformed_json' });
    const reply = await sendLogin(simulator);
    expect([reply.status, reply.headers['content-type'], reply.setCookies]).toEqual([200, 'application/json', []]);
    expect(() => json(reply)).toThrow(SyntaxError);
  });

  it('answers a page instead of JSON', async () => {
    const { simulator } = await loggedIn({ fault: 'html', status: 502 });
    const reply = await sendLogin(simulator);
    expect([reply.status, reply.headers['content-type']]).toEqual([502, 'text/html']);
    expect(reply.text).toContain('<html>');
  });

  it('answers an empty success', async () => {
    const { simulator } = await loggedIn({ fault: 'empty' });
    const reply = await sendLogin(simulator);
    expect([reply.status, reply.text]).toEqual([200, '']);
  });

  it('keeps the token cookies of a computed answer whose body is unusable', async () => {
    const { simulator, refresh } = await loggedIn({ fault: 'html', computed: true });
    const reply = await sendRefresh(simulator, refresh);
    expect(reply.text).toContain('<html>');
    expect(cookieIn(reply, 'DT_REFRESH_TOKEN')).toBeDefined();
    simulator.clearFaults();
    expect((await sendRefresh(simulator, refresh)).status).toBe(401);
  });

  it('answers a login and a refresh without tokens, and lets nothing take effect', async () => {
    const { simulator, refresh } = await loggedIn({ fault: 'no_tokens' });
    for (const reply of [await sendLogin(simulator), await sendRefresh(simulator, refresh)]) {
      expect(reply.status).toBe(200);
      expect(tokensIn(reply)).toEqual({ access: '', refresh: '' });
    }
    expect(json(await sendValidate(simulator, 'any'))).toEqual({});
    simulator.clearFaults();
    expect((await sendRefresh(simulator, refresh)).status).toBe(200);
  });

  it('redirects to itself, or wherever it is told', async () => {
    const { simulator, access } = await loggedIn({ fault: 'redirect', times: 1 });
    const own = await get(simulator, EVENT, access);
    expect([own.status, own.headers.location]).toEqual([302, `${simulator.url}/delivery/api/v1/events?redirected=1`]);
    simulator.addFault({ fault: 'redirect', status: 307, location: 'https://elsewhere.test/' });
    const other = await get(simulator, EVENT, access);
    expect([other.status, other.headers.location]).toEqual([307, 'https://elsewhere.test/']);
  });

  it('answers something that is not HTTP', async () => {
    const { simulator, access } = await loggedIn({ fault: 'garbage' });
    expect(await raw(simulator, rawGet(EVENT, access))).toBe('this is not HTTP\r\n\r\n');
    await expect(get(simulator, EVENT, access)).rejects.toThrow('Parse Error');
  });
});

describe('answers cut short', () => {
  it.each([EVENT, '/delivery/api/v1/__bytes/300000'])('announces all of %s, sends half and closes', async (path) => {
    const { simulator, access } = await loggedIn({ fault: 'half_body' });
    const [head = '', body = ''] = (await raw(simulator, rawGet(path, access))).split('\r\n\r\n', 2);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    expect(body).toHaveLength(Math.floor(length / 2));
    await expect(get(simulator, path, access)).rejects.toThrow('aborted');
    expect(simulator.requests('data')[0]).toMatchObject({ status: 200, aborted: false });
  });

  it('stays silent after half of the body', async () => {
    const { simulator, access } = await loggedIn({ fault: 'stall_body' });
    const socket = connect(simulator.port, '127.0.0.1');
    socket.write(rawGet(EVENT, access));
    const received = everything(socket);
    await once(socket, 'data');
    simulator.reset();
    const [head = '', body = ''] = (await received).split('\r\n\r\n', 2);
    expect(head).toContain('200 OK');
    expect(body.length).toBeLessThan(Number(/content-length: (\d+)/i.exec(head)?.[1]));
  });
});
