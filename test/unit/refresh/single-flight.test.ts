import { describe, expect, test } from '@jest/globals';
import { createSingleFlight } from '../../../src/refresh/single-flight.ts';

describe('createSingleFlight', () => {
  test('runs the work once for all who come while it runs', async () => {
    const flights = createSingleFlight<number>();
    const work = Promise.withResolvers<number>();
    let runs = 0;
    const run = () =>
      flights.run('key', () => {
        runs += 1;
        return work.promise;
      });
    const all = [run(), run(), run()];
    work.resolve(7);
    expect(await Promise.all(all)).toEqual([7, 7, 7]);
    expect(runs).toBe(1);
  });

  test('remembers nothing afterwards, be it a value or an error', async () => {
    const flights = createSingleFlight<string>();
    expect(await flights.run('key', async () => 'first')).toBe('first');
    expect(flights.isRunning('key')).toBe(false);
    await expect(flights.run('key', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(flights.isRunning('key')).toBe(false);
    expect(await flights.run('key', async () => 'third')).toBe('third');
  });

  test('gives an error to all who joined', async () => {
    const flights = createSingleFlight<string>();
    const work = Promise.withResolvers<string>();
    const all = [flights.run('key', () => work.promise), flights.run('key', () => work.promise)];
    work.reject(new Error('no'));
    expect((await Promise.allSettled(all)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  test('keeps keys apart', async () => {
    const flights = createSingleFlight<string>();
    const work = Promise.withResolvers<string>();
    const one = flights.run('one', () => work.promise);
    expect(flights.isRunning('one')).toBe(true);
    expect(flights.isRunning('other')).toBe(false);
    expect(await flights.run('other', async () => 'other')).toBe('other');
    work.resolve('one');
    expect(await one).toBe('one');
  });

  test('is settled when nothing runs any more, also what began while it waited', async () => {
    const flights = createSingleFlight<void>();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const order: string[] = [];
    void flights.run('first', () => first.promise);
    const settled = flights.settled().then(() => order.push('settled'));
    void flights.run('second', async () => {
      await second.promise;
      order.push('second');
    });
    first.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    second.resolve();
    await settled;
    expect(order).toEqual(['second', 'settled']);
  });

  test('is settled at once where nothing runs, and where what ran failed', async () => {
    const flights = createSingleFlight<void>();
    await flights.settled();
    const failing = flights.run('key', () => Promise.reject(new Error('no')));
    await flights.settled();
    await expect(failing).rejects.toThrow('no');
  });
});
