// What the forwarder does of its own accord: the one retry, the bound on requests in flight, the open breaker. The
// upstream is a plain socket server, so that a connection can break at any byte.
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createCircuitBreaker } from '../../../src/forwarding/circuit-breaker.ts';
import {
  createHttpForwarder,
  type ForwarderOptions,
  type HttpForwarder,
} from '../../../src/forwarding/http-forwarder.ts';
import type { GatewayError } from '../../../src/kernel/errors.ts';
import { call, json } from '../../support/http-client.ts';
import { until } from '../../support/until.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) each.close();
});

const portOf = (server: Server | HttpServer) => (server.address() as { port: number }).port;

/** @param answer what to do with each request, by its number from 0. */
async function startUpstream(answer: (socket: Socket, index: number) => void) {
  let received = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => {
      answer(socket, received);
      received += 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { url: `http://127.0.0.1:${portOf(server)}`, received: () => received, sockets };
}

/** A front that forwards everything, and answers the gateway's errors as `{kind, retryAfterMs}` with status 599. */
async function startFront(url: string, options: Partial<ForwarderOptions> = {}): Promise<string> {
  const breaker = createCircuitBreaker({ now: () => performance.now() });
  const forwarder: HttpForwarder = createHttpForwarder({ url, connectTimeoutMs: 1_000, breaker, ...options });
  const server = createHttpServer((req, res) => {
    const context = {
      bearer: undefined,
      requestId: 'r',
      traceparent: undefined,
      clientIp: '::1',
      proto: 'http',
      host: 'h',
    } as const;
    const target = {
      path: req.url ?? '/',
      method: req.method ?? 'GET',
      headersTimeoutMs: 2_000,
      bodyTimeoutMs: 2_000,
      maxBodyBytes: 1_000_000,
    };
    forwarder.forward(req, res, { target, context, answerHeaders: [] }).catch((error: unknown) => {
      const { kind, retryAfterMs } = error as GatewayError;
      res.writeHead(599).end(JSON.stringify({ kind, retryAfterMs }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close() {
      server.closeAllConnections();
      server.close();
      void forwarder.close();
    },
  });
  return `http://127.0.0.1:${portOf(server)}`;
}

describe('a connection that breaks', () => {
  test.each(['GET', 'HEAD', 'DELETE'])('before any byte of an answer: %s is sent once more', async (method) => {
    const upstream = await startUpstream((socket, index) => (index === 0 ? socket.destroy() : socket.end(OK)));
    const front = await startFront(upstream.url);
    expect((await call(`${front}/x`, { method })).status).toBe(200);
    expect(upstream.received()).toBe(2);
  });

  test('before any byte, twice: the browser is told', async () => {
    const upstream = await startUpstream((socket) => socket.destroy());
    const front = await startFront(upstream.url);
    expect(json(await call(`${front}/x`)).kind).toBe('upstream_refused');
    expect(upstream.received()).toBe(2);
  });

  test.each(['POST', 'PATCH'])('is the end of a %s: to do it twice is not to do it once', async (method) => {
    const upstream = await startUpstream((socket) => socket.destroy());
    const front = await startFront(upstream.url);
    expect(json(await call(`${front}/x`, { method })).kind).toBe('upstream_refused');
    expect(upstream.received()).toBe(1);
  });

  test('after the head of an answer is not hidden by a retry', async () => {
    const upstream = await startUpstream((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
      setImmediate(() => socket.destroy());
    });
    const front = await startFront(upstream.url);
    await expect(call(`${front}/x`)).rejects.toThrow();
    expect(upstream.received()).toBe(1);
  });
});

describe('too much at once', () => {
  test('refuses what is over the bound with the time to wait, and serves again when there is room', async () => {
    const waiting: Socket[] = [];
    const upstream = await startUpstream((socket) => void waiting.push(socket));
    const front = await startFront(upstream.url, { maxInFlight: 2 });
    const underWay = [call(`${front}/1`), call(`${front}/2`)];
    await until('both are under way', () => waiting.length === 2);
    expect(json(await call(`${front}/3`))).toEqual({ kind: 'upstream_unavailable', retryAfterMs: 1_000 });
    expect(upstream.received()).toBe(2);
    for (const socket of waiting) socket.end(OK);
    for (const answer of await Promise.all(underWay)) expect(answer.status).toBe(200);
    const next = call(`${front}/4`);
    await until('the next one has come', () => waiting.length === 3);
    waiting[2]?.end(OK);
    expect((await next).status).toBe(200);
  });
});

describe('an upstream that keeps failing', () => {
  test('is not asked any more while the breaker is open, and asked by one when it may be back', async () => {
    let now = 0;
    let isDown = true;
    const breaker = createCircuitBreaker({ now: () => now });
    const upstream = await startUpstream((socket) => (isDown ? socket.destroy() : socket.end(OK)));
    const front = await startFront(upstream.url, { breaker });
    while (breaker.state === 'closed') await call(`${front}/x`, { method: 'POST' });
    const asked = upstream.received();
    const refused = json(await call(`${front}/x`));
    expect([refused.kind, refused.retryAfterMs > 0, upstream.received()]).toEqual([
      'upstream_unavailable',
      true,
      asked,
    ]);
    isDown = false;
    now += 60_000;
    expect((await call(`${front}/x`)).status).toBe(200);
    expect(breaker.state).toBe('closed');
  });
});
