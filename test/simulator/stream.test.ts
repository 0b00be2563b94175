import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { Simulator } from '../../simulator/simulator.ts';
import { call, closeAll, login, start } from './client.ts';

afterEach(closeAll);

async function open(simulator: Simulator, query: string, headers: Record<string, string> = {}): Promise<WebSocket> {
  const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/${query}`, { headers });
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
