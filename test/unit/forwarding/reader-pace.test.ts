// How long a reader may take: not at all for so long, but as slowly as it likes while bytes leave.

import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, test } from '@jest/globals';
import { createReaderPace } from '../../../src/forwarding/reader-pace.ts';
import { until } from '../../support/until.ts';

const LIMIT_MS = 60;

/** An answer of which the system has still so much to take. */
function startScene(unsent: number | undefined) {
  const handle = { writeQueueSize: unsent };
  const answer = Object.assign(new EventEmitter(), { socket: { _handle: handle } });
  const told: string[] = [];
  const source = { pause: () => told.push('pause'), resume: () => told.push('resume') };
  const pace = createReaderPace(answer as never as ServerResponse, LIMIT_MS, source, () => told.push('stalled'));
  return { answer, handle, told, pace };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test.each([60_000, undefined])('a reader that takes nothing has stalled (%s)', async (unsent) => {
  const { told, pace } = startScene(unsent);
  pace.hold();
  await until('the stall', () => told.includes('stalled'));
  expect(told).toEqual(['pause', 'stalled']);
});

test('one that moves has not, though what was written does not leave as a whole; one that stops later has', async () => {
  const { handle, told, pace } = startScene(60_000);
  pace.hold();
  for (let i = 0; i < 10; i += 1) {
    await pause(LIMIT_MS / 2);
    handle.writeQueueSize = 60_000 - i * 1_000 - 1;
  }
  expect(told).toEqual(['pause']);
  await until('the stall', () => told.includes('stalled'));
});

test('the source goes on when all has left, and nothing is looked at after the end', async () => {
  const { answer, told, pace } = startScene(60_000);
  pace.hold();
  answer.emit('drain');
  pace.hold();
  pace.stop();
  await pause(LIMIT_MS * 3);
  expect(told).toEqual(['pause', 'resume', 'pause']);
});
