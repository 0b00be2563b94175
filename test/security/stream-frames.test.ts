// Frames and handshakes that no WebSocket client sends (RFC 6455): each ends its own connection with the right code, and
// nothing else: the gateway and the streams of others live on.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { openRaw, parseAnswers, type RawConnection } from '../support/raw-http.ts';
import { startRedis } from '../support/redis-server.ts';
import { openStream, refusedStream, type StreamClient } from '../support/stream-client.ts';
import { closeStreamScenes, type StreamScene, startStreamScene } from '../support/stream-scene.ts';
import { until } from '../support/until.ts';

const MAX_MESSAGE = 100_000;
const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const VERSION = 'Sec-WebSocket-Version: 13';

let simulator: Simulator;
let scene: StreamScene;
/** Of another browser, open all the time. */
let bystander: StreamClient;
const connections: RawConnection[] = [];

beforeAll(async () => {
  simulator = await createSimulator();
  scene = await startStreamScene(simulator, { echo: true, streams: { maxMessageBytes: MAX_MESSAGE } });
  const other = scene.gateway.browser();
  await other.login('standard@finvera.test');
  bystander = await openStream({ ...scene.target, cookie: other.cookie });
});
afterEach(async () => {
  for (const { socket } of connections.splice(0)) socket.destroy();
  // Whatever it was: others are served, and nothing of it was a fault of the gateway's.
  const before = bystander.messages.length;
  bystander.socket.send('still there');
  await until('the echo of the bystander', () => bystander.messages.length === before + 1);
  expect((await scene.browser.fetch('/bff/session')).status).toBe(200);
  expect(scene.gateway.logText()).not.toContain('internal_error');
});
afterAll(async () => {
  await closeStreamScenes();
  await simulator.close();
});

interface Handshake {
  readonly line?: string;
  readonly lines?: readonly string[];
}

/** @param bytes what is sent together with the handshake, before it is answered. */
async function shake({ line = 'GET /stream HTTP/1.1', lines = [KEY, VERSION] }: Handshake = {}, bytes = '') {
  const { gateway, browser } = scene;
  const connection = await openRaw(gateway.port);
  connections.push(connection);
  connection.socket.on('error', () => undefined);
  const host = `127.0.0.1:${gateway.port}`;
  const common = [`Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket', `Origin: http://${host}`];
  connection.socket.write([line, ...common, `Cookie: ${browser.cookie}`, ...lines, '', bytes].join('\r\n'), 'latin1');
  return connection;
}

async function opened(): Promise<RawConnection> {
  const connection = await shake();
  await until('the answer', () => connection.received().includes('\r\n\r\n'));
  expect(connection.received()).toMatch(/^HTTP\/1\.1 101 /);
  return connection;
}

interface FrameOptions {
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly masked?: boolean;
  /** What the head says, where it is not the payload's. */
  readonly length?: number;
}

/** One frame, with whatever it should not have. */
function frame(opcode: number, payload: Buffer | string = '', options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, masked = true } = options;
  const bytes = Buffer.from(payload);
  const length = options.length ?? bytes.length;
  const mask = masked ? randomBytes(4) : Buffer.alloc(0);
  const sizes = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 255] : [127, ...long(length)];
  sizes[0] = (sizes[0] ?? 0) | (masked ? 0x80 : 0);
  const head = Buffer.from([(fin ? 0x80 : 0) | (rsv << 4) | opcode, ...sizes]);
  const body = masked ? Buffer.from(bytes.map((byte, i) => byte ^ (mask[i % 4] ?? 0))) : bytes;
  return Buffer.concat([head, mask, body]);
}

function long(length: number): number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  return [...bytes];
}

const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

