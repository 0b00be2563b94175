// Traces as an operator's collector gets them: which spans, whose parents, and nothing secret in them.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { json } from '../support/http-client.ts';
import { createTestClock } from '../support/test-clock.ts';
import { closeGateways } from '../support/test-gateway.ts';
import { type CollectedSpan, startTraceCollector, type TraceCollector } from '../support/trace-collector.ts';
import { startTraced } from '../support/traced-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const SENT_TRACE = '0af7651916cd43dd8448eb211c80319c';
const SENT = `00-${SENT_TRACE}-b7ad6b7169203331-01`;

let simulator: Simulator;
let collector: TraceCollector | undefined;

beforeEach(async () => {
  simulator = await createSimulator();
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
  await collector?.close();
  collector = undefined;
});

/** What Finvera was sent last. */
function sentTraceparent(call: 'data' | 'token'): string | undefined {
  const { rawHeaders = [] } = simulator.requests(call).at(-1) ?? {};
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'traceparent');
  return at < 0 ? undefined : rawHeaders[at + 1];
}

/** The spans of the one trace that a request of this name began, once they have come. */
async function traceOf(from: TraceCollector, name: string): Promise<CollectedSpan[]> {
  await until(`the span ${name}`, () => from.spans().some((span) => span.name === name));
  const { traceId } = from.spans().findLast((span) => span.name === name) as CollectedSpan;
  return from.spans().filter((span) => span.traceId === traceId);
}

const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan => {
  const span = spans.find((each) => each.name === name);
  if (!span) throw new Error(`no span ${name} among ${spans.map((each) => each.name).join(', ')}`);
  return span;
};

