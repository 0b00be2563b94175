// What the security documents name exists: every file, every test title, every link; and no requirement is named without a proof or a reason.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import type { AuditEvent } from '../../src/observability/audit.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const PAGES = ['docs/threat-model.md', 'docs/asvs.md', 'docs/operations.md', 'SECURITY.md'];

/** `file` and `file: title`, as the pages name them. */
function namedIn(page: string): { file: string; title: string | undefined }[] {
  const spans = [...page.matchAll(/`((?:src|test|docs|bench)\/[\w./-]+\.\w+)(?:: ([^`]+))?`/g)];
  return spans.map(([, file = '', title]) => ({ file, title }));
}

/** Whether a file of tests has a test of this title, word for word. */
function hasTitle(source: string, title: string): boolean {
  return [`'${title}'`, `"${title}"`, `\`${title}\``].some((literal) => source.includes(literal));
}

/** What GitHub makes of a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

describe.each(PAGES)('%s', (path) => {
  const page = read(path);

  test('names only files and tests that exist', () => {
    const missing = namedIn(page).filter(({ file, title }) => {
      if (!existsSync(join(ROOT, file))) return true;
      return title !== undefined && !hasTitle(read(file), title);
    });
    expect(missing).toEqual([]);
  });

  test('links only to pages and headings that exist', () => {
    const links = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const dead = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [target = '', anchor] = link.split('#');
      const file = target === '' ? path : join(dirname(path), target);
      if (!existsSync(join(ROOT, file))) return true;
      const headings = [...read(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));
      return anchor !== undefined && !headings.includes(anchor);
    });
    expect(dead).toEqual([]);
  });

  test('tells no address of a person', () => {
    expect(page).not.toMatch(/[\w.+-]+@[\w-]+\.[a-z]/i);
  });
});

describe('docs/threat-model.md', () => {
  const rows = read('docs/threat-model.md')
    .split(/^## Attacks$/m)[1]
    ?.split(/^## /m)[0]
    ?.split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| attack'));

  test('names a test beside every attack', () => {
    expect(rows?.length).toBeGreaterThan(30);
    expect(rows?.filter((row) => !/`test\/[^`]+: [^`]+`/.test(row))).toEqual([]);
  });

  test('says that the authorization code grant does not apply', () => {
    expect(read('docs/threat-model.md')).toContain('§6.1.3.1 (authorization code grant with PKCE) does not apply.');
  });
});

describe('docs/asvs.md', () => {
  const rows = read('docs/asvs.md')
    .split('\n')
    .filter((line) => /^\| \d/.test(line));

  test('has a proof or a reason for every requirement, and each once', () => {
    expect(rows.length).toBeGreaterThan(70);
    for (const row of rows) expect(row.split(' | ')[1]?.length).toBeGreaterThan(5);
    const numbers = rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/\d+\.\d+\.\d+/g)].map(String));
    expect(numbers.length).toBe(new Set(numbers).size);
  });
});

test('docs/operations.md describes every event of the audit trail', () => {
  // A map of all of them: one that is added and not described does not compile.
  const all: Readonly<Record<AuditEvent, true>> = {
    login_accepted: true,
    login_rejected: true,
    login_throttled: true,
    login_failed: true,
    login_stuffing_suspected: true,
    session_started: true,
    session_refreshed: true,
    session_refresh_refused: true,
    session_ended: true,
    session_cookie_refused: true,
    origin_refused: true,
    stream_refused: true,
    session_keys_changed: true,
    log_changed: true,
    cache_purged: true,
  };
  const table = read('docs/operations.md').split('## Audit trail')[1] ?? '';
  expect(Object.keys(all).filter((event) => !table.includes(`\`${event}\``))).toEqual([]);
});

test('a title that does not exist is found', () => {
  const source = read('test/security/documents.test.ts');
  expect(hasTitle(source, 'a title that does not exist is found')).toBe(true);
  expect(hasTitle(source, `a title that${' '}nobody wrote`)).toBe(false);
  expect(namedIn('`test/x.test.ts: some title` and `src/a-b.ts`')).toEqual([
    { file: 'test/x.test.ts', title: 'some title' },
    { file: 'src/a-b.ts', title: undefined },
  ]);
});
