// The Grafana dashboard names metrics that exist, leaves none of the gateway's out, and is as its pictures show it.
import { describe, expect, test } from '@jest/globals';
import { pictureOf, readPanelRows } from '../../lab/dashboard/panels.ts';
import { knownMetrics, metricsNamedIn } from '../../support/metric-names.ts';
import { readProjectFile, readYaml } from './files.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const dashboard = JSON.parse(readProjectFile('deploy/grafana/dashboards/finvera-gateway.json')) as {
  readonly uid: string;
  readonly panels: readonly Panel[];
};
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** Told by others on the board, or of use only where something is looked for. */
const LEFT_OUT = ['cache_redis_usable', 'hub_connections_total', 'session_keys', 'sessions_resealed_total'];

describe('the dashboard', () => {
  test('names only metrics that the gateway has', async () => {
    const known = await knownMetrics();
    for (const expression of expressions) {
      const named = metricsNamedIn(expression);
      for (const name of named) expect(known).toContain(name);
      if (named.length === 0) expect(expression).toContain('ALERTS{job="finvera-gateway"');
    }
  });

  test('shows every metric of the gateway but those that are left out on purpose', async () => {
    const shown = new Set(expressions.flatMap(metricsNamedIn));
    const own = [...(await knownMetrics())].filter((name) => name.startsWith('finvera_gateway_'));
    const missing = own.filter((name) => !shown.has(name)).map((name) => name.replace('finvera_gateway_', ''));
    expect(missing.sort()).toEqual(LEFT_OUT);
  });

  test('has a name for each panel, each once, and no two in one place', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x},${y}`)).size).toBe(panels.length);
    for (const { title, targets = [] } of panels) {
      expect(title).not.toBe('');
      expect(targets.length).toBeGreaterThan(0);
    }
  });

  test('is in the operations page as pictures, one of each row, every panel on it', () => {
    const page = readProjectFile('docs/operations.md');
    const rows = readPanelRows();
    expect(rows.flatMap((row) => row.panels)).toHaveLength(panels.length);
    for (const row of rows) {
      expect(page).toContain(`](images/${pictureOf(row)})`);
      const picture = readProjectFile(`docs/images/${pictureOf(row)}`);
      for (const { title } of row.panels) expect(picture).toContain(`>${title}</text>`);
    }
  });

  test('is where Grafana is told to look', () => {
    const { providers } = readYaml('deploy/grafana/provisioning/dashboards/finvera-gateway.yml') as {
      providers: { options: { path: string } }[];
    };
    expect(readProjectFile('docker-compose.yml')).toContain(
      `./deploy/grafana/dashboards:${providers[0]?.options.path}:ro`,
    );
  });
});
