import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { runCommand } from '../../../src/cli/run-command.ts';
import { Secret } from '../../../src/kernel/secret.ts';
import { createAuditChain } from '../../../src/observability/audit-chain.ts';

const BYTES = Buffer.alloc(32, 1).toString('base64url');
const KEY = { kid: 'k1', key: new Secret(BYTES) };
const folder = mkdtempSync(join(tmpdir(), 'verify-audit-'));
afterAll(() => rmSync(folder, { recursive: true }));

const chain = createAuditChain(KEY);
const appended = ['audit_started', 'login_accepted', 'session_ended', 'audit_stopped'].map((event) =>
  chain.append({ log: 'audit', event }),
);
const LINES = appended.map(({ line }) => line);
const mark = (seq: number) => `${seq}:${appended[seq - 1]?.at.mac}`;

function fileOf(name: string, lines: readonly string[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

async function verify(args: readonly string[], env: Record<string, string> = { SESSION_KEYS: `k1:${BYTES}` }) {
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const code = await runCommand(['audit', 'verify', ...args], {
    env,
    stdout: { write: (text) => stdout.push(text) },
    stderr: { write: (text) => stderr.push(text) },
  });
  return { code, stdout: stdout.join(''), stderr: stderr.join('') };
}

describe('audit verify', () => {
  test('ends with 0 where nothing is wrong', async () => {
    expect(await verify([fileOf('whole', LINES)])).toEqual({
      code: 0,
      stdout: 'lines: 4, chains: 1, sound\n',
      stderr: '',
    });
  });

  test('ends with 1 and names the line where one is missing or changed', async () => {
    const missing = await verify([fileOf('missing', LINES.toSpliced(1, 1))]);
    expect([missing.code, missing.stdout]).toEqual([
      1,
      'missing:2: comes after missing lines: 1, from 2 on\nlines: 3, chains: 1, problems: 1\n',
    ]);
    const changed = await verify([fileOf('changed', LINES.with(2, LINES[2]?.replace('ended', 'begun') ?? ''))]);
    expect([changed.code, changed.stdout]).toEqual([1, 'changed:3: is changed\nlines: 4, chains: 1, problems: 1\n']);
  });

  test('finds a cut end against a checkpoint only, and notes that the last line is not there', async () => {
    const file = fileOf('cut', LINES.slice(0, 2));
    const without = await verify([file]);
    expect([without.code, without.stdout]).toEqual([0, expect.stringMatching(/^note: chain .* has no last line/)]);
    expect((await verify([file, '--checkpoint', mark(2)])).code).toBe(0);
    const cut = await verify(['--checkpoint', mark(3), file]);
    expect([cut.code, cut.stdout]).toEqual([1, expect.stringContaining('end: line 3 of a checkpoint is not there')]);
  });

  test('takes several files as one, oldest first', async () => {
    const files = [fileOf('one', LINES.slice(0, 2)), fileOf('two', LINES.slice(2))] as const;
    expect((await verify(files)).code).toBe(0);
    expect((await verify(files.toReversed())).code).toBe(1);
  });

  test('takes the keys from a file as the gateway does', async () => {
    const keys = fileOf('keys', [`k2:${Buffer.alloc(32, 2).toString('base64url')},k1:${BYTES}`]);
    expect((await verify([fileOf('whole', LINES)], { SESSION_KEYS_FILE: keys })).code).toBe(0);
  });

  test.each([
    ['without a file', [], 'needs a file'],
    ['with an unknown flag', ['x', '--check'], 'knows one flag'],
    ['with a checkpoint of another form', ['x', '--checkpoint', '3'], 'SEQ:MAC'],
    ['for a file that is not there', [join(folder, 'none')], 'cannot be read (ENOENT)'],
    ['for a folder', [folder], 'cannot be read (EISDIR)'],
    ['for a file without audit lines', [fileOf('log', ['{"level":"info"}'])], 'no audit line'],
  ])('ends with 2 %s', async (_, args, sentence) => {
    const { code, stderr } = await verify(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
  });

  test('ends with 2 without keys, and tells none', async () => {
    const none = await verify([fileOf('whole', LINES)], {});
    expect([none.code, none.stderr]).toEqual([2, 'problem: SESSION_KEYS is not set, nor SESSION_KEYS_FILE\n']);
    const bad = await verify([fileOf('whole', LINES)], { SESSION_KEYS: `k1:${BYTES.slice(1)}` });
    expect(bad.code).toBe(2);
    expect(bad.stderr).not.toContain(BYTES.slice(1));
  });

  test('audit knows no other command', async () => {
    const code = await runCommand(['audit'], { stdout: { write() {} }, stderr: { write() {} } });
    expect(code).toBe(2);
  });

  test.each([
    ['audit', '--help'],
    ['audit', 'verify', '--help'],
    ['audit', 'verify', 'audit.log', '-h'],
  ])('%s %s shows how it is used, with examples', async (...argv) => {
    let stdout = '';
    const write = (text: string) => {
      stdout += text;
    };
    expect(await runCommand(argv, { stdout: { write }, stderr: { write() {} } })).toBe(0);
    expect(stdout).toMatch(/^Usage: node dist\/main\.js audit verify FILE/);
    expect(stdout).toContain('Examples:');
    expect(stdout).toContain('Exit codes:');
  });
});
