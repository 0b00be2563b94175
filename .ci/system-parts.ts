/** What the tests need of the system: a Redis server, a browser, nginx and promtool. Gets what is missing where Debian's or Ubuntu's package manager may be used, else says what to install. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { PROMETHEUS_FOLDER, placesOf } from './prometheus.ts';
import { type Ended, runProgram } from './run-program.ts';

interface SystemPart {
  /** Commands any of which will do. */
  readonly commands: readonly string[];
  /** What makes them say their version and end with 0. */
  readonly versionFlag: string;
  /** Its name in Debian. */
  readonly debianPackage: string;
  readonly neededFor: string;
  /** The folder its package is only unpacked into; without one it is installed. */
  readonly unpackedInto?: string;
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
  {
    commands: placesOf('promtool'),
    versionFlag: '--version',
    debianPackage: 'prometheus',
    neededFor: 'the test of the alerts',
    unpackedInto: PROMETHEUS_FOLDER,
  },
];

/** The exit code is 0 where nothing is missing any more. */
export async function provideSystemParts(): Promise<Ended> {
  const missing = await missingParts();
  if (missing.length === 0) return { code: 0, output: '' };
  const output = await provide(missing);
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

async function provide(parts: readonly SystemPart[]): Promise<string> {
  const become = getuid?.() === 0 ? [] : ['sudo', '-n'];
  const asRoot = (...args: string[]) => {
    const [file = '', ...rest] = [...become, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
    return runProgram(file, rest);
  };
  const ends = [await asRoot('update')];
  const installed = parts.filter(({ unpackedInto }) => !unpackedInto).map(({ debianPackage }) => debianPackage);
  if (installed.length > 0) ends.push(await asRoot('install', '--yes', '--no-install-recommends', ...installed));
  for (const { debianPackage, unpackedInto } of parts) {
    if (unpackedInto) ends.push(...(await unpack(debianPackage, unpackedInto)));
  }
  return ends.map(({ output }) => output).join('');
}

/** Nothing of it is started or configured, and no rights are needed. */
async function unpack(debianPackage: string, folder: string): Promise<Ended[]> {
  mkdirSync(folder, { recursive: true });
  const downloaded = await runProgram('apt-get', ['download', debianPackage], { cwd: folder });
  const archives = readdirSync(folder).filter((name) => name.endsWith('.deb'));
  const unpacked = archives.map((archive) => runProgram('dpkg-deb', ['--extract', join(folder, archive), folder]));
  return [downloaded, ...(await Promise.all(unpacked))];
}
