import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { planTracing } from '../../../src/config/tracing-plan.ts';
import { startTracing } from '../../../src/observability/start-tracing.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };
const SRC = fileURLToPath(new URL('../../../src/', import.meta.url));

describe('planTracing', () => {
  test.each([
    [{}, 'off'],
    [{ OTEL_SERVICE_NAME: 'x' }, 'off'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, 'off'],
    [{ OTEL_TRACES_EXPORTER: 'none' }, 'off'],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }, 'off'],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'True' }, 'off'],
    [ENDPOINT, 'on'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' }, 'on'],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'on'],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_SDK_DISABLED: 'false' }, 'on'],
    [{ OTEL_TRACES_EXPORTER: 'console' }, 'refused'],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'refused'],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' }, 'refused'],
  ])('with %j is %s', (env, kind) => {
    expect(planTracing(env).kind).toBe(kind);
  });
});

describe('startTracing', () => {
  test('gives nothing where tracing is off', async () => {
    expect(await startTracing({ kind: 'off' }, '1')).toBeUndefined();
  });

  test('says in one sentence what it does not have', async () => {
    await expect(startTracing(planTracing({ OTEL_TRACES_EXPORTER: 'zipkin' }), '1')).rejects.toThrow(
      'OTEL_TRACES_EXPORTER must be otlp or none',
    );
  });

  test('is the one way to OpenTelemetry: nothing of it is loaded where tracing is off', () => {
    const importing = (what: RegExp) =>
      globSync('**/*.ts', { cwd: SRC }).filter((file) => what.test(readFileSync(SRC + file, 'utf8')));
    expect(importing(/from '@opentelemetry\//)).toEqual(['observability/otel-tracing.ts']);
    expect(importing(/from '[^']*otel-tracing\.ts'/)).toEqual([]);
    expect(importing(/import\('[^']*otel-tracing\.ts'\)/)).toEqual(['observability/start-tracing.ts']);
  });
});
