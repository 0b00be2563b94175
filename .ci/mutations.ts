/**
 * Takes each guard out of a copy of the project, one at a time, and runs the test that must then fail: `npm run mutations`,
 * or `npm run mutations -- '^stream'` for those whose name matches. Not part of the check: it takes about twenty minutes.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type GuardMutation, readGuardMutations } from './guard-mutations.ts';
import { runProgram } from './run-program.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NOT_COPIED: readonly string[] = ['node_modules', '.git', 'coverage'];

/** What is read of jest's report. */
interface TestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

function copyProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-mutations-'));
  cpSync(ROOT, folder, { recursive: true, filter: (path) => !NOT_COPIED.includes(basename(path)) });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** @returns what puts everything back. */
function edit(folder: string, { edits }: GuardMutation): () => void {
  const before = new Map<string, string>();
  for (const { in: file, find, replace } of edits) {
    const path = join(folder, file);
    const source = readFileSync(path, 'utf8');
    if (!before.has(path)) before.set(path, source);
    if (source.split(find).length !== 2) throw new Error(`${file} does not have once: ${find}`);
    writeFileSync(
      path,
      source.replace(find, () => replace),
    );
  }
  return () => {
    for (const [path, source] of before) writeFileSync(path, source);
  };
}

/** A title with `%s` or `$name` stands for a table of them. */
function patternOf(title: string): string {
  return title
    .split(/%[sjd]|\$\w+/)
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
}

async function runTest(folder: string, { file, title }: GuardMutation['test']): Promise<TestReport | undefined> {
  const report = join(folder, 'mutation-report.json');
  rmSync(report, { force: true });
  const args = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  args.push('node_modules/jest/bin/jest.js', file, '-t', patternOf(title), '--json', `--outputFile=${report}`);
  args.push('--testTimeout=60000', '--forceExit');
  await runProgram(process.execPath, args, { cwd: folder, env: { ...process.env, CI: 'true' } });
  try {
    return JSON.parse(readFileSync(report, 'utf8')) as TestReport;
  } catch {
    return undefined;
  }
}

async function verdictOf(folder: string, mutation: GuardMutation): Promise<string | undefined> {
  const undo = edit(folder, mutation);
  const without = await runTest(folder, mutation.test);
  undo();
  if (!without || without.numRuntimeErrorTestSuites > 0) return 'the tests cannot be run without it';
  if (without.numPassedTests + without.numFailedTests === 0) return 'no test has that title';
  return without.numFailedTests === 0 ? 'no test fails without it' : undefined;
}

const named = new RegExp(process.argv[2] ?? '');
const chosen = readGuardMutations().filter(({ guard }) => named.test(guard));
const folder = copyProject();
let unnoticed = 0;
try {
  for (const mutation of chosen) {
    const fault = await verdictOf(folder, mutation);
    if (fault !== undefined) unnoticed += 1;
    console.log(`${fault === undefined ? 'noticed' : 'NOT NOTICED'}: ${mutation.guard}${fault ? ` (${fault})` : ''}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${chosen.length - unnoticed} of ${chosen.length} guards are missed by a test when they are gone`);
process.exitCode = unnoticed > 0 || chosen.length === 0 ? 1 : 0;