interface ReceivedFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** What the gateway sent after its 101. Its frames are short and never masked. */
function framesOf(connection: RawConnection): ReceivedFrame[] {
  const bytes = Buffer.from(connection.received(), 'latin1');
  const frames: ReceivedFrame[] = [];
  for (let at = bytes.indexOf('\r\n\r\n') + 4; at + 2 <= bytes.length; ) {
    const size = bytes[at + 1] ?? 0;
    const length = size < 126 ? size : bytes.readUInt16BE(at + 2);
    const start = at + (size < 126 ? 2 : 4);
    frames.push({ opcode: (bytes[at] ?? 0) & 15, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return frames;
}

/** The code of the gateway's close frame, once it is there. */
async function closeCode(connection: RawConnection): Promise<number | undefined> {
  const close = () => framesOf(connection).find(({ opcode }) => opcode === CLOSE);
  await until('the close frame', () => close() !== undefined || connection.isClosed());
  return close()?.payload.readUInt16BE(0);
}

describe('a frame', () => {
  const coded = (code: number) => Buffer.from([code >> 8, code & 255]);

  test.each<[string, readonly Buffer[], number]>([
    ['that is not masked', [frame(TEXT, 'x', { masked: false })], 1002],
    ['with a reserved bit', [frame(TEXT, 'x', { rsv: 1 })], 1002],
    ['with the bit of a compression that was not agreed on', [frame(TEXT, 'x', { rsv: 4 })], 1002],
    ['of a reserved kind', [frame(3, 'x')], 1002],
    ['of a reserved kind of control', [frame(11, 'x')], 1002],
    ['of control that is over-long', [frame(PING, Buffer.alloc(126))], 1002],
    ['of control in fragments', [frame(PING, 'x', { fin: false })], 1002],
    ['that goes on with nothing', [frame(CONTINUATION, 'x')], 1002],
    ['that begins anew inside a message', [frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')], 1002],
    ['of text that is no UTF-8', [frame(TEXT, Buffer.from([0xc3, 0x28]))], 1007],
    [
      'of text that is no UTF-8 only as a whole',
      [frame(TEXT, Buffer.from([0xe2, 0x82]), { fin: false }), frame(CONTINUATION, 'x')],
      1007,
    ],
    ['of closing with half a code', [frame(CLOSE, Buffer.from([3]))], 1002],
    ['of closing with a code that is never sent', [frame(CLOSE, coded(1005))], 1002],
    ['of closing with 1006', [frame(CLOSE, coded(1006))], 1002],
    ['of closing with a code of no range', [frame(CLOSE, coded(999))], 1002],
    ['of closing with 2999', [frame(CLOSE, coded(2999))], 1002],
    ['of closing with a reason that is no UTF-8', [frame(CLOSE, Buffer.from([3, 232, 0xff]))], 1007],
    ['that announces more than a message may have', [frame(BINARY, '', { length: 100_000_000 })], 1009],
    ['that announces more than numbers can say', [frame(BINARY, '', { length: 2 ** 54 })], 1009],
  ])('%s ends its connection', async (_what, frames, code) => {
    const connection = await opened();
    const before = scene.upstream.streams.length;
    connection.socket.write(Buffer.concat(frames));
    expect(await closeCode(connection)).toBe(code);
    await until('the end', () => connection.isClosed());
    await until('the end at the upstream', () => scene.upstream.streams[before - 1]?.closed() !== undefined);
    expect(scene.upstream.streams[before - 1]?.messages).toEqual([]);
  });

  test('behind one that ends the connection is not read', async () => {
    const connection = await opened();
    const stream = scene.upstream.streams.at(-1);
    connection.socket.write(Buffer.concat([frame(TEXT, 'x', { rsv: 1 }), frame(TEXT, 'passed?')]));
    expect(await closeCode(connection)).toBe(1002);
    await until('the end at the upstream', () => stream?.closed() !== undefined);
    expect(stream?.messages).toEqual([]);
  });

  test('sent with the handshake is no loss: it reaches the upstream', async () => {
    const connection = await shake({}, frame(TEXT, 'early').toString('latin1'));
    await until('the echo', () => framesOf(connection).some(({ payload }) => String(payload) === 'early'));
  });
});

describe('a message', () => {
  test('that grows beyond the limit in fragments ends with 1009 before it is whole', async () => {
    const connection = await opened();
    connection.socket.write(frame(BINARY, Buffer.alloc(1_000), { fin: false }));
    for (let i = 0; i < MAX_MESSAGE / 1_000; i += 1)
      connection.socket.write(frame(CONTINUATION, Buffer.alloc(1_000), { fin: false }));
    expect(await closeCode(connection)).toBe(1009);
  });

  test('of a hundred thousand fragments without a byte costs no memory: it ends with 1008', async () => {
    const connection = await opened();
    const before = process.memoryUsage().rss;
    const empty = frame(CONTINUATION, '', { fin: false });
    connection.socket.write(frame(BINARY, '', { fin: false }));
    connection.socket.write(Buffer.concat(Array.from({ length: 200_000 }, () => empty)));
    expect([1008, 1009]).toContain(await closeCode(connection));
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1_048_576);
  });
});

test('twenty thousand pings are answered or end their connection, and hold up nobody', async () => {
  const connection = await opened();
  connection.socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => frame(PING, 'flood'))));
  const startedAt = performance.now();
  expect((await scene.browser.fetch('/bff/session')).status).toBe(200);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  const pongs = () => framesOf(connection).filter(({ opcode }) => opcode === PONG).length;
  await until('the pongs', () => connection.isClosed() || pongs() === 20_000);
});

test('pings whose answers nobody reads hold little memory', async () => {
  const connection = await opened();
  connection.socket.pause();
  const before = process.memoryUsage().rss;
  const block = Buffer.concat(Array.from({ length: 1_000 }, () => frame(PING, Buffer.alloc(125))));
  let sent = 0;
  while (sent < 400 && !connection.socket.destroyed) {
    if (!connection.socket.write(block)) await new Promise((resolve) => setTimeout(resolve, 2));
    sent += 1;
  }
  expect((await scene.browser.fetch('/bff/session')).status).toBe(200);
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1_048_576);
});

