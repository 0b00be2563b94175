// Clients that hold what they take: half a header for ever, a body byte by byte, an answer nobody reads, a thousand
// connections, parallel logins without end. Time and memory stay bounded, and others are served meanwhile (ATK-D).
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { call } from '../support/http-client.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { rawAnswer } from '../support/raw-upstream.ts';
import { until } from '../support/until.ts';

const MB = 1_048_576;

const scenes: RawScene[] = [];
const sockets: Socket[] = [];
const dribbles: NodeJS.Timeout[] = [];
afterEach(async () => {
  for (const dribble of dribbles.splice(0)) clearInterval(dribble);
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(scenes.splice(0).map((each) => each.close()));
});

async function start(env: Record<string, string> = {}): Promise<RawScene> {
  const scene = await startRawScene({ env });
  scenes.push(scene);
  return scene;
}

/** Connections that only say what they are told. */
async function open(scene: RawScene, count: number, bytes = ''): Promise<Socket[]> {
  const opened = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connect(scene.gateway.port, '127.0.0.1', () => resolve(socket));
          socket.on('error', reject);
          sockets.push(socket);
        }),
    ),
  );
  for (const socket of opened) {
    socket.on('error', () => undefined);
    if (bytes !== '') socket.write(bytes);
  }
  return opened;
}

/** Sends a byte on each from time to time, until the test is over. */
function dribble(slow: readonly Socket[], byte: string, everyMs: number): void {
  dribbles.push(
    setInterval(() => {
      for (const socket of slow) socket.write(byte);
    }, everyMs),
  );
}

/** Ten requests of somebody else: all succeed, none takes long. */
async function expectOthersServed(scene: RawScene, withinMs = 10_000): Promise<void> {
  for (let i = 0; i < 10; i += 1) {
    const startedAt = performance.now();
    expect((await scene.browser.fetch('/delivery/other')).status).toBe(200);
    expect((await scene.browser.fetch('/bff/session')).status).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(withinMs);
  }
}

const connectionsOf = ({ gateway }: RawScene): Promise<number> =>
  new Promise((resolve, reject) =>
    gateway.gateway.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );

const inFlight = async ({ gateway }: RawScene): Promise<number> =>
  Number(/^finvera_gateway_in_flight (\d+)$/m.exec(await gateway.metrics())?.[1]);

describe('who sends slowly', () => {
  test('half a header section for ever is cut with 408, and others are served meanwhile', async () => {
    const scene = await start();
    expect(scene.gateway.gateway.server.headersTimeout).toBe(15_000);
    scene.gateway.gateway.server.headersTimeout = 200;
    const slow = await open(scene, 200, 'GET /delivery/x HTTP/1.1\r\nHost: x\r\nX-A: ');
    let answer = '';
    slow[0]?.on('data', (chunk) => {
      answer += String(chunk);
    });
    dribble(slow, 'a', 50);
    await expectOthersServed(scene);
    await until('the end of all of them', async () => (await connectionsOf(scene)) === 0, 15_000);
    expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*Connection: close[\s\S]*"code":"request_timeout"/);
  }, 40_000);

  test('a login byte by byte is cut with 408 in bounded time, however steadily it comes', async () => {
    const scene = await start({ FINVERA_BODY_TIMEOUT: '2s' });
    const before = scene.upstream.allRequests().length;
    const request = [
      'POST /bff/login HTTP/1.1',
      'Host: x',
      'Content-Type: application/json',
      'Content-Length: 4000',
      '',
      '{',
    ].join('\r\n');
    const slow = await open(scene, 50, request);
    let answer = '';
    slow[0]?.on('data', (chunk) => {
      answer += String(chunk);
    });
    dribble(slow, ' ', 20);
    await expectOthersServed(scene);
    await until('the end of all of them', async () => (await connectionsOf(scene)) === 0, 15_000);
    expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"code":"request_timeout"/);
    expect(
      scene.upstream
        .allRequests()
        .slice(before)
        .filter(({ target }) => target.endsWith('/token')),
    ).toEqual([]);
  });

  test('a body for the frontend byte by byte is cut with 408 in bounded time, and lets go of the frontend', async () => {
    let connections = 0;
    const frontend = createServer((req, res) => req.on('end', () => res.end()).resume());
    frontend.on('connection', (socket) => {
      connections += 1;
      socket.once('close', () => {
        connections -= 1;
      });
    });
    await new Promise<void>((resolve) => frontend.listen(0, '127.0.0.1', resolve));
    const { port } = frontend.address() as AddressInfo;
    const scene = await start({ FRONTEND: `http://127.0.0.1:${port}`, FINVERA_BODY_TIMEOUT: '2s' });
    const slow = await open(scene, 20, 'POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\na');
    let answer = '';
    slow[0]?.on('data', (chunk) => {
      answer += String(chunk);
    });
    dribble(slow, 'a', 50);
    await until('all at the frontend', () => connections === 20);
    await expectOthersServed(scene);
    await until('the end of all of them', async () => (await connectionsOf(scene)) === 0 && connections === 0, 15_000);
    expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*Connection: close[\s\S]*"code":"request_timeout"/);
    await new Promise((resolve) => frontend.close(resolve));
  }, 40_000);

  test('a body that stops is cut with 408, and lets go of Finvera', async () => {
    const scene = await start({ FINVERA_BODY_TIMEOUT: '2s' });
    await open(scene, 30, scene.request('POST', '/delivery/x', ['Content-Length: 100'], 'begin'));
    await expectOthersServed(scene);
    await until('the end of all of them', async () => (await connectionsOf(scene)) === 0);
    await until('nothing under way', async () => (await inFlight(scene)) === 0);
  });
});

