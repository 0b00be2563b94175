/** Runs the gateway as a process: settings, listeners, signals and exit codes. */
import { loadSettings, loadTracingPlan } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import { startTracing } from '../observability/start-tracing.ts';
import { describeFindings, packageVersion, runCommand } from './run-command.ts';

const FORCED_EXIT = 130;
/** The reader of the log gets this long for the last lines. */
const LAST_LINES_MS = 1_000;

export async function startProcess(): Promise<void> {
  const { argv, stdout, stderr } = process;
  const exitCode = await runCommand(argv.slice(2), {
    stdout,
    stderr,
    ...(process.stdin.isTTY === true ? { confirm: askTerminal } : {}),
  });
  if (exitCode !== undefined) {
    process.exitCode = exitCode;
    return;
  }
  const loaded = loadSettings();
  stderr.write(describeFindings(loaded));
  if (loaded.kind === 'invalid') {
    process.exitCode = 1;
    return;
  }
  const { settings } = loaded;
  const gateway = await build(settings);
  if (!gateway) return;
  process.on('SIGUSR2', gateway.toggleDebug);
  handleEnds(gateway, settings.shutdownDelay, settings.shutdownTimeout);
  try {
    const { port, managementPort } = await gateway.listen();
    const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
    gateway.log.info(
      {
        event: 'ready',
        address: `http://${host}:${port}`,
        ...(managementPort === undefined
          ? {}
          : { management_address: `http://${settings.managementHost}:${managementPort}` }),
        store: settings.sessionStore,
        finvera: settings.finveraUrl,
        version: packageVersion(),
        node: process.versions.node,
      },
      'ready',
    );
  } catch (error) {
    stderr.write(`finvera-gateway cannot listen: ${error instanceof Error ? error.message : 'unknown reason'}\n`);
    process.exit(1);
  }
}

/** True only for a whole `yes`. */
async function askTerminal(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await lines.question(question)).trim().toLowerCase() === 'yes';
  } catch {
    return false; // Ctrl-C or Ctrl-D
  } finally {
    lines.close();
  }
}

/** Undefined where it cannot be built; why is said. */
async function build(settings: Settings): Promise<Gateway | undefined> {
  try {
    const tracing = await startTracing(loadTracingPlan(), packageVersion());
    return createGateway(settings, { prettyLog: process.stdout.isTTY === true, tracing });
  } catch (error) {
    process.stderr.write(`problem: ${error instanceof Error ? error.message : 'unknown reason'}\n`);
    process.exitCode = 1;
    return undefined;
  }
}

/** SIGTERM and SIGINT: not ready at once, a pause for the balancer, finish, exit 0. A second one: exit now. An uncaught error: exit 1. */
function handleEnds(gateway: Gateway, delayMs: number, timeoutMs: number): void {
  let ending = false;
  const exit = async (code: number): Promise<never> => {
    await gateway.log.finish(LAST_LINES_MS);
    process.exit(code);
  };
  const end = async (code: number, pauseMs: number) => {
    if (ending) return exit(code === 0 ? FORCED_EXIT : code);
    ending = true;
    gateway.beginDrain();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const isWhole = await gateway.close(timeoutMs);
    gateway.log.info({ event: 'stopped', outcome: isWhole ? 'finished' : 'cut' }, 'stopped');
    return exit(code);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      gateway.log.info({ event: 'stopping', signal }, 'stopping');
      void end(0, delayMs);
    });
  }
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      const { message, stack } = error instanceof Error ? error : new Error('a value that is no error was thrown');
      gateway.log.fatal({ event: 'uncaught', error: message, stack }, 'uncaught error');
      void end(1, 0);
    });
  }
}
