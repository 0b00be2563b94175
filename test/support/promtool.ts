// The alert rules of deploy/prometheus, evaluated by promtool over what a gateway said before and during an incident.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../.ci/prometheus.ts';

const RULES = fileURLToPath(new URL('../../deploy/prometheus/alerts.yml', import.meta.url));

/** Two scrapes: the incident is what changed between them. */
export interface Incident {
  readonly before: string;
  readonly during: string;
}

const CALM_SCRAPES = 8;
const INCIDENT_SCRAPES = 60;
const CALM_UNTIL = '105s';
const LATE = '15m';

/**
 * Two calm minutes, then a quarter of an hour in which each scrape brings what the incident brought: counters rise by as
 * much again, gauges stay where they were put.
 * @throws with promtool's words where one of `alerts` is not raised in it, or was before
 */
export function expectAlerts(incident: Incident, alerts: readonly string[]): void {
  const firing = (alert: string) => `group by (alertname) (ALERTS{alertname="${alert}", alertstate="firing"})`;
  const expectations = alerts.flatMap((alert) => [
    { expr: firing(alert), eval_time: LATE, exp_samples: [{ labels: `{alertname="${alert}"}`, value: 1 }] },
    { expr: firing(alert), eval_time: CALM_UNTIL, exp_samples: [] },
  ]);
  run(seriesOf(incident), expectations);
}

/** @throws where any alert is raised */
export function expectNoAlert(incident: Incident): void {
  run(seriesOf(incident), [
    { expr: 'group by (alertname) (ALERTS{alertstate="firing"})', eval_time: LATE, exp_samples: [] },
  ]);
}

function run(series: readonly object[], expectations: readonly object[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  try {
    const file = join(folder, 'incident.test.yml');
    const test = { interval: '15s', input_series: series, promql_expr_test: expectations };
    // YAML holds JSON.
    writeFileSync(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: '15s', tests: [test] }));
    const { status, stdout, stderr } = spawnSync(findProgram('promtool'), ['test', 'rules', file], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`promtool: ${stdout}${stderr}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function seriesOf({ before, during }: Incident): object[] {
  const earlier = samplesOf(before);
  const types = new Map([...during.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  return [...samplesOf(during)].map(([series, value]) => {
    const first = earlier.get(series) ?? 0;
    const name = series.split('{')[0] ?? '';
    const rises =
      types.get(name) === 'counter' || types.get(name.replace(/_(?:bucket|sum|count)$/, '')) === 'histogram';
    const then = rises ? `${first}+${value - first}x${INCIDENT_SCRAPES}` : `${value}x${INCIDENT_SCRAPES}`;
    return { series: labelled(series), values: `${first}x${CALM_SCRAPES - 1} ${then}` };
  });
}

/** As Prometheus' own scrape would name it. */
function labelled(series: string): string {
  const [name = '', labels = ''] = series.split(/\{(.*)\}$/);
  return `${name}{${['job="finvera-gateway"', 'instance="a"', ...(labels ? [labels] : [])].join(', ')}}`;
}

function samplesOf(text: string): Map<string, number> {
  const lines = text.matchAll(/^(finvera_gateway_\w+(?:\{.*\})?) (\S+)$/gm);
  return new Map([...lines].map(([, series = '', value]) => [series, Number(value)]));
}
