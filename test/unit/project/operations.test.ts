// What docs/operations.md tells operators to type and to look at exists: commands, flags, metrics, settings, files.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseArguments } from '../../../src/cli/parse-arguments.ts';
import { definitionOf, SETTING_NAMES } from '../../../src/config/schema.ts';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { ROOT, readProjectFile } from './files.ts';

const PAGE = readProjectFile('docs/operations.md');
const SHELL = [...PAGE.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, code = '']) => code.split('\n'));

/** The arguments of each `node dist/main.js …` in the page, as a shell would give them. */
const commands = SHELL.flatMap((line) => [...line.matchAll(/node dist\/main\.js ([^|>;&)#]*)/g)])
  .map(([, text = '']) => text.replace(/\s2$/, '').trim())
  .map((text) => text.split(/\s+/).map((word) => word.replaceAll('"', '')));

describe('docs/operations.md', () => {
  test('names commands that the command line understands', () => {
    expect(commands.length).toBeGreaterThan(10);
    expect(commands.filter((argv) => parseArguments(argv).kind === 'invalid')).toEqual([]);
    expect(parseArguments(['sessions', 'remove', 'x']).kind).toBe('invalid');
  });

  test('names every command', () => {
    for (const name of ['sessions list', 'sessions show', 'sessions end', 'cache purge', 'keys new', 'audit verify']) {
      expect(commands.map((argv) => argv.slice(0, 2).join(' '))).toContain(name);
    }
    expect(commands.map(([first]) => first)).toContain('doctor');
  });

  test('names metrics that there are', async () => {
    const metrics = createMetrics();
    metrics.readSessionLookups(() => ({ hits: 0, misses: 0 }));
    const known = new Set([...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    const named = [...PAGE.matchAll(/finvera_gateway_\w+/g)].map(([name]) => name.replace(/_bucket$/, ''));
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  test('names settings that there are', () => {
    const known = new Set(SETTING_NAMES.map((name) => definitionOf(name).variable));
    const named = [
      ...PAGE.matchAll(/`((?:SESSION|FINVERA|REDIS|COOKIE|SHUTDOWN|LOGIN|AUDIT|MANAGEMENT|TRUST|PUBLIC)_[A-Z_]+)/g),
    ];
    const unknown = named.map(([, name = '']) => name.replace(/_FILE$/, '')).filter((name) => !known.has(name));
    expect(named.length).toBeGreaterThan(20);
    expect(unknown).toEqual([]);
  });

  test('links to files and headings that there are', () => {
    const headings = new Set(
      [...PAGE.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
        text
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      ),
    );
    for (const [, target = ''] of PAGE.matchAll(/\]\(([^)]+)\)/g)) {
      const [file = '', anchor = ''] = target.split('#');
      if (file === '') expect(headings).toContain(anchor);
      else expect([target, existsSync(join(ROOT, 'docs', file))]).toEqual([target, true]);
    }
  });
});
