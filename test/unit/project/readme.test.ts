import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { FLAGS } from '../../../src/cli/parse-arguments.ts';
import { definitionOf, SETTING_NAMES } from '../../../src/config/schema.ts';
import { ROOT, readPackage, readProjectFile } from './files.ts';

const README = readProjectFile('README.md');
const CODE_BLOCKS = [...README.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, code = '']) => code);
const SHELL = CODE_BLOCKS.join('\n');
const PAGES = ['README.md', 'docs/adr/README.md'];

/** Targets of links and pictures inside the repository. */
function localLinks(page: string): string[] {
  const links = [...readProjectFile(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => target);
  return links.filter((target) => !/^[a-z]+:/.test(target));
}

describe('README.md', () => {
  test('names the two commands', () => {
    expect(SHELL).toContain('npm ci && npm run demo');
    expect(SHELL).toContain('npm ci && npm run check');
  });

  test('names only scripts that package.json has', () => {
    const named = [...README.matchAll(/npm run ([a-z-]+)/g)].map(([, name = '']) => name);
    const later = ['bench'];
    const { scripts } = readPackage();
    expect(named.filter((name) => !(name in scripts) && !later.includes(name))).toEqual([]);
    expect(scripts).toHaveProperty('start');
  });

  test('calls npm run bench a thing to come as long as there is none', () => {
    const says = /Not part of this version:[^\n]*npm run bench/.test(README);
    expect(says).toBe(!('bench' in readPackage().scripts));
  });

  test('names only flags that the command line knows', () => {
    const flags = [...README.matchAll(/node dist\/main\.js (--[a-z-]+)/g)].map(([, flag = '']) => flag);
    expect(flags.length).toBeGreaterThan(0);
    expect(Object.keys(FLAGS)).toEqual(expect.arrayContaining(flags));
  });

  test('shows each setting of its table with its default', () => {
    const table = README.split('## Settings')[1]?.split('\n## ')[0] ?? '';
    const definitions = SETTING_NAMES.map(definitionOf);
    const rows = table.split('\n').filter((row) => row.startsWith('| `'));
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) {
      const [, names = '', defaults = ''] = row.split('|');
      const variables = [...names.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name);
      const found = variables.map((name) => definitions.find(({ variable }) => variable === name));
      expect(found).not.toContain(undefined);
      const shown = found
        .map((definition) => definition?.byDefault)
        .filter((text) => text !== undefined && text !== '');
      if (shown.length > 0) expect(defaults.trim()).toBe(shown.map((text) => `\`${text}\``).join(', '));
    }
  });

  test('asks for the Node that engines asks for', () => {
    expect(readPackage().engines.node).toBe(`>=${/must be (\d+\.\d+\.\d+) or newer/.exec(README)?.[1]}`);
  });
});

test.each(PAGES)('%s links only to files that exist', (page) => {
  const links = localLinks(page);
  expect(links.length).toBeGreaterThan(0);
  expect(links.filter((target) => !existsSync(join(ROOT, dirname(page), target)))).toEqual([]);
});
