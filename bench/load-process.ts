// The load generator, a process of its own: keep-alive connections on raw sockets, as fast as answers come or at a fixed rate. Understands only as much HTTP as it must.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { requestHead } from './job.ts';
import type { LoadOrder, LoadResult } from './load.ts';

const BUFFER_BYTES = 65_536;
const HEAD_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n');
const LENGTH = /\r\ncontent-length: *(\d+)/i;

const order = JSON.parse(process.argv[2] ?? '{}') as LoadOrder;
const head = requestHead(order.port);
const credentials = readFileSync(order.credentialsFile, 'latin1').split('\n');
const onlyRequest = credentials.length === 1 ? requestOf(credentials[0] as string) : undefined;
const latenciesMs: number[] = [];
const statuses: Record<string, number> = {};
let failures = 0;
let isOver = false;

function requestOf(credential: string): string {
  return credential === '' ? `${head}\r\n` : `${head}${credential}\r\n\r\n`;
}

/** Many are put together only when they are sent: a million of them would fill the memory. */
function chooseRequest(): string {
  return onlyRequest ?? requestOf(credentials[Math.floor(Math.random() * credentials.length)] as string);
}

interface Connection {
  readonly socket: Socket;
  /** @param dueAt from when the time counts: at a fixed rate not when it was sent, but when it was due. */
  send(dueAt: number): void;
}

/** One request at a time. */
function open(onFree: (connection: Connection) => void): Connection {
  let startedAt = 0;
  let pending: Buffer | undefined;
  let isBusy = false;
  const take = (chunk: Buffer) => {
    const received = pending ? Buffer.concat([pending, chunk]) : chunk;
    if (!isWhole(received)) {
      pending = Buffer.from(received);
      return;
    }
    pending = undefined;
    isBusy = false;
    latenciesMs.push(performance.now() - startedAt);
    const status = received.toString('latin1', 9, 12);
    statuses[status] = (statuses[status] ?? 0) + 1;
    onFree(connection);
  };
  const socket = connect({
    port: order.port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(BUFFER_BYTES),
      callback: (bytes, buffer) => {
        take((buffer as Buffer).subarray(0, bytes));
        return true;
      },
    },
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    if (isOver) return;
    if (isBusy) failures += 1;
    onFree(open(onFree));
  });
  const connection: Connection = {
    socket,
    send(dueAt) {
      startedAt = dueAt;
      isBusy = true;
      socket.write(chooseRequest(), 'latin1');
    },
  };
  return connection;
}

function isWhole(received: Buffer): boolean {
  const end = received.indexOf(HEAD_END);
  if (end < 0) return false;
  const length = LENGTH.exec(received.toString('latin1', 0, end))?.[1];
  if (length !== undefined) return received.length >= end + HEAD_END.length + Number(length);
  return received.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK);
}

/** As fast as answers come. */
function closedLoop(): void {
  const again = (connection: Connection) => {
    if (!isOver) connection.send(performance.now());
  };
  for (let i = 0; i < order.connections; i += 1) again(open(again));
}

/** At a fixed rate; where every connection is busy a request waits, and its wait counts. */
function openLoop(rate: number): void {
  const free: Connection[] = [];
  const due: number[] = [];
  const match = () => {
    while (!isOver && free.length > 0 && due.length > 0) {
      const connection = free.pop();
      // One that the server closed meanwhile has a successor in the list.
      if (connection && !connection.socket.destroyed) connection.send(due.shift() as number);
    }
  };
  const onFree = (connection: Connection) => {
    free.push(connection);
    match();
  };
  for (let i = 0; i < order.connections; i += 1) free.push(open(onFree));
  const pacer = new Worker(new URL('./load-pacer.ts', import.meta.url), { workerData: { rate } });
  pacer.once('message', endInTime);
  pacer.on('message', (dueAt: number) => {
    due.push(dueAt - performance.timeOrigin);
    match();
  });
}

function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function endInTime(): void {
  const startedAt = performance.now();
  setTimeout(() => report((performance.now() - startedAt) / 1_000), order.seconds * 1_000);
}

function report(seconds: number): void {
  isOver = true;
  const sorted = Float64Array.from(latenciesMs).sort();
  const result: LoadResult = {
    requests: latenciesMs.length,
    seconds,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    statuses,
    failures,
  };
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}

if (order.rate === undefined) {
  closedLoop();
  endInTime();
} else {
  openLoop(order.rate);
}
