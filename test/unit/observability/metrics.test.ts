import { describe, expect, test } from '@jest/globals';
import { createMetrics } from '../../../src/observability/metrics.ts';

describe('createMetrics', () => {
  test('names every metric after the gateway, with a help text', async () => {
    const text = await createMetrics({ withProcess: false }).text();
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) {
      expect(name).toMatch(/^finvera_gateway_[a-z_]+$/);
      expect(text).toMatch(new RegExp(`^# HELP ${name} \\S`, 'm'));
    }
  });

  test('adds the process’s own unless told otherwise', async () => {
    expect(await createMetrics().text()).toContain('process_cpu_seconds_total');
    expect(await createMetrics({ withProcess: false }).text()).not.toContain('process_cpu_seconds_total');
  });

  test('is apart from every other: two gateways in one process do not count together', async () => {
    const [one, other] = [createMetrics({ withProcess: false }), createMetrics({ withProcess: false })];
    one.sessionsStarted.inc();
    expect(await one.text()).toContain('finvera_gateway_sessions_started_total 1');
    expect(await other.text()).toContain('finvera_gateway_sessions_started_total 0');
  });

  test('brings gauges up to date before they are read', async () => {
    const metrics = createMetrics({ withProcess: false });
    let sessions = 3;
    metrics.onScrape(() => metrics.cachedSessions.set(sessions));
    expect(await metrics.text()).toContain('finvera_gateway_cached_sessions 3');
    sessions = 5;
    expect(await metrics.text()).toContain('finvera_gateway_cached_sessions 5');
  });

  test('tells the same in the OpenMetrics format, and the classic one stays as it was', async () => {
    const metrics = createMetrics();
    metrics.sessionsStarted.inc();
    metrics.requests.increment('/delivery', 'GET', 200, '');
    metrics.requestSeconds.observe('/delivery', 0.003);
    metrics.readSessionLookups(() => ({ hits: 7, misses: 2 }));
    const before = await metrics.text();
    const open = await metrics.openMetrics();
    expect(metrics.openMetricsType).toContain('application/openmetrics-text');
    expect(open).toMatch(/# EOF\n$/);
    expect(open).toContain('# TYPE finvera_gateway_sessions_started counter\n');
    for (const line of [
      'finvera_gateway_sessions_started_total 1',
      'finvera_gateway_requests_total{route="/delivery",method="GET",status="200",code=""} 1',
      'finvera_gateway_request_seconds_bucket{route="/delivery",le="0.005"} 1',
      'finvera_gateway_session_lookups_total{result="hit"} 7',
    ]) {
      expect(open).toContain(`${line}\n`);
      expect(before).toContain(`${line}\n`);
    }
    const namesOf = (text: string) => [...text.matchAll(/^(finvera_gateway_\w+)/gm)].map(([name]) => name);
    expect(namesOf(await metrics.text())).toEqual(namesOf(before));
  });
});
