import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { watchSessionKeys } from '../../../src/config/session-keys-file.ts';
import type { SessionKey } from '../../../src/config/settings.ts';
import { Secret } from '../../../src/kernel/secret.ts';
import { until } from '../../support/until.ts';

const bytes = (byte: number) => Buffer.alloc(32, byte).toString('base64url');
const K1 = { kid: 'k1', key: new Secret(bytes(1)) };
const written = (...kids: number[]) => kids.map((n) => `k${n}:${bytes(n)}`).join(',');

let folder: string;
let path: string;
let changes: string[];
let problems: string[];
let watch: { stop(): void };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'session-keys-'));
  path = join(folder, 'keys');
  changes = [];
  problems = [];
});
afterEach(() => {
  watch.stop();
  rmSync(folder, { recursive: true });
});

function start(keys: readonly SessionKey[] = [K1]): void {
  watch = watchSessionKeys({
    path,
    keys,
    intervalMs: 5,
    onKeys: (changed) => changes.push(changed.map(({ kid }) => kid).join(',')),
    onProblem: (problem) => problems.push(problem),
  });
}

/** Resolves when the watch has told of this change, having told of nothing else before. */
const told = (...expected: string[]) => until(`keys ${expected}`, () => changes.join(' ') === expected.join(' '));

describe('watchSessionKeys', () => {
  test('tells of keys that are added and put first, and of nothing while nothing changes', async () => {
    writeFileSync(path, `${written(1)}\n`);
    start();
    writeFileSync(path, `${written(1, 2)}\n`);
    await told('k1,k2');
    writeFileSync(path, ` ${written(2, 1)} \r\n`);
    await told('k1,k2', 'k2,k1');
    writeFileSync(path, written(2));
    await told('k1,k2', 'k2,k1', 'k2');
    expect(problems).toEqual([]);
  });

  test('notices a file that another is renamed over', async () => {
    writeFileSync(path, written(1));
    start();
    writeFileSync(join(folder, 'next'), written(2, 1));
    renameSync(join(folder, 'next'), path);
    await told('k2,k1');
  });

  test('notices a link that is swapped as Kubernetes swaps those of a secret', async () => {
    for (const [version, kids] of [
      ['v1', [1]],
      ['v2', [2, 1]],
    ] as const) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, 'keys'), written(...kids));
    }
    symlinkSync('v1', join(folder, '..data'));
    symlinkSync('..data/keys', path);
    start();
    symlinkSync('v2', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    await told('k2,k1');
  });

  test.each([
    ['is empty', '', 'must'],
    ['holds no key', 'nonsense', 'must be kid:key'],
    ['holds half of a key', written(1).slice(0, -5), 'must be kid:key'],
    ['names a key twice', `${written(1)},${written(1)}`, 'twice'],
    ['gives a name to another key', `k1:${bytes(9)}`, 'gives the name k1 to another key'],
    ['is too large', 'x'.repeat(65 * 1024), 'is not a file of at most 64 KiB'],
  ])(
    'keeps the keys in force where the file %s, says so once, and repeats nothing of it',
    async (_, text, sentence) => {
      writeFileSync(path, text);
      start();
      await until('a problem', () => problems.length > 0);
      expect(problems[0]).toMatch(/^SESSION_KEYS_FILE /);
      expect(problems[0]).toContain(sentence);
      writeFileSync(path, written(2, 1));
      await told('k2,k1');
      expect(problems).toHaveLength(1);
      for (const secret of [bytes(1), bytes(9), 'nonsense']) expect(problems.join()).not.toContain(secret);
    },
  );

  test('keeps the keys in force while the file is away or a folder, and goes on when it is back', async () => {
    writeFileSync(path, written(1));
    start();
    unlinkSync(path);
    await until('a problem', () => problems.length === 1);
    expect(problems[0]).toBe('SESSION_KEYS_FILE cannot be read (ENOENT)');
    mkdirSync(path);
    await until('another problem', () => problems.length === 2);
    expect(problems[1]).toBe('SESSION_KEYS_FILE is not a file of at most 64 KiB');
    rmSync(path, { recursive: true });
    writeFileSync(path, written(1, 2));
    await told('k1,k2');
  });

  test('tells of nothing any more once it is stopped', async () => {
    writeFileSync(path, written(1));
    start();
    watch.stop();
    writeFileSync(path, written(2, 1));
    const other: string[] = [];
    const later = watchSessionKeys({
      path,
      keys: [K1],
      intervalMs: 5,
      onKeys: () => other.push('told'),
      onProblem: () => undefined,
    });
    await until('the other watch', () => other.length > 0);
    later.stop();
    expect(changes).toEqual([]);
  });
});
