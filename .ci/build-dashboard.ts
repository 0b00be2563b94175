/** Builds `examples/dashboard`, with its own packages, into its `dist/`. Started as a program it builds anew, packages too: from the lock file alone. */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../examples/dashboard', import.meta.url));
const CLIENT_SOURCES = fileURLToPath(new URL('../src/client', import.meta.url));
/** What npm tells its scripts about the package above is no matter of this one's. */
const NOT_INHERITED = /^npm_(?:package|lifecycle)_|^npm_config_local_prefix$|^INIT_CWD$|^NODE_ENV$/;
const LIMIT_MS = 300_000;

/**
 * Does what is missing or older than its sources.
 * @returns the folder with index.html.
 * @throws with what npm printed, where it does not build.
 */
export function buildDashboardIfStale(): string {
  const built = join(FOLDER, 'dist');
  if (madeAt(join(FOLDER, 'node_modules/.package-lock.json')) < madeAt(join(FOLDER, 'package-lock.json'))) {
    runNpm('ci', '--no-audit', '--no-fund');
  }
  if (madeAt(join(built, 'index.html')) < newestSource()) runNpm('run', 'build');
  return built;
}

function newestSource(): number {
  const beside = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.isFile());
  const below = [join(FOLDER, 'src'), join(FOLDER, 'public'), CLIENT_SOURCES].flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
  );
  return Math.max(...[...beside, ...below].map((file) => madeAt(join(file.parentPath, file.name))));
}

const madeAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function runNpm(...args: readonly string[]): void {
  // The npm that runs this, where one does; it is a file for Node then.
  const cli = process.env.npm_execpath;
  const [file, ...before] = cli?.endsWith('.js') ? [process.execPath, cli] : ['npm'];
  const inherited = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name));
  const { status, stdout, stderr, error } = spawnSync(file as string, [...before, ...args], {
    cwd: FOLDER,
    env: Object.fromEntries(inherited),
    encoding: 'utf8',
    timeout: LIMIT_MS,
  });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} in ${FOLDER} failed.\n${stdout}${stderr}`, { cause: error });
}

if (import.meta.main) {
  rmSync(join(FOLDER, 'node_modules'), { recursive: true, force: true });
  rmSync(join(FOLDER, 'dist'), { recursive: true, force: true });
  buildDashboardIfStale();
}