describe('who does not read', () => {
  test('holds little memory and is cut; others are served', async () => {
    const scene = await start({ FINVERA_BODY_TIMEOUT: '2s' });
    const block = Buffer.alloc(MB, 'x');
    scene.upstream.answerBy(({ target }) =>
      target.includes('endless')
        ? (socket) => {
            socket.write('HTTP/1.1 200 OK\r\nContent-Length: 50000000000\r\n\r\n');
            const more = (): void => {
              while (!socket.destroyed && socket.write(block));
              socket.once('drain', more);
            };
            more();
          }
        : rawAnswer(),
    );
    const before = process.memoryUsage().arrayBuffers;
    const readers = await open(scene, 20);
    for (const socket of readers) {
      socket.pause();
      socket.write(scene.request('GET', '/delivery/endless'));
    }
    await until(
      'all at Finvera',
      () => scene.upstream.requests().filter(({ target }) => target.includes('endless')).length === 20,
    );
    await expectOthersServed(scene);
    // The test's own upstream has a megabyte or two for each in its hands as well.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(160 * MB);
    await until('the end of all of them', async () => (await inFlight(scene)) === 0);
  });
});

describe('who sends too much', () => {
  test.each([
    ['a header of 17 KB', 431, (scene: RawScene) => scene.request('GET', '/delivery/x', [`X: ${'a'.repeat(17_000)}`])],
    ['a path of 17 KB', 414, (scene: RawScene) => scene.request('GET', `/delivery/${'a'.repeat(17_000)}`)],
    ['a path of 38 KB', 414, (scene: RawScene) => scene.request('GET', `/delivery/${'a'.repeat(38_000)}`)],
    ['a path of 60 KB', 414, (scene: RawScene) => scene.request('GET', `/delivery/${'a'.repeat(60_000)}`)],
    ['a query of 17 KB', 414, (scene: RawScene) => scene.request('GET', `/delivery/x?${'a'.repeat(17_000)}`)],
    [
      'a megabyte of cookies',
      431,
      (scene: RawScene) => scene.request('GET', '/delivery/x', [`Cookie: ${'a=b; '.repeat(200_000)}`]),
    ],
    [
      'two thousand headers',
      431,
      (scene: RawScene) =>
        scene.request(
          'GET',
          '/delivery/x',
          Array.from({ length: 2_000 }, (_, i) => `X${i}: a`),
        ),
    ],
  ])('%s gets %d, and Finvera nothing', async (_what, status, request) => {
    const scene = await start();
    const { statuses, closed } = await scene.exchange(request(scene));
    expect({ statuses, closed }).toEqual({ statuses: [status], closed: true });
    expect(scene.upstream.requests()).toEqual([]);
    await expectOthersServed(scene);
  });

  test('a path of 17 KB gets 414 also where it comes in many packets', async () => {
    const scene = await start();
    const connection = await scene.open();
    const bytes = scene.request('GET', `/delivery/${'a'.repeat(17_000)}`);
    for (let at = 0; at < bytes.length; at += 1_000) {
      connection.socket.write(bytes.slice(at, at + 1_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('the answer', () => connection.isClosed());
    expect(connection.received()).toMatch(/^HTTP\/1\.1 414 [\s\S]*"code":"uri_too_long"/);
    expect(scene.upstream.requests()).toEqual([]);
  });

  test('a body beyond the limit is cut while it comes: 413, and Finvera never gets all of it', async () => {
    const scene = await start({ MAX_BODY_BYTES: '100kb' });
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    const { statuses, closed } = await scene.exchange(
      scene.request('POST', '/delivery/x', ['Transfer-Encoding: chunked'], chunk.repeat(20)),
    );
    expect({ statuses, closed }).toEqual({ statuses: [413], closed: true });
    expect(scene.upstream.requests().map(({ line }) => line)).toEqual([]);
    await expectOthersServed(scene);
  });
});

describe('who comes in crowds', () => {
  test('a thousand idle connections cost little, and others are served', async () => {
    const scene = await start();
    const before = process.memoryUsage().rss;
    await open(scene, 1_000);
    await expectOthersServed(scene);
    expect(await connectionsOf(scene)).toBeGreaterThanOrEqual(1_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * MB);
  }, 60_000);

  test('two thousand parallel logins reach Finvera as often as the limit says, and others are served', async () => {
    const scene = await start({ TRUST_PROXY: '127.0.0.1' });
    const before = scene.upstream.allRequests().length;
    const logins = Array.from({ length: 2_000 }, (_, i) =>
      call(`${scene.gateway.url}/bff/login`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': '192.0.2.1' },
        body: JSON.stringify({ email: `user-${i}@finvera.test`, password: 'wrong' }),
      }),
    );
    // The two thousand callers share this process with the gateway.
    await expectOthersServed(scene, 40_000);
    const statuses = (await Promise.all(logins)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(100);
    expect(statuses.filter((status) => status === 429)).toHaveLength(1_900);
    expect(
      scene.upstream
        .allRequests()
        .slice(before)
        .filter(({ target }) => target.endsWith('/token')),
    ).toHaveLength(100);
    // Logins have connections of their own, and few.
    expect(scene.upstream.connections()).toBeLessThan(100);
  }, 120_000);

  test('three hundred clients that break off at every stage leave nothing behind', async () => {
    const scene = await start();
    scene.upstream.answerBy(({ target }) =>
      target.includes('half')
        ? 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf'
        : target.includes('hang')
          ? () => undefined
          : rawAnswer(),
    );
    const stages = [
      '',
      'GET /del',
      'GET /delivery/x HTTP/1.1\r\nHost: x\r\nCook',
      scene.request('GET', '/delivery/hang'),
      scene.request('GET', '/delivery/half'),
      scene.request('POST', '/delivery/hang', ['Content-Length: 100'], 'begin'),
      scene.request('POST', '/delivery/hang', ['Transfer-Encoding: chunked'], '5\r\nbegin\r\n'),
      scene.request('POST', '/delivery/x', ['Expect: 100-continue', 'Content-Length: 5']),
      scene.request('POST', '/bff/login', ['Content-Type: application/json', 'Content-Length: 50'], '{"email'),
      scene.request('GET', '/delivery/x').repeat(5),
    ];
    for (let round = 0; round < 30; round += 1) {
      const opened = await Promise.all(stages.map((bytes) => open(scene, 1, bytes)));
      if (round % 2 === 0) await scene.browser.fetch('/bff/session');
      for (const [socket] of opened) socket?.resetAndDestroy();
    }
    await until('nothing under way', async () => (await inFlight(scene)) === 0);
    await until('no connection', async () => (await connectionsOf(scene)) === 0);
    await expectOthersServed(scene);
    expect(scene.gateway.logLines().filter(({ code }) => code === 'internal_error')).toEqual([]);
  }, 60_000);
});
