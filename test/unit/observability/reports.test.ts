import { describe, expect, test } from '@jest/globals';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { createRefreshReport, createSessionReport } from '../../../src/observability/reports.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';

const SESSION = { hash: 'hash-1', userId: 'user-1', id: 'canary-id', tokens: 'canary-token' };

function setUp() {
  const { log, lines } = createRecordedLog();
  const metrics = createMetrics({ withProcess: false });
  return {
    lines: () => lines().map(({ level, msg: message, time: _, ...fields }) => ({ level, fields, message })),
    sessions: createSessionReport(log, metrics),
    refreshes: createRefreshReport(log, metrics),
    count: async (line: string) =>
      (await metrics.text()).split('\n').filter((each) => each === `finvera_gateway_${line}`).length,
  };
}

describe('the report of sessions', () => {
  test('tells of a beginning and an end, without the id', async () => {
    const { sessions, lines, count } = setUp();
    sessions.started(SESSION);
    sessions.ended('hash-1', 'user-1', 'logout');
    expect(lines()).toEqual([
      {
        level: 'info',
        fields: { event: 'session_started', session: 'hash-1', user_id: 'user-1' },
        message: 'session started',
      },
      {
        level: 'info',
        fields: { event: 'session_ended', session: 'hash-1', user_id: 'user-1', reason: 'logout' },
        message: 'session ended',
      },
    ]);
    expect(JSON.stringify(lines())).not.toContain('canary');
    expect(await count('sessions_started_total 1')).toBe(1);
    expect(await count('sessions_ended_total{reason="logout"} 1')).toBe(1);
  });

  test('tells activity that was not written', () => {
    const { sessions, lines } = setUp();
    sessions.activityLost(new Error('closed'));
    expect(lines()).toMatchObject([{ level: 'debug', fields: { error: 'Error: closed' } }]);
  });
});

describe('the report of refreshes', () => {
  test.each([
    ['refreshed', 'granted', 'info'],
    ['rejected', 'rejected', 'warn'],
    ['unavailable', 'timeout', 'warn'],
  ])('tells of an exchange that was %s', async (outcome, why, level) => {
    const { refreshes, lines, count } = setUp();
    refreshes.exchanged(SESSION, outcome, why, 12.4);
    expect(lines()).toMatchObject([
      {
        level,
        fields: { event: 'refresh', session: 'hash-1', user_id: 'user-1', outcome, reason: why, duration_ms: 12 },
      },
    ]);
    expect(JSON.stringify(lines())).not.toContain('canary');
    expect(await count(`refreshes_total{outcome="${outcome}",why="${why}"} 1`)).toBe(1);
    expect(await count('refresh_seconds_sum 0.0124')).toBe(1);
  });

  test('counts who joined and how long was waited', async () => {
    const { refreshes, lines, count } = setUp();
    refreshes.joined('process');
    refreshes.joined('store');
    refreshes.waited(500);
    expect(lines()).toEqual([]);
    expect(await count('refresh_joined_total{how="process"} 1')).toBe(1);
    expect(await count('refresh_joined_total{how="store"} 1')).toBe(1);
    expect(await count('refresh_wait_seconds_sum 0.5')).toBe(1);
  });

  test('warns of what an operator should know', async () => {
    const { refreshes, lines, count } = setUp();
    refreshes.lockLost(SESSION);
    refreshes.backgroundFailed(SESSION, undefined);
    refreshes.backgroundFailed(SESSION, new Error('closed'));
    refreshes.writePending(SESSION, 'dropped');
    expect(lines().map(({ level, fields }) => [level, fields.event, fields.error ?? fields.outcome])).toEqual([
      ['warn', 'refresh_lock_lost', undefined],
      ['warn', 'refresh_ahead_failed', undefined],
      ['warn', 'refresh_ahead_failed', 'Error: closed'],
      ['warn', 'refresh_write_pending', 'dropped'],
    ]);
    expect(JSON.stringify(lines())).not.toContain('canary');
    expect(await count('refresh_lock_lost_total 1')).toBe(1);
    expect(await count('refresh_pending_writes_total{event="dropped"} 1')).toBe(1);
  });
});
