/** What the tests need of the system: a Redis server, a browser and nginx. Installs what is missing where Debian's or Ubuntu's package manager may be used, else says what to install. */
import { getuid } from 'node:process';
import { type Ended, runProgram } from './run-program.ts';

interface SystemPart {
  /** Commands any of which will do. */
  readonly commands: readonly string[];
  /** What makes them say their version and end with 0. */
  readonly versionFlag: string;
  /** Its name in Debian. */
  readonly debianPackage: string;
  readonly neededFor: string;
}

const PARTS: readonly SystemPart[] = [
  {
    commands: ['redis-server'],
    versionFlag: '--version',
    debianPackage: 'redis-server',
    neededFor: 'the tests of sessions in Redis',
  },
  {
    commands: ['chromium', 'chromium-browser'],
    versionFlag: '--version',
    debianPackage: 'chromium',
    neededFor: 'the tests in a browser',
  },
  {
    // Debian keeps it where only root's PATH leads.
    commands: ['nginx', '/usr/sbin/nginx'],
    versionFlag: '-v',
    debianPackage: 'nginx',
    neededFor: 'the test of the gateway behind nginx',
  },
];

/** The exit code is 0 where nothing is missing any more. */
export async function provideSystemParts(): Promise<Ended> {
  const missing = await missingParts();
  if (missing.length === 0) return { code: 0, output: '' };
  const { output } = await install(missing.map(({ debianPackage }) => debianPackage));
  const stillMissing = await missingParts();
  if (stillMissing.length === 0) return { code: 0, output };
  const wanted = stillMissing.map(
    ({ commands: [command], neededFor, debianPackage }) =>
      `Missing: ${command}, for ${neededFor}. On Debian and Ubuntu: apt-get install ${debianPackage}; ` +
      `elsewhere install it so that the command ${command} is in PATH.\n`,
  );
  return { code: 1, output: output + wanted.join('') };
}

async function missingParts(): Promise<SystemPart[]> {
  const found = await Promise.all(PARTS.map(isThere));
  return PARTS.filter((_, i) => !found[i]);
}

/** Runs it, rather than looking for a file: some distributions ship a command that only says where to get the real one. */
async function isThere({ commands, versionFlag }: SystemPart): Promise<boolean> {
  const ends = await Promise.all(commands.map((command) => runProgram(command, [versionFlag])));
  return ends.some(({ code }) => code === 0);
}

async function install(packages: readonly string[]): Promise<Ended> {
  const become = getuid?.() === 0 ? [] : ['sudo', '-n'];
  const run = (...args: string[]) => {
    const [file = '', ...rest] = [...become, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return runProgram(file, rest);
  };
  const update = await run('update');
  const installed = await run('install', '--yes', '--no-install-recommends', ...packages);
  return { code: installed.code, output: update.output + installed.output };
}
