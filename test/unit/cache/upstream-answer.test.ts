// A body is collected as far as it may be, and waits for another reader where it is too large or too slow.
import { describe, expect, test } from '@jest/globals';
import { type BodyReader, collect, type UpstreamAnswer } from '../../../src/cache/upstream-answer.ts';

function createAnswer(begin: (reader: BodyReader) => void) {
  let pauses = 0;
  const answer: UpstreamAnswer = {
    status: 200,
    headers: [],
    passed: [],
    shown: [],
    own: [],
    holdsCredential: () => false,
    read: begin,
    pause() {
      pauses += 1;
    },
    resume: () => undefined,
    cancel: () => undefined,
  };
  return { answer, pauses: () => pauses };
}

describe('a body', () => {
  test('that comes in time and size is whole', async () => {
    const { answer, pauses } = createAnswer((reader) => {
      for (const text of ['a', 'b', 'c']) reader.onChunk(Buffer.from(text));
      reader.onEnd();
    });
    expect(await collect(answer, 3, 10_000)).toEqual({ kind: 'whole', body: Buffer.from('abc') });
    expect(pauses()).toBe(0);
  });

  test('that is too large is paused, with what came so far', async () => {
    const { answer, pauses } = createAnswer((reader) => {
      reader.onChunk(Buffer.from('ab'));
      reader.onChunk(Buffer.from('cd'));
    });
    expect(await collect(answer, 3, 10_000)).toEqual({
      kind: 'unfinished',
      chunks: [Buffer.from('ab'), Buffer.from('cd')],
    });
    expect(pauses()).toBe(1);
  });

  test('that does not end is paused when its time is over', async () => {
    const { answer, pauses } = createAnswer((reader) => reader.onChunk(Buffer.from('a')));
    expect(await collect(answer, 3, 20)).toEqual({ kind: 'unfinished', chunks: [Buffer.from('a')] });
    expect(pauses()).toBe(1);
  });

  test('that breaks off is no body', async () => {
    const { answer } = createAnswer((reader) => {
      reader.onChunk(Buffer.from('a'));
      reader.onFailure(new Error('reset'));
    });
    await expect(collect(answer, 3, 10_000)).rejects.toThrow('reset');
  });
});
