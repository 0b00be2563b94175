// The client against servers of bytes: what goes out, what is told, which connections are used again, and which never.
import { createServer as createNetServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { ExchangeFault } from '../../../src/http-client/exchange-fault.ts';
import {
  type ClientRequest,
  createHttpClient,
  type ExchangeHandle,
  type HttpClient,
  type HttpClientOptions,
} from '../../../src/http-client/http-client.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { freePort } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const opened: { close(): unknown }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.close();
});

interface TestServer {
  readonly url: URL;
  readonly sockets: readonly Socket[];
  /** All that came, on all connections. */
  received(): string;
}

/** @param serve what is done with what comes; default: `OK` for each piece. */
async function startServer(
  serve: (socket: Socket, text: string) => void = (socket) => void socket.write(OK),
  server: Server = createNetServer(),
  scheme = 'http',
): Promise<TestServer> {
  const sockets: Socket[] = [];
  let received = '';
  server.on(scheme === 'https' ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1');
      serve(socket, bytes.toString('latin1'));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  opened.push({
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  const { port } = server.address() as { port: number };
  return { url: new URL(`${scheme}://127.0.0.1:${port}`), sockets, received: () => received };
}

function clientOf(url: URL, options: Partial<HttpClientOptions> = {}): HttpClient {
  const client = createHttpClient({ url, connectTimeoutMs: 1_000, maxConnections: 4, keepAliveMs: 4_000, ...options });
  opened.push(client);
  return client;
}

interface Told {
  readonly handle: ExchangeHandle;
  readonly calls: string[];
  status: number;
  body: string;
  cause: unknown;
}

/** Sends, and notes what is told. @param on called within the call of that name. */
function send(
  client: HttpClient,
  request: Partial<ClientRequest> = {},
  on: (call: string, told: Told) => void = () => undefined,
) {
  const told = { calls: [], status: 0, body: '', cause: undefined } as unknown as {
    -readonly [K in keyof Told]: Told[K];
  };
  const note = (call: string) => {
    told.calls.push(call);
    on(call, told);
  };
  told.handle = client.send(
    { method: 'GET', path: '/', fields: [], body: undefined, ...request },
    {
      onStart: () => note('start'),
      onSent: () => note('sent'),
      onHead(status) {
        told.status = status;
        note('head');
      },
      onBody(bytes) {
        told.body += bytes.toString('latin1');
        note('body');
      },
      onEnd: () => note('end'),
      onFailure(cause) {
        told.cause = cause;
        note('failure');
      },
    },
  );
  return told as Told;
}

const isOver = ({ calls }: Told) => calls.includes('end') || calls.includes('failure');

async function ask(client: HttpClient, request?: Partial<ClientRequest>): Promise<Told> {
  const told = send(client, request);
  await until('over', () => isOver(told));
  return told;
}

const kindOf = (told: Told): string | undefined => (told.cause as ExchangeFault | undefined)?.kind;

describe('an exchange', () => {
  test('is told in its order', async () => {
    const { url, received } = await startServer();
    const told = await ask(clientOf(url), { path: '/a?b', fields: ['X', 'y'] });
    expect(told).toMatchObject({ calls: ['start', 'sent', 'head', 'body', 'end'], status: 200, body: 'ok' });
    expect(received()).toBe(`GET /a?b HTTP/1.1\r\nHost: ${url.host}\r\nX: y\r\n\r\n`);
  });

  test('that cannot be sent is refused at once, and no connection is opened', async () => {
    const { url, sockets } = await startServer();
    const client = clientOf(url);
    expect(() => send(client, { fields: ['X', 'a\nb'] })).toThrow(TypeError);
    expect((await ask(client)).body).toBe('ok');
    expect(sockets).toHaveLength(1);
  });

  test('whose answer lasts until the connection ends is whole then, and not where it is cut', async () => {
    const { url } = await startServer((socket, text) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nall of it');
      if (text.includes('/cut')) setTimeout(() => socket.resetAndDestroy(), 20);
      else socket.end();
    });
    expect(await ask(clientOf(url))).toMatchObject({ body: 'all of it', calls: expect.arrayContaining(['end']) });
    const cut = await ask(clientOf(url), { path: '/cut' });
    expect([cut.body, kindOf(cut)]).toEqual(['all of it', 'broken']);
  });

  test.each<[string, (socket: Socket) => void]>([
    ['before its head', (socket) => void socket.end()],
    ['in its head', (socket) => void socket.end('HTTP/1.1 200')],
    ['in its body', (socket) => void socket.end(OK.slice(0, -1))],
    ['by a reset', (socket) => void socket.resetAndDestroy()],
  ])('whose answer breaks off %s is broken', async (_where, breakOff) => {
    const { url } = await startServer(breakOff);
    const told = await ask(clientOf(url));
    expect([kindOf(told), told.calls.filter((call) => call === 'failure')]).toEqual(['broken', ['failure']]);
  });

  test('whose answer is no HTTP ends its connection', async () => {
    const { url, sockets } = await startServer((socket) => void socket.write('SSH-2.0\r\n'));
    expect(kindOf(await ask(clientOf(url)))).toBe('malformed');
    await until('closed', () => sockets[0]?.destroyed ?? false);
  });

  test('whose listener throws ends alone', async () => {
    const { url } = await startServer();
    const client = clientOf(url);
    const told = send(client, {}, (call) => {
      if (call === 'head') throw new Error('mine');
    });
    await until('over', () => isOver(told));
    expect(told.cause).toEqual(new Error('mine'));
    expect((await ask(client)).body).toBe('ok');
  });

  test.each(['before there is a connection', 'on its way'])(
    'that is given up %s is told nothing more',
    async (when) => {
      const { url, sockets } = await startServer(() => undefined);
      const client = clientOf(url);
      const told = send(client);
      if (when === 'on its way') await until('sent', () => told.calls.includes('sent'));
      told.handle.abort();
      told.handle.abort();
      await until('settled', () => client.counts().busy === 0);
      await until('connected', () => sockets.length === 1);
      expect(told.calls).toEqual(when === 'on its way' ? ['start', 'sent'] : []);
      // What was never used is kept for the next one.
      if (when === 'on its way') await until('closed', () => sockets[0]?.destroyed ?? false);
      else await until('kept', () => client.counts().open === 1);
    },
  );
});

describe('a body', () => {
  const whole = (socket: Socket, text: string) => {
    if (/0\r\n\r\n$|end$/.test(text)) socket.write(OK);
  };

  test('that is known goes out with its length', async () => {
    const { url, received } = await startServer();
    await ask(clientOf(url), { method: 'POST', body: Buffer.from('known') });
    expect(received()).toMatch(/\r\nContent-Length: 5\r\n\r\nknown$/);
  });

  test('that streams goes out in chunks, or with the length it has', async () => {
    const { url, received } = await startServer(whole);
    const pieces = () => Readable.from([Buffer.from('some'), Buffer.alloc(0), Buffer.from('end')]);
    const chunked = await ask(clientOf(url), { method: 'POST', body: pieces() });
    expect(received()).toMatch(/\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n3\r\nend\r\n0\r\n\r\n$/);
    expect(chunked.calls).toEqual(['start', 'sent', 'head', 'body', 'end']);
    await ask(clientOf(url), { method: 'POST', fields: ['content-length', '7'], body: pieces() });
    expect(received()).toMatch(/\r\ncontent-length: 7\r\n\r\nsomeend$/);
  });

  test('that is empty is an empty body', async () => {
    const { url, received } = await startServer(whole);
    await ask(clientOf(url), { method: 'POST', body: Readable.from([]) });
    expect(received()).toMatch(/chunked\r\n\r\n0\r\n\r\n$/);
  });

  test('of which nothing has come does not show at the server', async () => {
    const { url, received } = await startServer();
    const body = new Readable({ read: () => undefined });
    const told = send(clientOf(url), { method: 'POST', body });
    await until('started', () => told.calls.includes('start'));
    await delay(50);
    expect(received()).toBe('');
    body.push('x');
    await until('the head', () => received().startsWith('POST'));
    told.handle.abort();
    expect(body.destroyed).toBe(true);
  });

  test.each([
    ['shorter', '8', 'The body is shorter than announced.'],
    ['longer', '6', 'The body is longer than announced.'],
  ])('that is %s than announced is no request: its connection ends', async (_what, length, message) => {
    const { url, sockets } = await startServer(() => undefined);
    const body = Readable.from([Buffer.from('1234567')]);
    const told = await ask(clientOf(url), { method: 'POST', fields: ['Content-Length', length], body });
    expect((told.cause as Error).message).toBe(message);
    await until('closed', () => sockets.every(({ destroyed }) => destroyed));
  });

  test('that breaks off passes its own error on, before it began and later', async () => {
    const { url } = await startServer(() => undefined);
    const client = clientOf(url);
    const gone = new Readable({ read: () => undefined });
    gone.on('error', () => undefined).destroy(new Error('gone'));
    expect((await ask(client, { method: 'POST', body: gone })).cause).toEqual(new Error('gone'));
    const breaking = new Readable({ read: () => undefined });
    const told = send(client, { method: 'POST', body: breaking });
    breaking.push('x');
    await until('started', () => told.calls.includes('start'));
    breaking.destroy(new Error('later'));
    await until('over', () => isOver(told));
    expect(told.cause).toEqual(new Error('later'));
  });

  test('that is answered before its end is given up, and so is its connection', async () => {
    const { url, sockets } = await startServer();
    const client = clientOf(url);
    const body = new Readable({ read: () => undefined });
    const told = send(client, { method: 'POST', body });
    body.push('x');
    await until('over', () => isOver(told));
    expect([told.calls, body.destroyed]).toEqual([['start', 'head', 'body', 'end'], true]);
    await ask(client);
    expect(sockets).toHaveLength(2);
  });

  test('waits for a server that does not read', async () => {
    let server: Socket | undefined;
    const { url, received } = await startServer((socket, text) => {
      server ??= socket.pause();
      if (text.endsWith('end')) socket.write(OK);
    });
    let produced = 0;
    const total = 64;
    const body = new Readable({
      read() {
        produced += 1;
        this.push(produced < total ? Buffer.alloc(1024 * 1024) : Buffer.from('end'));
        if (produced === total) this.push(null);
      },
    });
    const told = send(clientOf(url), {
      method: 'POST',
      fields: ['Content-Length', String((total - 1) * 1024 * 1024 + 3)],
      body,
    });
    await until('held', () => produced > 2);
    await delay(100);
    expect(produced).toBeLessThan(total - 10);
    server?.resume();
    await until('over', () => isOver(told));
    expect([told.status, received().endsWith('end')]).toEqual([200, true]);
  });
});

describe('a pause', () => {
  const LARGE = 'x'.repeat(3_000_000);

  test('holds everything back: body, end, and a connection that breaks', async () => {
    const { url } = await startServer((socket, text) => {
      if (text.includes('/break')) socket.end(OK.slice(0, -1));
      else socket.write(OK);
    });
    for (const path of ['/', '/break']) {
      const told = send(clientOf(url), { path }, (call, { handle }) => {
        if (call === 'head') handle.pause();
      });
      await until('the head', () => told.calls.includes('head'));
      await delay(50);
      expect(told.calls.at(-1)).toBe('head');
      told.handle.resume();
      await until('over', () => isOver(told));
      expect(told.calls.slice(3)).toEqual(['body', path === '/' ? 'end' : 'failure']);
    }
  });

  test('of an answer without a body holds back its end', async () => {
    const { url } = await startServer((socket) => void socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
    const client = clientOf(url);
    const told = send(client, {}, (call, { handle }) => {
      if (call === 'head') handle.pause();
    });
    await until('the head', () => told.calls.includes('head'));
    expect([told.calls.at(-1), client.counts().busy]).toEqual(['head', 1]);
    told.handle.resume();
    expect([told.calls.at(-1), client.counts().busy]).toEqual(['end', 0]);
    expect((await ask(client)).status).toBe(204);
  });

  test('and going on by turns loses and repeats nothing', async () => {
    const { url, sockets } = await startServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LARGE.length}\r\n\r\n${LARGE}`);
    });
    const client = clientOf(url);
    let pauses = 0;
    const told = send(client, {}, (call, { handle }) => {
      if (call !== 'body') return;
      pauses += 1;
      handle.pause();
      // At once, in the same turn, and later.
      if (pauses % 3 === 0) handle.resume();
      else if (pauses % 3 === 1) queueMicrotask(() => handle.resume());
      else setImmediate(() => handle.resume());
    });
    await until('over', () => isOver(told));
    expect(told.calls.at(-1)).toBe('end');
    expect(told.body === LARGE).toBe(true);
    expect((await ask(client)).body.length).toBe(LARGE.length);
    expect(sockets).toHaveLength(1);
  });

  test('holds the server back', async () => {
    const { url, sockets } = await startServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n${'x'.repeat(50_000_000)}`);
    });
    const told = send(clientOf(url), {}, (call, { handle }) => {
      if (call === 'head') handle.pause();
    });
    await until('the head', () => told.calls.includes('head'));
    await delay(100);
    expect(sockets[0]?.writableLength).toBeGreaterThan(10_000_000);
    told.handle.abort();
    await until('closed', () => sockets[0]?.destroyed ?? false);
  });
});

