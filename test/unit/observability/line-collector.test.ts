import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createLineCollector, MAX_UNREAD } from '../../../src/observability/line-collector.ts';

function createOutput() {
  const texts: string[] = [];
  const waiters: (() => void)[] = [];
  return {
    texts,
    writableLength: 0,
    write(bytes: Uint8Array, written?: () => void) {
      if (bytes.length > 0) texts.push(Buffer.from(bytes).toString());
      if (written) waiters.push(written);
    },
    read() {
      for (const waiter of waiters.splice(0)) waiter();
    },
  };
}

const dropped = (count: number) => `${count} dropped\n`;

describe('createLineCollector', () => {
  it('writes lines together and in order when the time is up', async () => {
    const output = createOutput();
    const collector = createLineCollector(output, dropped);
    for (let i = 0; i < 100; i += 1) collector.write(`${i}\n`);
    expect(output.texts).toEqual([]);
    const deadline = performance.now() + 10_000;
    while (output.texts.length === 0 && performance.now() < deadline) await delay(20);
    expect(output.texts).toEqual([Array.from({ length: 100 }, (_, i) => `${i}\n`).join('')]);
  });

  it('writes at once what has become much, and nothing twice', () => {
    const output = createOutput();
    const collector = createLineCollector(output, dropped);
    const line = `${'x'.repeat(1_023)}\n`;
    for (let i = 0; i < 64; i += 1) collector.write(line);
    expect(output.texts).toHaveLength(1);
    collector.flush();
    collector.flush();
    expect(output.texts.join('')).toBe(line.repeat(64));
    expect(output.texts).toHaveLength(2);
  });

  it('writes lines of any length and any character whole', () => {
    const output = createOutput();
    const collector = createLineCollector(output, dropped);
    const lines = ['x', 'é€😀', 'y'.repeat(200_000), '€'.repeat(100_000), '\ud800', 'z'].map((text) => `${text}\n`);
    for (const line of lines) collector.write(line);
    collector.flush();
    expect(output.texts.join('')).toBe(lines.join('').replace('\ud800', '\ufffd'));
  });

  it('never changes what it has handed over', () => {
    const output = createOutput();
    const handed: Uint8Array[] = [];
    const collector = createLineCollector({ writableLength: 0, write: (bytes) => handed.push(bytes) }, dropped);
    for (let i = 0; i < 20_000; i += 1) {
      collector.write(`${i}\n`);
      if (i % 7 === 0) collector.flush();
    }
    collector.flush();
    for (const bytes of handed) output.write(bytes);
    expect(output.texts.join('')).toBe(Array.from({ length: 20_000 }, (_, i) => `${i}\n`).join(''));
  });

  it('writes what waits when it is told to, before what comes later', () => {
    const output = createOutput();
    const collector = createLineCollector(output, dropped);
    collector.write('first\n');
    collector.flush();
    collector.write('second\n');
    collector.flush();
    expect(output.texts).toEqual(['first\n', 'second\n']);
  });

  it('drops lines while too much is unread, and says how many once there is room', () => {
    const output = createOutput();
    const collector = createLineCollector(output, dropped);
    output.writableLength = MAX_UNREAD + 1;
    collector.write('lost\n');
    collector.write('lost\n');
    collector.flush();
    collector.write('lost\n');
    collector.flush();
    expect(output.texts).toEqual([]);
    output.writableLength = 0;
    collector.write('kept\n');
    collector.flush();
    collector.write('later\n');
    collector.flush();
    expect(output.texts).toEqual(['3 dropped\nkept\n', 'later\n']);
  });

  it('finishes when its last line is read', async () => {
    const output = createOutput();
    const collector = createLineCollector(output, dropped);
    collector.write('last\n');
    let isFinished = false;
    const finished = collector.finish(60_000).then(() => {
      isFinished = true;
    });
    expect(output.texts).toEqual(['last\n']);
    await delay(10);
    expect(isFinished).toBe(false);
    output.read();
    await finished;
  });

  it('finishes at its limit where nobody reads', async () => {
    const collector = createLineCollector(createOutput(), dropped);
    collector.write('last\n');
    await collector.finish(20);
  });
});
