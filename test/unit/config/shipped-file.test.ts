import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { loadSettings } from '../../../src/config/load.ts';
import { definitionOf, SETTING_NAMES, type SettingName } from '../../../src/config/schema.ts';
import { splitList } from '../../../src/config/written.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TEXT = readFileSync(`${ROOT}config/gateway.yaml`, 'utf8');
const CONTENT = parse(TEXT) as Record<string, unknown>;

/** The comment above a setting and the line after it, as the file should hold them. */
function expectedBlock(name: SettingName): { comment: string; line: string | undefined } {
  const { variable, kind, secret, meaning, byDefault, example } = definitionOf(name);
  if (secret === 'never in YAML') {
    return {
      comment: `${meaning} A secret, only in ${variable} or the file of ${variable}_FILE: ${kind.form}.`,
      line: undefined,
    };
  }
  const from = secret ? `${variable} or ${variable}_FILE, here only without user and password` : variable;
  // A bare dash would be a list in YAML.
  const value = kind.isList ? `[${byDefault}]` : byDefault === '-' ? '"-"' : byDefault;
  return {
    comment: `${meaning} ${from}: ${kind.form}.`,
    line: byDefault === undefined ? `#${name}: ${example}` : `${name}: ${value}`,
  };
}

/** Each run of comment lines, unwrapped, with the line that follows it. */
function blocksOf(text: string): { comment: string; line: string | undefined }[] {
  return text.split(/\n\n+/).map((block) => {
    const lines = block.trim().split('\n');
    const comment = lines.filter((line) => line.startsWith('# ')).map((line) => line.slice(2));
    return { comment: comment.join(' '), line: lines.find((line) => !line.startsWith('# ')) };
  });
}

describe('config/gateway.yaml', () => {
  test.each([...SETTING_NAMES])('describes %s as the schema does', (name) => {
    expect(blocksOf(TEXT)).toContainEqual(expectedBlock(name));
  });

  test('sets every setting that has a default to it, and nothing else', () => {
    const defaults = SETTING_NAMES.filter((name) => definitionOf(name).byDefault !== undefined);
    expect(Object.keys(CONTENT)).toEqual([...defaults, 'streams', 'cache', 'routes']);
    for (const name of defaults) {
      const { byDefault = '', kind } = definitionOf(name);
      const written = CONTENT[name];
      expect(Array.isArray(written) ? written : String(written)).toEqual(
        kind.isList ? splitList(byDefault) : byDefault,
      );
    }
  });

  test('forwards /delivery and /search with the session, not /kms', () => {
    const loaded = loadSettings({ env: {} });
    expect(loaded).toMatchObject({
      kind: 'ok',
      settings: {
        routes: [
          { path: '/delivery', credential: 'session' },
          { path: '/search', credential: 'session' },
        ],
      },
    });
    expect(TEXT).toContain('  # - path: /kms');
  });

  test('shows examples that are valid', () => {
    for (const name of SETTING_NAMES) {
      const { example, kind } = definitionOf(name);
      if (example !== undefined) expect(kind.schema.safeParse(example).success).toBe(true);
    }
  });
});

describe('the table of settings', () => {
  test.each([...SETTING_NAMES])('names %s as its variable in lower camel case', (name) => {
    const { variable } = definitionOf(name);
    expect(variable.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())).toBe(name);
  });

  test.each([...SETTING_NAMES])('gives %s one sentence at least, and a valid default', (name) => {
    const { meaning, byDefault, kind } = definitionOf(name);
    expect(meaning).toMatch(/^[A-Z].*\.$/);
    if (byDefault === undefined) return;
    const written = kind.isList ? splitList(byDefault) : byDefault;
    const parsed = kind.schema.safeParse(written);
    expect(parsed.success).toBe(true);
    expect(kind.schema.safeParse(kind.format(parsed.data)).data).toEqual(parsed.data);
  });

  test('is what docs/configuration.md was generated from', () => {
    expect(() =>
      execFileSync(process.execPath, ['.ci/docs.ts', '--check'], { cwd: ROOT, stdio: 'pipe' }),
    ).not.toThrow();
  });
});
