/** Runs the gateway as a process: settings, listeners, signals and exit codes. */
import { loadSettings } from '../config/load.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import { describeFindings, packageVersion, runCommand } from './run-command.ts';

const FORCED_EXIT = 130;

export async function startProcess(): Promise<void> {
  const { argv, stdout, stderr } = process;
  const exitCode = await runCommand(argv.slice(2), { stdout, stderr });
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
  const gateway = createGateway(settings, { prettyLog: stdout.isTTY === true });
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

/** SIGTERM and SIGINT: not ready at once, a pause for the balancer, finish, exit 0. A second one: exit now. An uncaught error: exit 1. */
function handleEnds(gateway: Gateway, delayMs: number, timeoutMs: number): void {
  let ending = false;
  const end = async (code: number, pauseMs: number) => {
    if (ending) process.exit(code === 0 ? FORCED_EXIT : code);
    ending = true;
    gateway.beginDrain();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const isWhole = await gateway.close(timeoutMs);
    gateway.log.info({ event: 'stopped', outcome: isWhole ? 'finished' : 'cut' }, 'stopped');
    process.exit(code);
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
