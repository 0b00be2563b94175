import { describe, expect, test } from '@jest/globals';
import { GatewayError } from '../../../src/kernel/errors.ts';
import { createMetrics } from '../../../src/observability/metrics.ts';
import {
  createRequestLog,
  describe as describeCause,
  type FinishedRequest,
} from '../../../src/observability/request-log.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';

const REQUEST: FinishedRequest = {
  requestId: 'request-1',
  method: 'GET',
  path: '/delivery/a',
  route: '/delivery',
  status: 200,
  code: undefined,
  cause: undefined,
  durationMs: 12.3456,
  upstreamMs: 10.001,
  session: 'hash-1',
  userId: 'user-1',
  ip: '192.0.2.1',
  aborted: false,
  traceId: undefined,
};

async function record(changes: Partial<FinishedRequest> = {}) {
  const { log, lines } = createRecordedLog();
  const metrics = createMetrics({ withProcess: false });
  createRequestLog({ log, metrics, sampling: () => 1 })({ ...REQUEST, ...changes });
  const [line, ...more] = lines();
  if (!line || more.length > 0) throw new Error(`${1 + more.length} lines`);
  const { level, msg: message, time: _, ...fields } = line;
  return { level, message, fields, metrics: await metrics.text() };
}

describe('createRequestLog', () => {
  test('writes one line and one sample', async () => {
    const { level, fields, message, metrics } = await record();
    expect({ level, message }).toEqual({ level: 'info', message: 'request' });
    expect(fields).toEqual({
      event: 'request',
      request_id: 'request-1',
      method: 'GET',
      path: '/delivery/a',
      route: '/delivery',
      status: 200,
      duration_ms: 12.35,
      upstream_ms: 10,
      session: 'hash-1',
      user_id: 'user-1',
      ip: '192.0.2.1',
    });
    expect(metrics).toContain('finvera_gateway_requests_total{route="/delivery",method="GET",status="200",code=""} 1');
    expect(metrics).toContain('finvera_gateway_request_seconds_sum{route="/delivery"} 0.0123456');
  });

  test.each([
    [200, undefined, 'info'],
    [404, 'not_found', 'info'],
    [499, undefined, 'info'],
    [500, undefined, 'warn'],
    [503, 'store_unavailable', 'warn'],
    [500, 'internal_error', 'error'],
  ])('with status %i and code %s is of level %s', async (status, code, expected) => {
    const { level, metrics } = await record({ status, code });
    expect(level).toBe(expected);
    expect(metrics).toContain(`status="${status}",code="${code ?? ''}"`);
  });

  test('tells the cause, and the stack only of the gateway’s own failure', async () => {
    const cause = Object.assign(new TypeError('a mistake'), { code: 'ERR_X', headers: { cookie: 'canary' } });
    const failure = await record({ status: 500, code: 'internal_error', cause });
    expect(failure.fields.cause).toBe('TypeError ERR_X: a mistake');
    expect(failure.fields.stack).toContain('TypeError');
    expect(JSON.stringify(failure)).not.toContain('canary');
    expect((await record({ status: 503, code: 'store_unavailable', cause })).fields).not.toHaveProperty('stack');
  });

  test('writes the share of successful lines that is asked for, which they tell, and counts every request', async () => {
    const { log, lines } = createRecordedLog();
    const metrics = createMetrics({ withProcess: false });
    let share = 0.25;
    const record = createRequestLog({ log, metrics, sampling: () => share });
    for (let i = 0; i < 2_000; i += 1) record(REQUEST);
    const written = lines();
    // Six standard deviations on each side.
    expect(written.length).toBeGreaterThan(380);
    expect(written.length).toBeLessThan(620);
    expect(new Set(written.map(({ sampling }) => sampling))).toEqual(new Set([0.25]));
    expect(await metrics.text()).toContain('status="200",code=""} 2000');
    share = 0;
    record(REQUEST);
    expect(lines()).toHaveLength(written.length);
  });

  test.each([
    [{ status: 401, code: 'session_required' }],
    [{ status: 404 }],
    [{ status: 502 }],
    [{ status: 500, code: 'internal_error' }],
    [{ aborted: true }],
    [{ cause: new Error('the answer broke off') }],
  ])('writes the line of %j whatever share of the others is written', (changes) => {
    const { log, lines } = createRecordedLog();
    const metrics = createMetrics({ withProcess: false });
    createRequestLog({ log, metrics, sampling: () => 0 })({ ...REQUEST, ...changes });
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).not.toHaveProperty('sampling');
  });

  test('tells that the client left', async () => {
    expect((await record({ aborted: true })).fields.aborted).toBe(true);
    expect((await record()).fields).not.toHaveProperty('aborted');
  });

  test('does not let a client make up metrics or fill the log with its method', async () => {
    const { fields, metrics } = await record({ method: 'X'.repeat(500) });
    expect(fields.method).toBe('X'.repeat(16));
    expect(metrics).toContain('method="other"');
    expect(metrics).not.toContain('XX');
  });
});

describe('describe', () => {
  test('names an error, and of other values only the type', () => {
    expect(describeCause(new GatewayError('not_found'))).toBe('GatewayError not_found: There is nothing at this path.');
    expect(describeCause('canary')).toBe('string');
    expect(describeCause({ token: 'canary' })).toBe('object');
    expect(describeCause(Object.assign(new Error('x'), { code: 7 }))).toBe('Error: x');
  });
});
