// The alert rules name metrics and labels that exist, and each has its place in the operations page.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { findProgram } from '../../../.ci/prometheus.ts';
import { knownMetrics, metricsNamedIn } from '../../support/metric-names.ts';
import { ROOT, readProjectFile, readYaml } from './files.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const { groups } = readYaml('deploy/prometheus/alerts.yml') as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

describe('the alert rules', () => {
  test('name only metrics that the gateway has', async () => {
    const known = await knownMetrics();
    for (const { expr } of rules) {
      const named = metricsNamedIn(expr);
      for (const name of named) expect(known).toContain(name);
      if (named.length === 0) expect(expr).toMatch(/^up\{/);
    }
  });

  test('catch a name that does not exist', async () => {
    expect(metricsNamedIn('rate(finvera_gateway_store_error_total[1m])')).toEqual([
      'finvera_gateway_store_error_total',
    ]);
    expect(await knownMetrics()).not.toContain('finvera_gateway_store_error_total');
  });

  test.each([
    ['check', 'rules', 'deploy/prometheus/alerts.yml'],
    ['test', 'rules', 'deploy/prometheus/alerts.test.yml'],
  ])('pass promtool %s %s %s', (...args) => {
    const { status, stdout, stderr } = spawnSync(findProgram('promtool'), args, { cwd: ROOT, encoding: 'utf8' });
    expect({ status, output: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, output: '' });
  });

  test.each(rules)('$alert says how bad it is and where to read on', ({ alert, labels, annotations }) => {
    expect(['page', 'ticket']).toContain(labels.severity);
    expect(annotations.summary).not.toBe('');
    expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    expect(readProjectFile('docs/operations.md')).toContain(`\n### ${alert}\n`);
  });
});
