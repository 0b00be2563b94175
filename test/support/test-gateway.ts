// A gateway in this process on ports of its own, with its log at hand, and a browser-like caller that keeps the cookie.
import { Writable } from 'node:stream';
import type { Simulator } from '../../simulator/simulator.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';
import { createGateway, type Gateway } from '../../src/gateway.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import type { Tracing } from '../../src/observability/tracing.ts';
import { type CallOptions, call, type Reply } from './http-client.ts';
import { freePort } from './redis-server.ts';

export { createTestClock, type TestClock } from './test-clock.ts';

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly managementUrl: string;
  readonly settings: Settings;
  readonly gateway: Gateway;
  /** Every log line so far, parsed. */
  logLines(): Record<string, unknown>[];
  logText(): string;
  /** Every line of the audit trail so far, parsed, without those of the chain itself. */
  auditLines(): Record<string, unknown>[];
  auditText(): string;
  /** @param accept a media type. Default: Prometheus' own. */
  metrics(accept?: string): Promise<string>;
  browser(): Browser;
  close(): Promise<void>;
}

/** Calls with the cookie it was given, as a page of the gateway's own origin. */
export interface Browser {
  /** `name=value`, or undefined. */
  cookie: string | undefined;
  /** The lines of the last answer. */
  fetch(path: string, options?: CallOptions): Promise<Reply>;
  login(email?: string, password?: string): Promise<Reply>;
}

export interface TestGatewayOptions {
  /** Environment variables, as a user would set them. */
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Changes that no variable can make, such as routes. */
  readonly settings?: Partial<Settings>;
  readonly tracing?: Tracing;
}

const running = new Set<TestGateway>();

/** For `afterEach`: ends every gateway that was started. */
export async function closeGateways(): Promise<void> {
  await Promise.all([...running].map((gateway) => gateway.close()));
}

/** COOKIE_SECURE is true by default as in production: the cookie is `__Host-finvera_session`. */
export async function startGateway(
  finvera: Simulator | string,
  options: TestGatewayOptions = {},
): Promise<TestGateway> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(finvera, options);
    } catch (error) {
      // Another test took the management port in between.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === 3) throw error;
    }
  }
}

async function startOnce(
  finvera: Simulator | string,
  { env = {}, clock, settings: changes = {}, tracing }: TestGatewayOptions,
): Promise<TestGateway> {
  const loaded = loadSettings({
    env: {
      FINVERA_URL: typeof finvera === 'string' ? finvera : finvera.url,
      PORT: '0',
      MANAGEMENT_PORT: String(await freePort()),
      HOST: '127.0.0.1',
      LOG_LEVEL: 'trace',
      ...env,
    },
  });
  if (loaded.kind === 'invalid') throw new Error(loaded.problems.join('\n'));
  const settings: Settings = { ...loaded.settings, ...changes };
  const log = createTextSink();
  const audit = createTextSink();
  const gateway = createGateway(settings, {
    logDestination: log.stream,
    auditDestination: audit.stream,
    ...(clock ? { clock } : {}),
    tracing,
  });
  const { port, managementPort } = await gateway.listen().catch(async (error: unknown) => {
    await gateway.close(0);
    throw error;
  });
  const url = `http://127.0.0.1:${port}`;
  const managementUrl = `http://127.0.0.1:${managementPort}`;
  const started: TestGateway = {
    url,
    port,
    managementUrl,
    settings,
    gateway,
    logText: log.text,
    logLines: () => parseLines(log.text()),
    auditText: audit.text,
    auditLines: () => parseLines(audit.text()).filter(({ event }) => !CHAIN_EVENTS.includes(String(event))),
    metrics: async (accept = 'text/plain') =>
      (await call(`${managementUrl}/metrics`, { headers: { Accept: accept } })).text,
    browser: () => createBrowser(url),
    async close() {
      running.delete(started);
      await gateway.close(1_000);
    },
  };
  running.add(started);
  return started;
}

const CHAIN_EVENTS: readonly string[] = ['audit_started', 'checkpoint', 'audit_stopped'];

/** Keeps what is written to it. */
function createTextSink() {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream, text: () => text };
}

function parseLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

export function createBrowser(url: string): Browser {
  const browser: Browser = {
    cookie: undefined,
    async fetch(path, options = {}) {
      const reply = await call(url + path, {
        ...options,
        headers: {
          'Sec-Fetch-Site': 'same-origin',
          ...(browser.cookie ? { Cookie: browser.cookie } : {}),
          ...options.headers,
        },
      });
      for (const line of reply.setCookies) {
        const pair = line.split(';')[0] ?? '';
        browser.cookie = pair.endsWith('=') ? undefined : pair;
      }
      return reply;
    },
    login: (email = 'demo@finvera.test', password = 'demo-password') =>
      browser.fetch('/bff/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email, password }),
      }),
  };
  return browser;
}
