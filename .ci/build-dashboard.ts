/** Builds `examples/dashboard`, with its own packages, into its `dist/`. Started as a program it builds anew, packages too: from the lock file alone. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../examples/dashboard', import.meta.url));
const CLIENT_SOURCES = fileURLToPath(new URL('../src/client', import.meta.url));
/** What npm tells its scripts about the package above is no matter of this one's. */
const NOT_INHERITED = /^npm_(?:package|lifecycle)_|^npm_config_local_prefix$|^INIT_CWD$|^NODE_ENV$/;
const LIMIT_MS = 300_000;
const LOCK_POLL_MS = 200;

/**
 * Does what is missing or older than its sources.
 * @returns the folder with index.html.
 * @throws with what npm printed, where it does not build.
 */
export function buildDashboardIfStale(): string {
  const built = join(FOLDER, 'dist');
  const isInstalled = () =>
    madeAt(join(FOLDER, 'node_modules/.package-lock.json')) >= madeAt(join(FOLDER, 'package-lock.json'));
  const isBuilt = () => madeAt(join(built, 'index.html')) >= newestSource();
  if (isInstalled() && isBuilt()) return built;
  oneAtATime(() => {
    if (!isInstalled()) runNpm('ci', '--no-audit', '--no-fund');
    if (!isBuilt()) runNpm('run', 'build');
  });
  return built;
}

/** Several test files may want it at the same moment. */
function oneAtATime(work: () => void): void {
  const lock = join(FOLDER, '.dist-building');
  const still = new Int32Array(new SharedArrayBuffer(4));
  while (!mkdirIfAbsent(lock)) {
    // Whoever holds it longer than its programs may take has died.
    if (Date.now() - madeAt(lock) > 2 * LIMIT_MS) rmSync(lock, { recursive: true, force: true });
    Atomics.wait(still, 0, 0, LOCK_POLL_MS);
  }
  try {
    work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function mkdirIfAbsent(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
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