describe('a trace', () => {
  test('of a forwarded request has spans for guards, session and upstream, and Finvera is told of the last', async () => {
    collector = await startTraceCollector();
    const gateway = await startTraced(simulator, collector.url);
    const browser = gateway.browser();
    expect((await browser.login()).status).toBe(200);
    expect((await browser.fetch(`${EVENT}?q=1`)).status).toBe(200);
    const spans = await traceOf(collector, 'GET /delivery');
    const request = named(spans, 'GET /delivery');
    const parents = {
      guards: request,
      authenticate: request,
      'upstream GET': request,
      'store read': named(spans, 'authenticate'),
    };
    expect(spans.map(({ name }) => name).sort()).toEqual([...Object.keys(parents), 'GET /delivery'].sort());
    for (const [name, parent] of Object.entries(parents)) expect(named(spans, name).parentSpanId).toBe(parent.spanId);
    expect(request.fields).toEqual({
      'http.request.method': 'GET',
      'http.route': '/delivery',
      'http.response.status_code': 200,
      'url.path': EVENT,
      'finvera_gateway.request_id': expect.stringMatching(/./),
      'finvera_gateway.session': expect.stringMatching(/./),
    });
    expect(request.resource).toMatchObject({ 'service.name': 'finvera-gateway', 'service.version': '1.2.3' });
    expect(sentTraceparent('data')).toBe(`00-${request.traceId}-${named(spans, 'upstream GET').spanId}-01`);
    const line = gateway.logLines().findLast(({ event, path }) => event === 'request' && path === EVENT);
    expect(line).toMatchObject({ trace_id: request.traceId });
  });

  test('of a login has its exchanges and what it wrote to the store', async () => {
    collector = await startTraceCollector();
    const gateway = await startTraced(simulator, collector.url);
    expect((await gateway.browser().login()).status).toBe(200);
    const spans = await traceOf(collector, 'POST bff');
    expect(named(spans, 'exchange login').fields).toMatchObject({ 'finvera_gateway.outcome': 'granted' });
    expect(named(spans, 'exchange validate').fields).toMatchObject({ 'finvera_gateway.outcome': 'identified' });
    expect(named(spans, 'store create').fields).toMatchObject({ 'finvera_gateway.operation': 'create' });
    const { traceId, spanId } = named(spans, 'exchange login');
    expect(sentTraceparent('token')).toBe(`00-${traceId}-${spanId}-01`);
  });

  test('of a request that waited for new tokens shows the exchange and the wait', async () => {
    collector = await startTraceCollector();
    const clock = createTestClock();
    const gateway = await startTraced(simulator, collector.url, { clock });
    const browser = gateway.browser();
    expect((await browser.login()).status).toBe(200);
    clock.advance(2 * 3_600_000);
    expect((await browser.fetch(EVENT)).status).toBe(200);
    const spans = await traceOf(collector, 'GET /delivery');
    expect(named(spans, 'exchange refresh').fields).toMatchObject({ 'finvera_gateway.outcome': 'granted' });
    for (const name of ['wait for new tokens', 'store write_seal', 'upstream GET']) named(spans, name);
  });

  test('of a failure names its kind', async () => {
    collector = await startTraceCollector();
    const gateway = await startTraced(simulator, collector.url);
    const browser = gateway.browser();
    expect((await browser.login()).status).toBe(200);
    simulator.addFault({ fault: 'reset_before', match: { call: 'data' } });
    const { status, code } = json(await browser.fetch(EVENT)) as { status: number; code: string };
    expect(status).toBe(502);
    const spans = await traceOf(collector, 'GET /delivery');
    for (const name of ['GET /delivery', 'upstream GET']) {
      expect(named(spans, name)).toMatchObject({ hasFailed: true, fields: { 'error.type': code } });
    }
  });

  test('goes on from a trusted proxy’s', async () => {
    collector = await startTraceCollector();
    const gateway = await startTraced(simulator, collector.url, { env: { TRUST_PROXY: '127.0.0.1' } });
    await gateway.browser().fetch('/health/live', { headers: { traceparent: SENT } });
    await until('the span', () => collector?.spans().some(({ name }) => name === 'GET health') ?? false);
    const request = named(collector.spans(), 'GET health');
    expect(request).toMatchObject({ traceId: SENT_TRACE, parentSpanId: SENT.split('-')[2], links: [] });
  });

  test('of anybody else begins anew, linked to what the client claims', async () => {
    collector = await startTraceCollector();
    const gateway = await startTraced(simulator, collector.url);
    await gateway.browser().fetch('/health/live', { headers: { traceparent: SENT } });
    await until('the span', () => collector?.spans().some(({ name }) => name === 'GET health') ?? false);
    const request = named(collector.spans(), 'GET health');
    expect(request.traceId).not.toBe(SENT_TRACE);
    expect(request.parentSpanId ?? '').toBe('');
    expect(request.links).toEqual([expect.objectContaining({ traceId: SENT_TRACE })]);
  });

  test('is not recorded where the sampler says no, nor named in the log, and Finvera is told so', async () => {
    collector = await startTraceCollector();
    const gateway = await startTraced(simulator, collector.url, { variables: { OTEL_TRACES_SAMPLER: 'always_off' } });
    const browser = gateway.browser();
    await browser.login();
    expect((await browser.fetch(EVENT)).status).toBe(200);
    expect(sentTraceparent('data')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    await gateway.close();
    expect(collector.spans()).toEqual([]);
    expect(gateway.logText()).not.toContain('trace_id');
  });
});

test('nothing that is secret is in a trace', async () => {
  collector = await startTraceCollector();
  const clock = createTestClock();
  const gateway = await startTraced(simulator, collector.url, { clock });
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  const cookie = browser.cookie?.split('=')[1] ?? '';
  await browser.fetch(`${EVENT}?apikey=canary-query`, { headers: { Authorization: 'Bearer canary-header' } });
  clock.advance(2 * 3_600_000);
  await browser.fetch(EVENT);
  await browser.fetch('/bff/sessions');
  await browser.login('demo@finvera.test', 'canary-password');
  await browser.fetch('/bff/logout', { method: 'POST' });
  await traceOf(collector, 'GET /delivery');
  await gateway.close();
  const tokens = simulator
    .requests()
    .flatMap(
      ({ rawHeaders, body }) =>
        `${rawHeaders.join('\n')}\n${body}`.match(/[\w-]{30,}\.[\w-]+\.[\w-]+|rt_[\w-]{20,}/g) ?? [],
    );
  expect(new Set(tokens).size).toBeGreaterThanOrEqual(2);
  const text = collector.text();
  expect(collector.spans().length).toBeGreaterThan(10);
  for (const secret of [...tokens, cookie, 'canary-', 'demo-password', 'demo@finvera.test', '127.0.0.1:1']) {
    expect(secret).not.toBe('');
    expect(text).not.toContain(secret);
  }
});

describe('a collector that does not do its part', () => {
  test.each([
    ['is not there', undefined],
    ['answers nothing', () => undefined],
  ] as const)('and %s costs no request anything, and holds up the end no longer than it may', async (_what, answer) => {
    collector = answer ? await startTraceCollector(answer) : undefined;
    const gateway = await startTraced(simulator, collector?.url ?? 'http://127.0.0.1:1');
    const browser = gateway.browser();
    expect((await browser.login()).status).toBe(200);
    for (let i = 0; i < 20; i += 1) expect((await browser.fetch(EVENT)).status).toBe(200);
    await until('the log to say so', () => gateway.logText().includes('traces_not_exported'));
    const startedAt = performance.now();
    await gateway.close();
    expect(performance.now() - startedAt).toBeLessThan(8_000);
  });
});

test('the last spans are sent before the gateway ends', async () => {
  collector = await startTraceCollector();
  const gateway = await startTraced(simulator, collector.url, { variables: { OTEL_BSP_SCHEDULE_DELAY: '3600000' } });
  await gateway.browser().login();
  expect(collector.spans()).toEqual([]);
  await gateway.close();
  named(collector.spans(), 'POST bff');
});

test('OpenMetrics has the trace of a request as the exemplar of its time', async () => {
  collector = await startTraceCollector();
  const gateway = await startTraced(simulator, collector.url);
  const browser = gateway.browser();
  await browser.login();
  await browser.fetch(EVENT);
  const request = named(await traceOf(collector, 'GET /delivery'), 'GET /delivery');
  const open = await gateway.metrics('application/openmetrics-text');
  for (const name of ['request_seconds', 'upstream_seconds']) {
    const exemplars = [
      ...open.matchAll(
        /^(\w+)_bucket\{route="\/delivery",le="[^"]+"\} \d+ # (\{trace_id="[0-9a-f]{32}"\}) \d\S* \d+\.?\d*$/gm,
      ),
    ];
    expect(exemplars.map(([, metric, labels]) => [metric, labels])).toContainEqual([
      `finvera_gateway_${name}`,
      `{trace_id="${request.traceId}"}`,
    ]);
  }
  expect(await gateway.metrics()).not.toContain('trace_id');
});
