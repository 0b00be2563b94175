// A real Prometheus of the lab's own: scrapes each second, evaluates the alert rules, answers queries. Ends with its folder.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../../.ci/prometheus.ts';
import { freePort } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';

const RULES = fileURLToPath(new URL('../../../deploy/prometheus/alerts.yml', import.meta.url));

/** One series of an answer: its labels, and seconds with values as text. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [at: number, value: string])[];
}

export interface PrometheusServer {
  /** @throws with Prometheus' words where it does not take the expression */
  range(expression: string, from: number, to: number, stepSeconds: number): Promise<readonly Series[]>;
  end(): Promise<void>;
}

/** @param targets `host:port` by the name of the instance */
export async function startPrometheus(targets: Readonly<Record<string, string>>): Promise<PrometheusServer> {
  const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
  const port = await freePort();
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [RULES],
    scrape_configs: [
      {
        job_name: 'finvera-gateway',
        static_configs: Object.entries(targets).map(([instance, target]) => ({
          targets: [target],
          labels: { instance },
        })),
      },
    ],
  };
  const file = join(folder, 'prometheus.yml');
  // YAML holds JSON.
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(
    findProgram('prometheus'),
    [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`],
    { stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => child.once('close', resolve));
  const url = `http://127.0.0.1:${port}`;
  const isReady = async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok ?? false;
  await until('Prometheus to be ready', isReady, 30_000);
  return {
    async range(query, start, end, step) {
      const asked = new URLSearchParams({ query, start: String(start), end: String(end), step: String(step) });
      const reply = (await (await fetch(`${url}/api/v1/query_range?${asked}`)).json()) as {
        readonly status: string;
        readonly error?: string;
        readonly data: { readonly result: readonly Series[] };
      };
      if (reply.status !== 'success') throw new Error(`${query}: ${reply.error}`);
      return reply.data.result;
    },
    async end() {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
