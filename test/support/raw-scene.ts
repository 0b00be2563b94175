// A gateway between bytes on both sides: a raw upstream behind it, and requests written on sockets before it.
import { openRaw, type ParsedAnswer, parseAnswers, type RawConnection } from './raw-http.ts';
import { type RawUpstream, startRawUpstream } from './raw-upstream.ts';
import { type Browser, startGateway, type TestGateway, type TestGatewayOptions } from './test-gateway.ts';
import { until } from './until.ts';

export interface RawScene {
  readonly upstream: RawUpstream;
  readonly gateway: TestGateway;
  readonly browser: Browser;
  /** The header lines of the logged-in page. */
  readonly lines: readonly string[];
  /** Logs another user in and gives the header lines of that page. */
  loginAs(email: string): Promise<string[]>;
  /** A request that leaves the connection open, as keep-alive clients do. */
  request(method: string, target: string, lines?: readonly string[], body?: string): string;
  open(): Promise<RawConnection>;
  /** Sends the bytes on a connection of their own and waits for this many final answers, or for the end of it. */
  exchange(bytes: string | Buffer, answers?: number): Promise<Exchanged>;
  close(): Promise<void>;
}

export interface Exchanged {
  /** In their order; 1xx included. */
  readonly answers: readonly ParsedAnswer[];
  readonly statuses: readonly number[];
  readonly closed: boolean;
  readonly text: string;
}

export async function startRawScene(options: TestGatewayOptions = {}): Promise<RawScene> {
  const upstream = await startRawUpstream();
  const gateway = await startGateway(upstream.url, options);
  const open = new Set<RawConnection>();
  const pageOf = async (page: Browser, email?: string): Promise<string[]> => {
    const { status } = await page.login(email);
    if (status !== 200) throw new Error(`the login answers ${status}`);
    return [`Cookie: ${page.cookie}`, 'Sec-Fetch-Site: same-origin'];
  };
  const browser = gateway.browser();
  const lines = await pageOf(browser);
  const scene: RawScene = {
    upstream,
    gateway,
    browser,
    lines,
    loginAs: (email) => pageOf(gateway.browser(), email),
    request: (method, target, more = [], body = '') =>
      [`${method} ${target} HTTP/1.1`, 'Host: 127.0.0.1', ...lines, ...more, '', body].join('\r\n'),
    async open() {
      const connection = await openRaw(gateway.port);
      connection.socket.on('error', () => undefined);
      open.add(connection);
      return connection;
    },
    async exchange(bytes, count = 1) {
      const connection = await scene.open();
      const toHead = String(bytes).startsWith('HEAD ') ? [0] : [];
      const answers = () => parseAnswers(connection.received(), toHead);
      const isDone = () => {
        try {
          const final = answers().filter(({ status, whole }) => status >= 200 && whole);
          // One that says so must close.
          return final.length >= count && !final.some(({ values }) => values('connection').includes('close'));
        } catch {
          return false; // half a head so far
        }
      };
      connection.socket.write(bytes);
      await until('the answer or the end', () => connection.isClosed() || isDone());
      const exchanged = {
        answers: answers(),
        statuses: answers().map(({ status }) => status),
        closed: connection.isClosed(),
        text: connection.received(),
      };
      connection.socket.destroy();
      return exchanged;
    },
    async close() {
      for (const { socket } of open) socket.destroy();
      await gateway.close();
      await upstream.close();
    },
  };
  return scene;
}
