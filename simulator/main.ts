// The simulator as a process: starts it, prints its address, ends on a signal. Everything else is `createSimulator`'s.
import { readCommandLine, usage } from './command-line.ts';
import type { SimulatorOptions } from './settings.ts';
import { createSimulator } from './simulator.ts';

async function start(options: SimulatorOptions): Promise<void> {
  const simulator = await createSimulator(options);
  console.log(`Finvera simulator at ${simulator.url}`);
  const end = () => {
    // By then nothing is open any more; exiting still makes the status certain.
    void simulator.close().then(() => process.exit(0));
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
}

const command = readCommandLine(process.argv.slice(2));
if (command.kind === 'help') {
  console.log(usage());
} else if (command.kind === 'mistake') {
  console.error(`${command.message}\n\n${usage()}`);
  process.exitCode = 2;
} else {
  try {
    await start(command.options);
  } catch (error) {
    console.error(`The simulator cannot start: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
