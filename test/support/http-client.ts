// A plain HTTP client: one connection per call, nothing followed, retried or hidden.
import { request } from 'node:http';

/** An answer as it came. */
export interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly setCookies: readonly string[];
  readonly body: Buffer;
  readonly text: string;
}

/** What to send. */
export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

/** Sends one request; rejects where no whole answer came. */
export function call(url: string, options: CallOptions = {}): Promise<Reply> {
  const { method = 'GET', headers = {}, body, signal } = options;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false, ...(signal ? { signal } : {}) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const whole = Buffer.concat(chunks);
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          setCookies: response.headers['set-cookie'] ?? [],
          body: whole,
          text: whole.toString('utf8'),
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The parsed JSON body of a reply. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
export function json(reply: Reply): any {
  return JSON.parse(reply.text);
}

/** The value of a cookie that a reply sets. */
export function cookieIn(reply: Reply, name: string): string | undefined {
  const found = reply.setCookies.find((cookie) => cookie.startsWith(`${name}=`));
  return found?.slice(name.length + 1).split(';', 1)[0];
}
