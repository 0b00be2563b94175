// `npm run lab:dashboard`: two gateways through four incidents under a real Prometheus; every panel of the Grafana dashboard,
// by its own expressions, drawn into docs/images. About five minutes. Says what every alert did.
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/redis-server.ts';
import { type Lab, withConfig, withLab } from '../scenario.ts';
import { beginEveryday, LIMITED_USER } from './everyday.ts';
import { causeIncidents, nowSeconds } from './incidents.ts';
import { drawPanels } from './panel-chart.ts';
import { evaluate, pictureOf, readPanelRows } from './panels.ts';
import { startPrometheus } from './prometheus-server.ts';

const IMAGES = fileURLToPath(new URL('../../../docs/images/', import.meta.url));
const STEP_SECONDS = 2;
const KEY = 'sk_lab';
const CONFIG = `streams: {mode: hub, credential: api-key}
routes:
  - {path: /delivery, methods: [GET]}
  - {path: /search, methods: [GET], cache: {ttl: 5s, staleWhileRevalidate: 10s, staleIfError: 5m, scope: tier}}
`;
/** Tokens of two minutes are renewed each minute. */
const FINVERA = {
  apiKey: KEY,
  accessTokenLifeS: 120,
  quoteRate: 2,
  users: [{ email: LIMITED_USER, password: 'demo-password', tier: 'standard' }],
};

async function run(lab: Lab, GATEWAY_CONFIG: string): Promise<void> {
  const ports = [await freePort(), await freePort()];
  const gateways = await Promise.all(
    ports.map((port) =>
      lab.start({
        GATEWAY_CONFIG,
        MANAGEMENT_PORT: String(port),
        FINVERA_STREAM_URL: lab.simulator.url.replace('http', 'ws'),
        FINVERA_API_KEY: KEY,
        FINVERA_HEADERS_TIMEOUT: '2s',
        TRUST_PROXY: '127.0.0.1',
        LOGIN_LIMIT_ACCOUNT: '10/15m',
        LOGIN_LIMIT_ADDRESS: '100/15m',
      }),
    ),
  );
  const prometheus = await startPrometheus(
    Object.fromEntries(ports.map((port, i) => [`gateway-${i + 1}`, `127.0.0.1:${port}`])),
  );
  try {
    const everyday = await beginEveryday(lab.client, lab.simulator, gateways);
    const from = nowSeconds();
    const stretches = await causeIncidents(lab, gateways[0] as (typeof gateways)[number]);
    const to = nowSeconds();
    await everyday.end();
    const seen = { from, to, stepSeconds: STEP_SECONDS, stretches };
    for (const old of readdirSync(IMAGES).filter((name) => /^panels-.*\.svg$/.test(name))) rmSync(join(IMAGES, old));
    for (const row of readPanelRows()) {
      const charts = await Promise.all(row.panels.map((panel) => evaluate(prometheus, panel, seen)));
      writeFileSync(join(IMAGES, pictureOf(row)), drawPanels(row.heading, charts, seen));
      const empty = charts.filter(({ lines }) => lines.length === 0).map(({ title }) => title);
      console.log(
        `${pictureOf(row)}: ${charts.length} panels${empty.length > 0 ? `, nothing in: ${empty.join(', ')}` : ''}`,
      );
    }
    for (const stretch of stretches) console.log(`${stretch.name}: ${stretch.from - from} to ${stretch.to - from} s`);
    const alerts = await prometheus.range('max by (alertname) (ALERTS{alertstate="firing"})', from, to, 1);
    for (const { metric, values } of alerts) {
      console.log(`${metric.alertname}: raised at ${(values[0]?.[0] ?? 0) - from} s, for ${values.length} s in all`);
    }
  } finally {
    await prometheus.end();
  }
}

await withConfig(CONFIG, (config) => withLab(FINVERA, (lab) => run(lab, config)));
