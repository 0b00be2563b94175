// What docs/security-coverage.md, docs/security-reviews.md and guard-mutations.yaml name exists: all sixty requirements, every file and title, every guard that can be taken out.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { readGuardMutations } from '../../.ci/guard-mutations.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const COVERAGE = read('docs/security-coverage.md');
const REVIEWS = read('docs/security-reviews.md');

interface Proof {
  readonly file: string;
  readonly title: string;
}

/** `file`: “title”, as the pages name them. */
function proofsIn(text: string): Proof[] {
  return [...text.matchAll(/`(test\/[\w./-]+\.test\.ts)`: “([^”]+)”/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }));
}

function exists({ file, title }: Proof): boolean {
  return existsSync(join(ROOT, file)) && [`'${title}'`, `"${title}"`].some((literal) => read(file).includes(literal));
}

describe('docs/security-coverage.md', () => {
  const rows = [...COVERAGE.matchAll(/^\| (\d+) \| .*? \| (.*) \|$/gm)].map(([, number, cell = '']) => ({
    number: Number(number),
    cell,
  }));

  test('has the sixty requirements in their order, each with a proof or a reason', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    const unproven = rows.filter(({ cell }) => proofsIn(cell).length === 0);
    for (const { number, cell } of unproven)
      expect([number, /^(?:There (?:is|are) |As 47|`\/stream`)/.test(cell)]).toEqual([number, true]);
  });

  test('names files and titles that exist', () => {
    expect(proofsIn(COVERAGE).length).toBeGreaterThan(70);
    expect(proofsIn(COVERAGE).filter((proof) => !exists(proof))).toEqual([]);
    const files = [...COVERAGE.matchAll(/`(test\/[\w./-]+\.test\.ts)`/g)].map(([, file = '']) => file);
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });
});

describe('docs/security-reviews.md', () => {
  test('names files and titles that exist', () => {
    expect(proofsIn(REVIEWS).length).toBeGreaterThan(100);
    expect(proofsIn(REVIEWS).filter((proof) => !exists(proof))).toEqual([]);
  });

  test('names files of this folder that exist', () => {
    const named = [...REVIEWS.matchAll(/`([a-z-]+)`(?=(?:, `[a-z-]+`)* \|$)/gm)].map(([, name]) => `${name}.test.ts`);
    expect(named.length).toBeGreaterThan(10);
    const files = readdirSync(join(ROOT, 'test/security'));
    expect(named.filter((name) => !files.includes(name))).toEqual([]);
  });
});

describe('test/security/guard-mutations.yaml', () => {
  const mutations = readGuardMutations();

  test('takes out what is there, once, and puts something else', () => {
    expect(mutations.length).toBeGreaterThan(100);
    const edits = mutations.flatMap(({ guard, edits: all }) => all.map((edit) => ({ guard, ...edit })));
    const outdated = edits.filter(
      ({ in: file, find, replace }) =>
        !file.startsWith('src/') || find === replace || read(file).split(find).length !== 2,
    );
    expect(outdated).toEqual([]);
  });

  test('names tests that exist, and no guard twice', () => {
    expect(mutations.map(({ test: proof }) => proof).filter((proof) => !exists(proof))).toEqual([]);
    const names = mutations.map(({ guard }) => guard);
    expect(new Set(names).size).toBe(names.length);
  });
});
