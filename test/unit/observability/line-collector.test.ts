import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createLineCollector } from '../../../src/observability/line-collector.ts';

function createOutput({ isClosed = false } = {}) {
  const written: string[] = [];
  let flushes = 0;
  return {
    written,
    flushes: () => flushes,
    write(text: string) {
      written.push(text);
      return true;
    },
    flushSync() {
      flushes += 1;
      if (isClosed) throw new Error('sonic boom is not ready yet');
    },
  };
}

describe('createLineCollector', () => {
  it('writes lines together and in order when the time is up', async () => {
    const output = createOutput();
    const collector = createLineCollector(output);
    for (let i = 0; i < 100; i += 1) collector.write(`${i}\n`);
    expect(output.written).toEqual([]);
    const deadline = performance.now() + 10_000;
    while (output.written.length === 0 && performance.now() < deadline) await delay(20);
    expect(output.written).toEqual([Array.from({ length: 100 }, (_, i) => `${i}\n`).join('')]);
  });

  it('writes at once what has become much, and nothing twice', () => {
    const output = createOutput();
    const collector = createLineCollector(output);
    const line = `${'x'.repeat(1_023)}\n`;
    for (let i = 0; i < 64; i += 1) collector.write(line);
    expect(output.written).toEqual([line.repeat(64)]);
    collector.flush();
    expect(output.written).toHaveLength(1);
  });

  it('writes what waits when it is told to, before what comes later', () => {
    const output = createOutput();
    const collector = createLineCollector(output);
    collector.write('first\n');
    collector.flush();
    collector.write('second\n');
    collector.flush();
    expect(output.written).toEqual(['first\n', 'second\n']);
    expect(output.flushes()).toBe(2);
  });

  it('loses no line and throws nothing where the output is not open yet', () => {
    const output = createOutput({ isClosed: true });
    const collector = createLineCollector(output);
    collector.write('line\n');
    expect(() => collector.flush()).not.toThrow();
    expect(output.written).toEqual(['line\n']);
  });
});
