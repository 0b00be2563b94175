// The benchmark's upstream, a process of its own: one answer, for one bearer, on raw sockets so that it is never the bottleneck. No HTTP server for anything else.
import { createServer, type Socket } from 'node:net';
import { EVENTS } from '../simulator/market-data.ts';
import { ACCESS_TOKEN, EVENT_PATH } from './job.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const REQUEST_LINE = Buffer.from(`GET ${EVENT_PATH} HTTP/1.1\r\n`);
/** Without its first letter, which some proxies write large and others small. */
const BEARER = Buffer.from(`uthorization: Bearer ${ACCESS_TOKEN}\r\n`);
const MAX_HEAD_BYTES = 65_536;

const event = JSON.stringify(EVENTS[0]);
let good = answer('200 OK', event);
const refused = answer('401 Unauthorized', '{"error":{"code":401,"message":"Unauthorized","details":""}}');
const unknown = answer('404 Not Found', '{"error":{"code":404,"message":"Not found","details":""}}');

/** While true the next head is sent to the parent process, for the checks of correctness. */
let isRecording = false;

function answer(status: string, body: string): Buffer {
  const head = [
    `HTTP/1.1 ${status}`,
    'Content-Type: application/json',
    `ETag: "k3xUu0p2bW1dYq9c"`,
    `Date: ${new Date().toUTCString()}`,
    'Connection: keep-alive',
    'Keep-Alive: timeout=60',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function answerHead(socket: Socket, head: Buffer): void {
  if (isRecording) {
    isRecording = false;
    process.send?.({ head: head.toString('latin1') });
  }
  if (!head.subarray(0, REQUEST_LINE.length).equals(REQUEST_LINE)) socket.write(unknown);
  else socket.write(head.includes(BEARER) ? good : refused);
}

function serve(socket: Socket): void {
  let rest: Buffer | undefined;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    let received = rest ? Buffer.concat([rest, chunk]) : chunk;
    rest = undefined;
    while (received.length > 0) {
      const end = received.indexOf(HEAD_END);
      if (end < 0) {
        if (received.length > MAX_HEAD_BYTES) socket.destroy();
        rest = received;
        return;
      }
      answerHead(socket, received.subarray(0, end + HEAD_END.length));
      received = received.subarray(end + HEAD_END.length);
    }
  });
}

setInterval(() => {
  good = answer('200 OK', event);
}, 1_000).unref();

const server = createServer(serve);
process.on('message', (isWanted: boolean) => {
  isRecording = isWanted;
  process.send?.({});
});
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number };
  process.send?.({ port });
});
