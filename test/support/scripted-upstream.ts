// A Finvera whose data answers a test writes down, one handler for all of them; logins go to a real simulator behind it.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { SimulatorOptions } from '../../simulator/settings.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';

export interface DataRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
}

export interface ScriptedAnswer {
  readonly status?: number;
  /** Names and values in turn. */
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

export type Script = (
  request: DataRequest,
  count: number,
  response: ServerResponse,
) => ScriptedAnswer | Promise<ScriptedAnswer | undefined> | undefined;

export interface ScriptedUpstream {
  readonly url: string;
  readonly simulator: Simulator;
  /** The data requests so far. */
  readonly requests: DataRequest[];
  /** From now on answers so. What returns undefined writes to the response itself. */
  script(script: Script): void;
  close(): Promise<void>;
}

/** Paths under /kms are the simulator's. */
export async function startScriptedUpstream(options: SimulatorOptions = {}): Promise<ScriptedUpstream> {
  const simulator = await createSimulator({ rateLimit: 'off', ...options });
  const requests: DataRequest[] = [];
  let script: Script = () => ({});
  const server = createServer((req, res) => {
    if (req.url?.startsWith('/kms')) return pipeTo(simulator.url, req, res);
    void answer(req, res);
  });
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const { method = '', url = '', headers, rawHeaders } = req;
    const seen = { method, url, headers, rawHeaders };
    requests.push(seen);
    req.resume();
    const scripted = await script(seen, requests.length, res);
    if (!scripted) return;
    const body = Buffer.from(scripted.body ?? `answer ${requests.length}`);
    const hasNoBody = scripted.status === 304 || scripted.status === 204;
    res.writeHead(scripted.status ?? 200, [
      ...(scripted.headers ?? []),
      ...(hasNoBody ? [] : ['Content-Length', String(body.byteLength)]),
    ]);
    res.end(hasNoBody || method === 'HEAD' ? undefined : body);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    simulator,
    requests,
    script(next) {
      script = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await simulator.close();
    },
  };
}

function pipeTo(url: string, req: IncomingMessage, res: ServerResponse): void {
  const sent = request(url + req.url, { method: req.method, headers: req.headers, agent: false }, (reply) => {
    res.writeHead(reply.statusCode ?? 502, reply.rawHeaders);
    reply.pipe(res);
  });
  sent.on('error', () => res.destroy());
  req.pipe(sent);
}
