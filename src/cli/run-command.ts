/** The operator's commands: prints and says the exit code. It starts no gateway: that is for `main.ts`, where no flag is given. */
import { readFileSync } from 'node:fs';
import { type LoadedSettings, loadSettings } from '../config/load.ts';
import { type CommandOptions, DONE, NOT_DONE, NOT_UNDERSTOOD } from './command-options.ts';
import { helpOf, type OperatorCommand } from './operator-commands.ts';
import { auditHelp, type Flag, parseArguments, usage } from './parse-arguments.ts';
import { printSettings } from './print-settings.ts';
import { verifyAudit } from './verify-audit.ts';

/**
 * @param argv what follows `node dist/main.js`.
 * @returns the exit code; undefined where no flag is given and the gateway is to be started.
 */
export async function runCommand(argv: readonly string[], options: CommandOptions): Promise<number | undefined> {
  const parsed = parseArguments(argv);
  if (parsed.kind === 'start') return undefined;
  if (parsed.kind === 'invalid') {
    options.stderr.write(`${parsed.problem}\n\n${helpFor(argv[0], parsed.command)}`);
    return NOT_UNDERSTOOD;
  }
  if (parsed.kind === 'audit-help') {
    options.stdout.write(auditHelp());
    return DONE;
  }
  if (parsed.kind === 'operator-help') {
    options.stdout.write(helpOf(parsed.command));
    return DONE;
  }
  if (parsed.kind === 'operator') {
    // Only now: a gateway that starts has no use for them.
    const { runOperatorCommand } = await import('./run-operator-command.ts');
    return await runOperatorCommand(parsed.arguments, options);
  }
  if (parsed.kind === 'verify-audit') return await verifyAudit(parsed, options);
  return COMMANDS[parsed.flag](options);
}

function helpFor(word: string | undefined, command: OperatorCommand | undefined): string {
  if (command) return helpOf(command);
  return word === 'audit' ? auditHelp() : usage();
}

const COMMANDS: Readonly<Record<Flag, (options: CommandOptions) => number>> = {
  '--check-config': (options) => withSettings(options, () => options.stdout.write('ok\n')),
  '--print-config': (options) => withSettings(options, (loaded) => options.stdout.write(printSettings(loaded))),
  '--version': ({ stdout }) => {
    stdout.write(`${packageVersion()}\n`);
    return DONE;
  },
  '--help': ({ stdout }) => {
    stdout.write(usage());
    return DONE;
  },
};

type ValidSettings = Extract<LoadedSettings, { kind: 'ok' }>;

/** Problems and warnings go to stderr, so that what is asked for stands alone on stdout. */
function withSettings(options: CommandOptions, print: (loaded: ValidSettings) => void): number {
  const loaded = loadSettings(options);
  options.stderr.write(describeFindings(loaded));
  if (loaded.kind === 'invalid') return NOT_DONE;
  print(loaded);
  return DONE;
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
