// The panels of deploy/grafana as a Prometheus answers them: their own expressions over one stretch of time. Draws nothing.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Chart, Line } from './panel-chart.ts';
import type { PrometheusServer, Series } from './prometheus-server.ts';

const DASHBOARD = fileURLToPath(new URL('../../../deploy/grafana/dashboards/finvera-gateway.json', import.meta.url));
/** What Grafana puts there, for scrapes each second. */
const RATE_INTERVAL = '10s';

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

/** Panels below one heading of the dashboard. */
export interface PanelRow {
  readonly heading: string;
  readonly panels: readonly Panel[];
}

/** Those above the first heading are a row of their own, under the name of the first. */
export function readPanelRows(): PanelRow[] {
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: Panel[] };
  const rows: { heading: string; panels: Panel[] }[] = [];
  for (const panel of panels) {
    if (panel.type === 'row') rows.push({ heading: panel.title, panels: [] });
    else if (rows.length === 0) rows.push({ heading: panel.title, panels: [panel] });
    else rows.at(-1)?.panels.push(panel);
  }
  return rows;
}

/** `Sessions and logins` is in `panels-sessions-and-logins.svg`. */
export const pictureOf = ({ heading }: PanelRow): string =>
  `panels-${heading.toLowerCase().replaceAll(/[^a-z]+/g, '-')}.svg`;

export async function evaluate(
  prometheus: Pick<PrometheusServer, 'range'>,
  { title, type, fieldConfig, targets = [] }: Panel,
  stretch: { readonly from: number; readonly to: number; readonly stepSeconds: number },
): Promise<Chart> {
  const lines = await Promise.all(
    targets.map(async ({ expr, legendFormat }) => {
      const asked = expr.replaceAll('$__rate_interval', RATE_INTERVAL).replaceAll('$instance', '.*');
      const series = await prometheus.range(asked, stretch.from, stretch.to, stretch.stepSeconds);
      return series.map((each) => lineOf(each, legendFormat));
    }),
  );
  return {
    title,
    unit: fieldConfig?.defaults.unit ?? 'short',
    isTimeline: type === 'state-timeline',
    lines: lines.flat(),
  };
}

function lineOf({ metric, values }: Series, legend: string): Line {
  return {
    label: legend.replaceAll(/\{\{(\w+)\}\}/g, (_all, name: string) => metric[name] ?? '').replace(' ()', ''),
    // A quantile of no request is not a number.
    points: values.map(([at, value]) => [at, Number(value)] as const).filter(([, value]) => Number.isFinite(value)),
  };
}