describe('a handshake', () => {
  test.each<[string, Handshake, number]>([
    ['of version 8', { lines: [KEY, 'Sec-WebSocket-Version: 8'] }, 426],
    ['of two versions', { lines: [KEY, VERSION, 'Sec-WebSocket-Version: 8'] }, 426],
    ['without a version', { lines: [KEY] }, 426],
    ['without a key', { lines: [VERSION] }, 400],
    ['with a key that is no 16 bytes', { lines: [VERSION, 'Sec-WebSocket-Key: c2hvcnQ='] }, 400],
    ['with two keys', { lines: [VERSION, KEY, KEY] }, 400],
    ['with a body', { lines: [VERSION, KEY, 'Content-Length: 5'] }, 400],
    ['with a list of protocols that is none', { lines: [VERSION, KEY, 'Sec-WebSocket-Protocol: a,,b'] }, 400],
    ['by POST', { line: 'POST /stream HTTP/1.1' }, 405],
    ['of HTTP/1.0', { line: 'GET /stream HTTP/1.0' }, 400],
  ])('%s is refused as HTTP, and nothing is dialled', async (_what, handshake, status) => {
    const dialled = scene.upstream.handshakes.length;
    const connection = await shake(handshake);
    await until('the end', () => connection.isClosed());
    const [answer] = parseAnswers(connection.received());
    expect(answer?.status).toBe(status);
    expect(answer?.values('content-type')).toEqual([expect.stringContaining('application/problem+json')]);
    if (status === 426) expect(answer?.values('sec-websocket-version')).toEqual(['13']);
    expect(scene.upstream.handshakes.length).toBe(dialled);
  });
});

describe('while the store is down', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(() => redis.close());

  test('a handshake is refused with 503, and the browser keeps its cookie', async () => {
    const keys = `k1:${Buffer.alloc(32, 1).toString('base64url')}`;
    const down = await startStreamScene(simulator, {
      gateway: { env: { REDIS_URL: redis.url, SESSION_KEYS: keys } },
    });
    await until('hearing', () => down.gateway.logText().includes('session events are heard'));
    redis.pause();
    try {
      await until('the loss', () => down.gateway.logText().includes('invalidation_lost'));
      const refusal = await refusedStream(down.target);
      expect(refusal.status).toBe(503);
      expect(refusal.headers['content-type']).toContain('application/problem+json');
      expect(refusal.headers['retry-after']).toMatch(/^\d+$/);
      expect(refusal.headers['set-cookie']).toBeUndefined();
      expect(JSON.parse(refusal.body)).toMatchObject({ code: 'store_unavailable', status: 503 });
      expect(down.upstream.handshakes).toEqual([]);
    } finally {
      redis.resume();
    }
    await until('the store', async () => (await down.browser.fetch('/bff/session')).status === 200);
    expect((await openStream(down.target)).closed()).toBeUndefined();
  });
});
