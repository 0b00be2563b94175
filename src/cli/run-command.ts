/** The operator's commands: prints and says the exit code. It starts no gateway: that is for `main.ts`, where no flag is given. */
import { readFileSync } from 'node:fs';
import { type LoadedSettings, type LoadOptions, loadSettings } from '../config/load.ts';
import { type Flag, parseArguments, usage } from './parse-arguments.ts';
import { printSettings } from './print-settings.ts';
import { verifyAudit } from './verify-audit.ts';

export interface CommandOptions extends LoadOptions {
  readonly stdout: Output;
  readonly stderr: Output;
}

/** As much of a stream as a command needs. */
export interface Output {
  write(text: string): unknown;
}

const INVALID_SETTINGS = 1;
const INVALID_USAGE = 2;

/**
 * @param argv what follows `node dist/main.js`.
 * @returns the exit code; undefined where no flag is given and the gateway is to be started.
 */
export async function runCommand(argv: readonly string[], options: CommandOptions): Promise<number | undefined> {
  const parsed = parseArguments(argv);
  if (parsed.kind === 'start') return undefined;
  if (parsed.kind === 'invalid') {
    options.stderr.write(`${parsed.problem}\n\n${usage()}`);
    return INVALID_USAGE;
  }
  if (parsed.kind === 'verify-audit') return await verifyAudit(parsed, options);
  return COMMANDS[parsed.flag](options);
}

const COMMANDS: Readonly<Record<Flag, (options: CommandOptions) => number>> = {
  '--check-config': (options) => withSettings(options, () => options.stdout.write('ok\n')),
  '--print-config': (options) => withSettings(options, (loaded) => options.stdout.write(printSettings(loaded))),
  '--version': ({ stdout }) => {
    stdout.write(`${packageVersion()}\n`);
    return 0;
  },
  '--help': ({ stdout }) => {
    stdout.write(usage());
    return 0;
  },
};

type ValidSettings = Extract<LoadedSettings, { kind: 'ok' }>;

/** Problems and warnings go to stderr, so that what is asked for stands alone on stdout. */
function withSettings(options: CommandOptions, print: (loaded: ValidSettings) => void): number {
  const loaded = loadSettings(options);
  options.stderr.write(describeFindings(loaded));
  if (loaded.kind === 'invalid') return INVALID_SETTINGS;
  print(loaded);
  return 0;
}

/** One line for each problem and warning; also what a start that fails prints. */
export function describeFindings(loaded: LoadedSettings): string {
  const problems = loaded.kind === 'invalid' ? loaded.problems.map((each) => `problem: ${each}\n`) : [];
  return [...problems, ...loaded.warnings.map((each) => `warning: ${each}\n`)].join('');
}

/** The same from `src/cli` and from `dist/cli`. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
