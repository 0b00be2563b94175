/** The whole verification, `npm run check`: every step in order; one that fails does not hide the next. Each step is one check, and so is each test. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Ended, runProgram } from './run-program.ts';
import { provideSystemParts } from './system-parts.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What one step came to. */
interface Verdict {
  readonly passed: number;
  readonly failed: number;
  /** Beside the heading. */
  readonly summary: string;
  /** Below it, where something failed. */
  readonly output: string;
}

interface Step {
  readonly heading: string;
  run(): Promise<Verdict>;
}

/** What drives whole processes and browsers: measured for coverage they would take longer and show nothing that the others do not. */
const SCENES: readonly string[] = ['test/lab/', 'test/browser/', 'test/security/'];

function without(folder: string): string[] {
  return ['--testPathIgnorePatterns', folder];
}

/** The pieces in order: the quick ones first. Scripts are named by their files, so that no shell stands between. */
const STEPS: readonly Step[] = [
  { heading: 'system parts', run: async () => oneCheck(await provideSystemParts()) },
  step('build', '.ci/build.ts'),
  step('dashboard, from its lock file', '.ci/build-dashboard.ts'),
  step('format and lint', 'node_modules/@biomejs/biome/bin/biome', 'check', '.'),
  step('types', 'node_modules/typescript/bin/tsc', '--noEmit'),
  step('unused code', 'node_modules/knip/bin/knip.js'),
  step('docs in sync', '.ci/docs.ts', '--check'),
  step('licences of what runs in production', '.ci/licences.ts'),
  step('benchmark, contenders correct', 'bench/main.ts', '--smoke'),
  { heading: 'tests of the laboratory, in browsers and of attacks', run: () => runTests(SCENES) },
  { heading: 'the other tests, with coverage', run: () => runTests(['--coverage', ...SCENES.flatMap(without)]) },
];

function step(heading: string, ...args: string[]): Step {
  return { heading, run: async () => oneCheck(await runNode(args)) };
}

/** On the Node that runs this: npm puts the pinned one first in PATH, whatever the machine has. */
function runNode(args: readonly string[]): Promise<Ended> {
  return runProgram(process.execPath, args, { cwd: ROOT, env: { ...process.env, CI: 'true' } });
}

function oneCheck({ code, output }: Ended): Verdict {
  return code === 0
    ? { passed: 1, failed: 0, summary: 'ok', output }
    : { passed: 0, failed: 1, summary: 'failed', output };
}

/** What is read of jest's report. */
interface TestReport {
  readonly numTotalTests: number;
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  /** Files that could not be run at all. */
  readonly numRuntimeErrorTestSuites: number;
}

/** @param args - what jest runs, and how */
async function runTests(args: readonly string[]): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-check-'));
  const reportFile = join(folder, 'tests.json');
  try {
    const ended = await runNode([
      '--experimental-vm-modules', // jest runs ES modules
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
      ...args,
      '--json',
      `--outputFile=${reportFile}`,
      '--maxWorkers=2',
    ]);
    return judgeTests(ended, readReport(reportFile));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(path: string): TestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as TestReport;
  } catch {
    return undefined; // it ended before it could write one
  }
}

function judgeTests({ code, output }: Ended, report: TestReport | undefined): Verdict {
  if (!report || report.numTotalTests === 0) return { passed: 0, failed: 1, summary: 'no test was run', output };
  const { numPassedTests: passed, numFailedTests } = report;
  // A skipped test fails the check: nobody would notice that it no longer runs.
  const skipped = report.numPendingTests + report.numTodoTests;
  const unread = report.numRuntimeErrorTestSuites;
  const known = numFailedTests + skipped + unread;
  // Where every test passed, jest still fails for coverage below its threshold.
  const failed = known === 0 && code !== 0 ? 1 : known;
  const parts = [`${numFailedTests} failed`, `${skipped} skipped`, `${unread} files not run`];
  const reasons = parts.filter((part) => !part.startsWith('0 '));
  if (failed > known) reasons.push('coverage below its threshold, or the run did not end well');
  return { passed, failed, summary: [`${passed} passed`, ...reasons].join(', '), output };
}

let passed = 0;
let failed = 0;
for (const { heading, run } of STEPS) {
  const startedAt = performance.now();
  process.stdout.write(`== ${heading}: `);
  const verdict = await run();
  passed += verdict.passed;
  failed += verdict.failed;
  console.log(`${verdict.summary} (${((performance.now() - startedAt) / 1_000).toFixed(1)} s)`);
  if (verdict.failed > 0) console.log(verdict.output.trimEnd());
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
