import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, test } from '@jest/globals';
import { createUserShare as create, type UserShareOptions } from '../../../src/guards/user-share.ts';

/** Nobody waits for longer than the test: what is left over then fails nothing. */
function createUserShare(options: UserShareOptions) {
  const share = create(options);
  return {
    ...share,
    enter(...args: Parameters<typeof share.enter>) {
      const waiting = share.enter(...args);
      waiting?.catch(() => undefined);
      return waiting;
    },
  };
}

const response = () => new EventEmitter() as ServerResponse;

/** Tells in which order promises were kept. */
async function orderOf(promises: readonly (Promise<void> | undefined)[], act: () => void): Promise<number[]> {
  const order: number[] = [];
  // Those left over are refused when their time is up: by then another file may be running, and would be blamed.
  for (const [i, promise] of promises.entries())
    promise?.then(
      () => order.push(i),
      () => undefined,
    );
  act();
  await new Promise((resolve) => setImmediate(resolve));
  return order;
}

describe('createUserShare', () => {
  test('gives as many places at once as it may, to each user', () => {
    const share = createUserShare({ maxAtOnce: 2 });
    for (const user of ['a', 'a', 'b', 'b']) expect(share.enter(user, response())).toBeUndefined();
    expect(share.enter('a', response())).toBeInstanceOf(Promise);
  });

  test('hands a place on to whoever has waited longest, and to nobody else', async () => {
    const share = createUserShare({ maxAtOnce: 1 });
    share.enter('a', response());
    share.enter('b', response());
    const waiting = [1, 2, 3].map(() => share.enter('a', response()));
    expect(await orderOf(waiting, () => share.leave('b'))).toEqual([]);
    expect(await orderOf(waiting, () => share.leave('a'))).toEqual([0]);
    expect(await orderOf(waiting.slice(1), () => share.leave('a'))).toEqual([0]);
  });

  test('has room again when everybody left', async () => {
    const share = createUserShare({ maxAtOnce: 1 });
    share.enter('a', response());
    const waiting = share.enter('a', response());
    share.leave('a');
    await waiting;
    share.leave('a');
    expect(share.enter('a', response())).toBeUndefined();
    expect(share.enter('a', response())).toBeInstanceOf(Promise);
  });

  test('refuses with a time to come back where too many wait', () => {
    const share = createUserShare({ maxAtOnce: 1, maxWaiting: 1 });
    share.enter('a', response());
    share.enter('a', response());
    expect(() => share.enter('a', response())).toThrow(
      expect.objectContaining({ status: 503, code: 'upstream_unavailable', retryAfterMs: 1_000 }),
    );
    expect(share.enter('b', response())).toBeUndefined();
  });

  test('gives a place at once or not at all where nobody is to wait', async () => {
    const share = createUserShare({ maxAtOnce: 2 });
    expect([share.tryEnter('a'), share.tryEnter('a'), share.tryEnter('a'), share.tryEnter('b')]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    const waiting = share.enter('a', response());
    share.leave('a');
    await waiting;
    expect(share.tryEnter('a')).toBe(false);
    share.leave('a');
    expect(share.tryEnter('a')).toBe(true);
  });

  test('refuses who waited too long, and keeps no place for them', async () => {
    const share = createUserShare({ maxAtOnce: 1, maxWaitMs: 20 });
    share.enter('a', response());
    await expect(share.enter('a', response())).rejects.toMatchObject({ status: 503 });
    share.leave('a');
    expect(share.enter('a', response())).toBeUndefined();
  });

  test('passes over who left while waiting', async () => {
    const share = createUserShare({ maxAtOnce: 1 });
    share.enter('a', response());
    const left = response();
    const waiting = [share.enter('a', left), share.enter('a', response())];
    left.emit('close');
    await expect(waiting[0]).rejects.toMatchObject({ status: 503 });
    expect(await orderOf([waiting[1]], () => share.leave('a'))).toEqual([0]);
    expect(left.listenerCount('close')).toBe(0);
  });
});
