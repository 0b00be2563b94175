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
});
