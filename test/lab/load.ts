// Sends many requests at once over keep-alive connections and counts what came back.
import { Agent, type Dispatcher } from 'undici';

export interface LabAnswer {
  /** 0: no answer came (refused, reset). */
  readonly status: number;
  readonly code: string | undefined;
  readonly setCookie: string | undefined;
  readonly ms: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly error?: string;
}

export interface LabClient {
  get(url: string, cookie: string): Promise<LabAnswer>;
  post(url: string, cookie?: string, body?: unknown): Promise<LabAnswer>;
  close(): Promise<void>;
}

export function createLabClient(connections = 300): LabClient {
  const agent = new Agent({ connections, pipelining: 1, headersTimeout: 60_000, keepAliveTimeout: 30_000 });
  const send = async (url: string, options: Partial<Dispatcher.RequestOptions>): Promise<LabAnswer> => {
    const startedAt = performance.now();
    const { origin, pathname, search } = new URL(url);
    try {
      const response = await agent.request({ origin, path: pathname + search, method: 'GET', ...options });
      const text = await response.body.text();
      const isProblem = String(response.headers['content-type']).includes('problem+json');
      const setCookie = response.headers['set-cookie'];
      return {
        status: response.statusCode,
        code: isProblem ? (JSON.parse(text) as { code: string }).code : undefined,
        setCookie: Array.isArray(setCookie) ? setCookie[0] : setCookie,
        ms: performance.now() - startedAt,
        text,
        headers: response.headers,
      };
    } catch (error) {
      const { code = '', message } = error as Error & { code?: string };
      return {
        status: 0,
        code: undefined,
        setCookie: undefined,
        ms: performance.now() - startedAt,
        text: '',
        headers: {},
        error: `${code} ${message}`,
      };
    }
  };
  const provenance = { 'sec-fetch-site': 'same-origin' };
  return {
    get: (url, cookie) => send(url, { headers: { ...provenance, cookie } }),
    post: (url, cookie, body) =>
      send(url, {
        method: 'POST',
        headers: { ...provenance, ...(cookie ? { cookie } : {}), 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
      }),
    close: () => agent.destroy(),
  };
}

/** Logs in and returns the cookie pair. @throws where the login is not accepted. */
export async function logIn(client: LabClient, url: string, email = 'demo@finvera.test'): Promise<string> {
  const answer = await client.post(`${url}/bff/login`, undefined, { email, password: 'demo-password' });
  if (answer.status !== 200 || !answer.setCookie)
    throw new Error(`login answered ${answer.status} ${answer.code ?? ''}`);
  return answer.setCookie.split(';')[0] ?? '';
}

/** `{ "200": 998, "503 store_unavailable": 2 }` */
export function tally(answers: readonly LabAnswer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, code, error } of answers) {
    const key = [status, code ?? (status === 0 ? error : undefined)].filter((part) => part !== undefined).join(' ');
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** Runs `work` for each item, at most `width` at a time. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