describe('connections', () => {
  test('are used again, the last one first, and no more of them than allowed', async () => {
    const { url, sockets, received } = await startServer((socket) => void setTimeout(() => socket.write(OK), 10));
    const client = clientOf(url, { maxConnections: 3 });
    const many = Array.from({ length: 9 }, (_, i) => send(client, { path: `/${i}` }));
    expect(client.counts()).toEqual({ open: 0, busy: 0, waiting: 6 });
    await until('over', () => many.every(isOver));
    expect(many.every(({ body }) => body === 'ok')).toBe(true);
    expect([sockets.length, client.counts()]).toEqual([3, { open: 3, busy: 0, waiting: 0 }]);
    expect(received().match(/^GET \/(\d)/gm)).toHaveLength(9);
  });

  test('that break let others wait no longer', async () => {
    const { url } = await startServer((socket, text) =>
      text.includes('/0') ? socket.destroy() : void socket.write(OK),
    );
    const client = clientOf(url, { maxConnections: 1 });
    const [broken, given, next] = [
      send(client, { path: '/0' }),
      send(client, { path: '/1' }),
      send(client, { path: '/2' }),
    ];
    given?.handle.abort();
    await until('over', () => isOver(broken as Told) && isOver(next as Told));
    expect([kindOf(broken as Told), given?.calls, next?.body]).toEqual(['broken', [], 'ok']);
  });

  test.each([
    ['says close', OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')],
    ['is old', OK.replace('1.1', '1.0')],
    ['says more than it announced', `${OK}more`],
  ])('of a server that %s are not used again', async (_what, answer) => {
    const { url, sockets } = await startServer((socket) => void socket.write(answer));
    const client = clientOf(url);
    for (let i = 0; i < 2; i += 1) expect((await ask(client)).body).toBe('ok');
    expect(sockets).toHaveLength(2);
    await until('closed', () => sockets.every(({ destroyed }) => destroyed));
  });

  test('what comes while nothing is asked ends the connection', async () => {
    const { url, sockets } = await startServer();
    const client = clientOf(url);
    await ask(client);
    sockets[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await until('closed', () => client.counts().open === 0);
    expect((await ask(client)).body).toBe('ok');
  });

  test('that the server ends while they are idle are not used again', async () => {
    const { url, sockets } = await startServer();
    const client = clientOf(url);
    await ask(client);
    sockets[0]?.end();
    await until('closed', () => client.counts().open === 0);
    expect((await ask(client)).body).toBe('ok');
  });

  test('are closed when they have been idle for long, or for as long as the server says', async () => {
    const hinting = await startServer((socket) => {
      socket.write(OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=1\r\n\r\n'));
    });
    const hinted = clientOf(hinting.url);
    for (let i = 0; i < 2; i += 1) await ask(hinted);
    // One second less a margin of one second: at once.
    expect(hinting.sockets).toHaveLength(2);
    const { url, sockets } = await startServer();
    const client = clientOf(url, { keepAliveMs: 100 });
    for (let i = 0; i < 2; i += 1) await ask(client);
    expect(sockets).toHaveLength(1);
    await until('swept', () => sockets[0]?.destroyed ?? false);
    expect(client.counts().open).toBe(0);
  });

  test('that nobody takes are told apart: refused, and not in time', async () => {
    const refused = await ask(clientOf(new URL(`http://127.0.0.1:${await freePort()}`)));
    expect([kindOf(refused), (refused.cause as ExchangeFault).code]).toEqual(['not_connected', 'ECONNREFUSED']);
    // TLS is a part of connecting: this one never begins it.
    const { url } = await startServer(() => undefined);
    const late = clientOf(new URL(url.href.replace('http:', 'https:')), { connectTimeoutMs: 50 });
    const told = await ask(late);
    expect([kindOf(told), told.calls]).toEqual(['connect_timeout', ['failure']]);
  });

  test('end with the client, and whoever waits is told, paused or not', async () => {
    const { url, sockets } = await startServer((socket) => void socket.write(OK.slice(0, -1)));
    const client = clientOf(url, { maxConnections: 2 });
    const paused = send(client, {}, (call, { handle }) => {
      if (call === 'head') handle.pause();
    });
    const [running, waiting] = [send(client), send(client)];
    await until('under way', () => [paused, running].every(({ calls }) => calls.includes('head')));
    client.close();
    expect([paused, running, waiting].map(kindOf)).toEqual(['broken', 'broken', 'not_connected']);
    expect(kindOf(await ask(client))).toBe('not_connected');
    await until('closed', () => sockets.every(({ destroyed }) => destroyed));
  });
});

describe('TLS', () => {
  const certificate = makeCertificate();
  opened.push({ close: certificate.remove });
  const startSecure = (onSocket: (socket: TLSSocket) => void = () => undefined) =>
    startServer(
      (socket) => {
        onSocket(socket as TLSSocket);
        socket.write(OK);
      },
      createTlsServer({ cert: certificate.cert, key: certificate.key, ALPNProtocols: ['http/1.1'] }),
      'https',
    );

  test('is refused where nobody vouches for the certificate', async () => {
    const { url, received } = await startSecure();
    const told = await ask(clientOf(url));
    expect([kindOf(told), (told.cause as ExchangeFault).code]).toEqual([
      'not_connected',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    ]);
    expect(received()).toBe('');
  });

  test('carries an exchange, large bodies too, and later connections continue its session', async () => {
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, certificate.cert]);
    opened.push({ close: () => setDefaultCACertificates(before) });
    const continued: boolean[] = [];
    const { url, sockets } = await startSecure((socket) => continued.push(socket.isSessionReused()));
    const client = clientOf(url, { keepAliveMs: 60_000 });
    const large = Buffer.alloc(1_000_000, 'x');
    expect(await ask(client, { method: 'POST', body: large })).toMatchObject({ status: 200, body: 'ok' });
    sockets[0]?.destroy();
    await until('closed', () => client.counts().open === 0);
    expect((await ask(client)).body).toBe('ok');
    expect([continued[0], continued.at(-1)]).toEqual([false, true]);
  });
});
