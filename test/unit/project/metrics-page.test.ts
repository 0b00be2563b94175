import { expect, test } from '@jest/globals';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { readProjectFile } from './files.ts';

const PREFIX = 'finvera_gateway_';

test('docs/metrics.md has a row for each metric, with its kind and what the metric says of itself, and for no other', async () => {
  const metrics = createMetrics({ withProcess: false });
  metrics.readSessionLookups(() => ({ hits: 0, misses: 0 }));
  const told = [...(await metrics.text()).matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)].map(
    ([, name = '', help = '', kind = '']) => ({ name: name.replace(PREFIX, ''), help, kind }),
  );
  expect(told.length).toBeGreaterThan(40);
  const rows = readProjectFile('docs/metrics.md').matchAll(/^\| `(\w+)` \| (\w+) \| [^|]*\| (.*) \|$/gm);
  const written = new Map([...rows].map(([, name = '', kind = '', says = '']) => [name, { kind, says }]));
  expect([...written.keys()].sort()).toEqual(told.map(({ name }) => name).sort());
  for (const { name, help, kind } of told) {
    expect(written.get(name)).toMatchObject({ kind, says: expect.stringContaining(help) });
  }
});
