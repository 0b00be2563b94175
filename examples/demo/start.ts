// The demo of `npm run demo`: a simulated Finvera, the gateway in front of it, and a page that uses both, or (`--dashboard`) a whole application. Needs dist/.
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { type Dashboard, isControlCall, startDashboard } from './dashboard.ts';
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts';
import { type LogLine, logSentence } from './log-sentence.ts';
import { CannotStart, type DemoPorts, findPorts } from './ports.ts';

/** Short, so that a visitor sees tokens being renewed. Finvera's live an hour. */
const ACCESS_TOKEN_LIFE_S = 120;
/** For each symbol, as fast as an eye can follow. */
const QUOTES_PER_SECOND = 2;
const PARENT_CHECK_MS = 500;

const running: { simulator?: Simulator; dashboard?: Dashboard; gateway?: GatewayProcess } = {};
let ending: Promise<void> | undefined;

/** Ends the children, then this process. A second signal changes nothing: npm passes on what the terminal sent already. */
function end(exitCode: number, sentence?: string): Promise<void> {
  ending ??= (async () => {
    if (sentence) console.error(sentence);
    await running.gateway?.stop();
    await running.dashboard?.close();
    await running.simulator?.close();
    process.exit(exitCode);
  })();
  return ending;
}

async function start(): Promise<void> {
  const ports = await findPorts(process.env);
  const apiKey = `sk_demo_${randomBytes(16).toString('base64url')}`;
  const simulator = await createSimulator({
    port: ports.finvera,
    accessTokenLifeS: ACCESS_TOKEN_LIFE_S,
    apiKey,
    quoteRate: QUOTES_PER_SECOND,
  });
  running.simulator = simulator;
  if (ending) return void (await simulator.close());
  const dashboard = await provideDashboard(simulator);
  if (dashboard) running.dashboard = dashboard;
  if (ending) return void (await dashboard?.close());
  const own = dashboard?.settings ?? pageSettings(apiKey);
  const gateway = startGatewayProcess({ ...settingsOf(ports, simulator.url), ...own }, printLine);
  running.gateway = gateway;
  await gateway.ready;
  void gateway.ended.then((how) => end(1, `The gateway ended (${how}), and so does the demo.`));
  console.log(
    [
      '',
      `  The demo is at   http://localhost:${ports.page}/`,
      '  Log in with      demo@finvera.test / demo-password',
      '',
      `  Simulated Finvera at ${simulator.url}, metrics at http://127.0.0.1:${ports.management}/metrics.`,
      '  Ctrl-C ends all of it. Below: what the gateway does.',
      '',
    ].join('\n'),
  );
}

/** The whole application in place of the plain page, where it was asked for. */
async function provideDashboard(simulator: Simulator): Promise<Dashboard | undefined> {
  if (!process.argv.includes('--dashboard')) return undefined;
  console.log('  Building the dashboard, the first time with its packages …');
  const dashboard = await startDashboard(simulator);
  if (!dashboard.hasRedis) console.log('  redis-server is not installed: sessions are kept in memory.');
  return dashboard;
}

/** The plain page shows a shared upstream connection and shared answers. */
function pageSettings(apiKey: string): Readonly<Record<string, string>> {
  return {
    GATEWAY_CONFIG: fileURLToPath(new URL('./gateway.yaml', import.meta.url)),
    FINVERA_API_KEY: apiKey,
    FRONTEND: fileURLToPath(new URL('./public', import.meta.url)),
  };
}

function settingsOf(ports: DemoPorts, finveraUrl: string): Readonly<Record<string, string>> {
  return {
    HOST: '127.0.0.1',
    PORT: String(ports.page),
    MANAGEMENT_PORT: String(ports.management),
    PUBLIC_URL: `http://localhost:${ports.page}`,
    FINVERA_URL: finveraUrl,
    SESSION_STORE: 'memory',
    SESSION_KEYS: `demo:${randomBytes(32).toString('base64url')}`,
    // Safari takes no Secure cookie from http://localhost.
    COOKIE_SECURE: 'false',
    SHUTDOWN_DELAY: '0s',
    SHUTDOWN_TIMEOUT: '2s',
  };
}

function printLine(line: LogLine): void {
  if (isControlCall(line)) return;
  running.dashboard?.noteLog(line);
  console.log(`  ${logSentence(line)}`);
}

/** npm passes SIGTERM to the shell it started, which dies of it without telling anyone; this process then has another parent. */
function endWithNpm(): void {
  if (process.env.npm_lifecycle_event !== 'demo') return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) void end(0);
  }, PARENT_CHECK_MS).unref();
}

endWithNpm();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(0));

try {
  await start();
} catch (error) {
  if (!ending) await end(1, error instanceof CannotStart ? error.message : `The demo cannot start: ${error}`);
}
