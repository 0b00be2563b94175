// docs/security-coverage.md names the proof of each requirement: all sixty are there, and every file and title exists.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/security-coverage.md'), 'utf8');

interface Row {
  readonly number: number;
  readonly cell: string;
  readonly proofs: readonly { readonly file: string; readonly title: string }[];
}

const ROWS: readonly Row[] = PAGE.split('\n').flatMap((line) => {
  const [, number, , cell = ''] = /^\| (\d+) \| (.*?) \| (.*) \|$/.exec(line) ?? [];
  if (number === undefined) return [];
  const proofs = [...cell.matchAll(/`(test\/[\w./-]+\.test\.ts)`: “([^”]+)”/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }));
  return [{ number: Number(number), cell, proofs }];
});

/** The sources of a test, with titles as they read: no escapes, one line. */
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8').replaceAll("\\'", "'");

describe('docs/security-coverage.md', () => {
  test('has the sixty requirements in their order, each with a proof or a reason', () => {
    expect(ROWS.map(({ number }) => number)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    for (const { number, cell, proofs } of ROWS) {
      expect([number, proofs.length > 0 || cell.length > 5]).toEqual([number, true]);
    }
  });

  test('names files and titles that exist', () => {
    for (const { number, proofs } of ROWS) {
      for (const { file, title } of proofs) {
        expect([number, file, existsSync(join(ROOT, file))]).toEqual([number, file, true]);
        expect([number, file, title, [`'${title}'`, `"${title}"`].some((text) => read(file).includes(text))]).toEqual([
          number,
          file,
          title,
          true,
        ]);
      }
    }
  });

  test('names every file of this folder but this one, or the file says itself what it is about', () => {
    for (const name of readdirSync(join(ROOT, 'test/security'))) {
      expect([name, /^\/\/ \S/.test(read(`test/security/${name}`))]).toEqual([name, true]);
    }
  });
});
