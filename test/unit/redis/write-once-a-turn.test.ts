import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { writeOnceATurn } from '../../../src/redis/write-once-a-turn.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

function createTarget() {
  const writes: string[][] = [];
  const socket = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      writes.push([chunk]);
      done();
    },
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => chunk));
      done();
    },
  });
  writeOnceATurn(socket);
  return { socket, writes };
}

test('what is written in one turn leaves in one write at its end, in order; callbacks are called', async () => {
  const { socket, writes } = createTarget();
  const done: string[] = [];
  socket.write('a', () => done.push('a'));
  await Promise.resolve();
  socket.write('b', 'utf8', () => done.push('b'));
  process.nextTick(() => socket.write('c'));
  expect(writes).toEqual([]);
  await turn();
  socket.write('d');
  await turn();
  expect(writes).toEqual([['a', 'b', 'c'], ['d']]);
  expect(done).toEqual(['a', 'b']);
});

test('what was written is not lost where the socket ends in the same turn', async () => {
  const { socket, writes } = createTarget();
  socket.write('a');
  socket.write('b');
  socket.end();
  await turn();
  expect(writes.flat()).toEqual(['a', 'b']);
  expect(socket.writableFinished).toBe(true);
});

test('a socket that is destroyed in the same turn is left alone', async () => {
  const { socket, writes } = createTarget();
  socket.write('a');
  socket.destroy();
  await turn();
  expect(writes).toEqual([]);
});
