// The alert rules name metrics and labels that exist, and each has its place in the operations page.
import { describe, expect, test } from '@jest/globals';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { readProjectFile, readYaml } from './files.ts';

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
    const metrics = createMetrics();
    metrics.readSessionLookups(() => ({ hits: 0, misses: 0 }));
    const known = new Set([...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
    for (const { expr } of rules) {
      const named = [...expr.matchAll(/\b(?:finvera_gateway|nodejs|process)_\w+/g)].map(([name]) => name);
      for (const name of named) expect(known).toContain(name.replace(/_bucket$/, ''));
      if (named.length === 0) expect(expr).toMatch(/^up\{/);
    }
  });

  test('catch a name that does not exist', async () => {
    const text = await createMetrics({ withProcess: false }).text();
    expect(text).not.toContain('finvera_gateway_store_error_total');
  });

  test.each(rules)('$alert says how bad it is and where to read on', ({ alert, labels, annotations }) => {
    expect(['page', 'ticket']).toContain(labels.severity);
    expect(annotations.summary).not.toBe('');
    expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    expect(readProjectFile('docs/operations.md')).toContain(`\n### ${alert}\n`);
  });
});
