// A peer of the benchmark: a proxy of `node:http` and undici with a fixed bearer. No session, no policy, no log, no metric.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { ACCESS_TOKEN } from '../job.ts';

const { PORT, UPSTREAM_URL = '' } = process.env;
/** Of this hop only, ours to set, or nothing for the upstream. */
const DROPPED = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host', 'cookie', 'authorization']);

const pool = new Pool(UPSTREAM_URL, { connections: 512, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });

function kept(raw: readonly string[]): string[] {
  const headers: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (!DROPPED.has(name.toLowerCase())) headers.push(name, raw[i + 1] as string);
  }
  return headers;
}

function forward(req: IncomingMessage, res: ServerResponse): void {
  const headers = kept(req.rawHeaders);
  headers.push('Authorization', `Bearer ${ACCESS_TOKEN}`);
  const hasBody = req.headers['content-length'] !== undefined || req.headers['transfer-encoding'] !== undefined;
  const options: Dispatcher.DispatchOptions = {
    path: req.url ?? '/',
    method: (req.method ?? 'GET') as Dispatcher.HttpMethod,
    headers,
    body: hasBody ? req : null,
  };
  pool.dispatch(options, {
    onRequestStart(controller) {
      res.once('close', () => {
        if (!res.writableFinished) controller.abort(new Error('the client left'));
      });
    },
    onResponseStart(controller, status) {
      const raw = (controller.rawHeaders ?? []) as readonly (string | Buffer)[];
      res.writeHead(status, kept(raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')))));
    },
    onResponseData(controller, chunk) {
      if (res.write(chunk)) return;
      controller.pause();
      res.once('drain', () => controller.resume());
    },
    onResponseEnd() {
      res.end();
    },
    onResponseError() {
      if (res.headersSent) res.destroy();
      else res.writeHead(502).end();
    },
  });
}

const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 0 }, forward);
server.listen(Number(PORT), '127.0.0.1');
