// What a release rests on: licences, the list of its parts, the changelog, and the workflow that checks it.
import { spawnSync } from 'node:child_process';
import { NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { judgeLicences, type LockFile } from '../../../.ci/judge-licences.ts';
import { ROOT, readPackage, readProjectFile } from './files.ts';

const lock = JSON.parse(readProjectFile('package-lock.json')) as LockFile;

function run(command: string, args: readonly string[], cwd = ROOT) {
  return spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' } });
}

describe('licences', () => {
  test('are agreed to for everything that runs in production', () => {
    const { counts, faults } = judgeLicences(lock);
    expect(faults).toEqual([]);
    expect(counts.get('MIT')).toBeGreaterThan(50);
  });

  test.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['(MIT AND BSD-3-Clause)', true],
    ['(MIT AND GPL-3.0-only)', false],
    ['GPL-3.0-only', false],
    ['AGPL-3.0-or-later', false],
    ['SEE LICENSE IN LICENSE', false],
    [undefined, false],
  ])('%s is agreed to: %s', (license, agreed) => {
    const one = { version: '1.0.0', ...(license === undefined ? {} : { license }) };
    expect(judgeLicences({ packages: { '': {}, 'node_modules/a': one } }).faults).toHaveLength(agreed ? 0 : 1);
  });

  test('of what is only for development are nobody’s business; a lock file without packages is a fault', () => {
    const dev = { version: '1.0.0', license: 'GPL-3.0-only', dev: true };
    const mit = { version: '1.0.0', license: 'MIT' };
    expect(judgeLicences({ packages: { 'node_modules/a': mit, 'node_modules/b': dev } }).faults).toEqual([]);
    expect(judgeLicences({ packages: {} }).faults).toHaveLength(1);
  });
});

interface Bill {
  readonly bomFormat: string;
  readonly metadata: { readonly timestamp: string; readonly component: { readonly name: string } };
  readonly components: readonly { readonly purl: string; readonly licenses?: readonly unknown[] }[];
}

test('npm run sbom lists exactly what runs in production, the same each time', () => {
  const [first, second] = [1, 2].map(() => run(process.execPath, ['.ci/sbom.ts']));
  expect([first?.status, first?.stderr]).toEqual([0, '']);
  expect(second?.stdout).toBe(first?.stdout);
  const bill = JSON.parse(first?.stdout ?? '') as Bill;
  expect(bill.bomFormat).toBe('CycloneDX');
  expect(bill.metadata.component.name).toBe('finvera-gateway');
  expect(bill.metadata.timestamp).toBe('2023-11-14T22:13:20.000Z');
  const locked = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev);
  const purls = locked.map(
    ([path, { version }]) => `pkg:npm/${path.replace(/^.*node_modules\//, '').replace('@', '%40')}@${version}`,
  );
  expect(bill.components.map(({ purl }) => purl).sort()).toEqual([...new Set(purls)].sort());
  expect(bill.components.filter(({ licenses }) => !licenses?.length)).toEqual([]);
}, 60_000);

describe('CHANGELOG.md', () => {
  const headings = [...readProjectFile('CHANGELOG.md').matchAll(/^## (.*)$/gm)].map(([, text = '']) => text);

  test('names the version of the package as the newest, and what is not out yet above it', () => {
    expect(headings[0]).toBe('[Unreleased]');
    expect(headings[1]).toMatch(
      new RegExp(`^\\[${readPackage().version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`),
    );
  });

  test('groups changes as Keep a Changelog does', () => {
    const groups = [...readProjectFile('CHANGELOG.md').matchAll(/^### (.*)$/gm)].map(([, text]) => text);
    expect(groups.length).toBeGreaterThan(0);
    for (const group of groups) {
      expect(['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security']).toContain(group);
    }
  });
});

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

interface Job {
  readonly permissions: unknown;
  readonly container?: string;
  readonly 'timeout-minutes': number;
  readonly steps: readonly { readonly uses?: string; readonly run?: string; readonly with?: Record<string, unknown> }[];
}

describe('the workflow', () => {
  const path = '.github/workflows/check.yml';
  const text = readProjectFile(path);
  const workflow = parse(text) as Workflow;
  const jobs = Object.values(workflow.jobs);
  const steps = jobs.flatMap((job) => job.steps);
  const faultsOf = (content: string) =>
    parseWorkflow({ name: path, content }, new NoOperationTraceWriter()).context.errors.getErrors();

  test('is one by GitHub’s own parser', () => {
    expect(faultsOf(text)).toEqual([]);
    expect(faultsOf(text.replace('runs-on:', 'run-on:'))).not.toEqual([]);
  });

  test('runs .ci/run on every change, on the Node of package.json', () => {
    expect(Object.keys(workflow.on)).toEqual(expect.arrayContaining(['push', 'pull_request']));
    const { check } = workflow.jobs;
    expect(check?.steps.map((step) => step.run).filter((command) => command !== undefined)).toEqual(['bash .ci/run']);
    expect(check?.container).toBe(`node:${readPackage().devDependencies.node}-bookworm`);
    for (const { with: inputs } of steps.filter(({ uses }) => uses?.includes('setup-node'))) {
      expect(inputs?.['node-version']).toBe(readPackage().devDependencies.node);
    }
  });

  test('pins every action to a commit, and says of which version it is', () => {
    const uses = [...text.matchAll(/uses: (.*)$/gm)].map(([, action]) => action);
    expect(uses).toHaveLength(steps.filter((step) => step.uses).length);
    for (const action of uses) expect(action).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test('may read the sources and nothing else, and leaves no token behind', () => {
    expect(workflow.permissions).toEqual({});
    for (const job of jobs) {
      expect(job.permissions).toEqual({ contents: 'read' });
      expect(job['timeout-minutes']).toBeLessThanOrEqual(60);
    }
    for (const step of steps.filter(({ uses }) => uses?.includes('checkout'))) {
      expect(step.with?.['persist-credentials']).toBe(false);
    }
    expect(text).not.toMatch(/pull_request_target|\{ *secrets\.|github\.event\.(?!_name)/);
  });

  test('names only scripts that package.json has', () => {
    const named = steps.flatMap(({ run = '' }) =>
      [...run.matchAll(/npm run (?:--silent )?([a-z-]+)/g)].map(([, name]) => name),
    );
    expect(named).toEqual(['advisories', 'sbom']);
    for (const name of named) expect(readPackage().scripts).toHaveProperty(name ?? '');
  });
});
