/** The management listener: metrics and health, for those who run the gateway. Never on the public port. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Metrics } from './metrics.ts';

interface HealthAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface ManagementParts {
  readonly metrics: Metrics;
  readonly health: { live(): HealthAnswer; ready(): Promise<HealthAnswer> };
  readonly healthPaths: readonly string[];
}

export function createManagementHandler({ metrics, health, healthPaths }: ManagementParts) {
  return async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const path = (req.url ?? '').split('?')[0] ?? '';
    const isKnown = path === '/metrics' || healthPaths.includes(path);
    if (!isKnown) return send(res, 404, 'text/plain; charset=utf-8', 'There is nothing at this path.\n');
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('Allow', 'GET, HEAD');
      return send(res, 405, 'text/plain; charset=utf-8', 'This path does not take this method.\n');
    }
    if (path === '/metrics') {
      const isOpen = req.headers.accept?.includes('application/openmetrics-text') ?? false;
      if (isOpen) return send(res, 200, metrics.openMetricsType, await metrics.openMetrics());
      return send(res, 200, metrics.contentType, await metrics.text());
    }
    const { status, body } = path === '/health/live' ? health.live() : await health.ready();
    send(res, status, 'application/json; charset=utf-8', JSON.stringify(body));
  };
}

function send(res: ServerResponse, status: number, type: string, body: string): void {
  res.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
  res.end(body);
}
