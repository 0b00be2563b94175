/** Reads the command line of `node dist/main.js`. Pure: it runs nothing and prints nothing. */
import { suggestion } from '../config/near-miss.ts';
import { commandSummary, OPERATOR_COMMAND_NAMES } from './operator-commands.ts';
import { beginsOperatorCommand, type OperatorParsing, parseOperatorCommand } from './parse-operator-command.ts';

/** Every flag, in the order of the usage. */
export const FLAGS = {
  '--check-config': 'check the settings, print every problem, start nothing (exit 1 where there are any)',
  '--print-config': 'print the settings in force and where each is from, secrets redacted',
  '--version': 'print the version',
  '--help': 'print this',
} as const;

export type Flag = keyof typeof FLAGS;

export type Arguments =
  | { readonly kind: 'start' }
  | { readonly kind: 'command'; readonly flag: Flag }
  | { readonly kind: 'audit-help' }
  | { readonly kind: 'verify-audit'; readonly files: readonly string[]; readonly checkpoints: readonly Checkpoint[] }
  | OperatorParsing;

const COMMANDS: readonly string[] = [...OPERATOR_COMMAND_NAMES, 'audit verify'];

/** A line of the audit trail that was written down elsewhere. */
export interface Checkpoint {
  readonly seq: number;
  readonly mac: string;
}

/** @param argv what follows `node dist/main.js`. One flag at most, or a command. */
export function parseArguments(argv: readonly string[]): Arguments {
  if (argv[0] === 'audit') return parseAudit(argv.slice(1));
  if (beginsOperatorCommand(argv)) {
    const parsed = parseOperatorCommand(argv);
    // `sessions --help`: no command of its own, and no mistake.
    const isGroup = parsed.kind === 'invalid' && parsed.command === undefined;
    return isGroup && (argv[1] === '--help' || argv[1] === '-h') ? { kind: 'command', flag: '--help' } : parsed;
  }
  const unknown = argv.find((argument) => !isFlag(argument) && argument !== '-h');
  if (unknown !== undefined) {
    // What follows `=`, or stands there bare, may be a secret that was meant for a variable: it is not repeated.
    const name = unknown.startsWith('-') ? unknown.replace(/=.*/s, '') : undefined;
    if (name === undefined) {
      const words = argv.filter((argument) => !argument.startsWith('-')).slice(0, 2);
      return { kind: 'invalid', problem: `there is no such command.${suggestion(words.join(' '), COMMANDS)}` };
    }
    return { kind: 'invalid', problem: `unknown flag ${name}.${suggestion(name, Object.keys(FLAGS))}` };
  }
  const [first, ...more] = argv;
  if (first === undefined) return { kind: 'start' };
  if (more.length > 0) return { kind: 'invalid', problem: 'one flag at a time, please.' };
  return { kind: 'command', flag: isFlag(first) ? first : '--help' };
}

function parseAudit([command, ...rest]: readonly string[]): Arguments {
  if ([command, ...rest].some((argument) => argument === '--help' || argument === '-h')) return { kind: 'audit-help' };
  if (command !== 'verify') return { kind: 'invalid', problem: 'audit has one command: verify.' };
  const files: string[] = [];
  const checkpoints: Checkpoint[] = [];
  for (let i = 0; i < rest.length; i += 1) {
    const argument = rest[i] ?? '';
    if (argument !== '--checkpoint' && argument.startsWith('-')) {
      return { kind: 'invalid', problem: 'audit verify knows one flag: --checkpoint SEQ:MAC.' };
    }
    if (argument !== '--checkpoint') {
      files.push(argument);
      continue;
    }
    i += 1;
    const [, seq, mac] = /^(\d{1,15}):([A-Za-z0-9_-]{43})$/.exec(rest[i] ?? '') ?? [];
    if (mac === undefined) return { kind: 'invalid', problem: '--checkpoint is SEQ:MAC, as the log holds them.' };
    checkpoints.push({ seq: Number(seq), mac });
  }
  if (files.length === 0) return { kind: 'invalid', problem: 'audit verify needs a file.' };
  return { kind: 'verify-audit', files, checkpoints };
}

function isFlag(argument: string): argument is Flag {
  return Object.hasOwn(FLAGS, argument);
}

export function auditHelp(): string {
  return [
    'Usage: node dist/main.js audit verify FILE… [--checkpoint SEQ:MAC]…',
    '',
    'Reads audit files, oldest first, and names every line that is missing, changed or moved.',
    '',
    '  --checkpoint SEQ:MAC  a line that must be there, as audit_checkpoint in the log says it',
    '',
    'Examples:',
    '  SESSION_KEYS_FILE=keys node dist/main.js audit verify audit.log.1 audit.log',
    '  SESSION_KEYS_FILE=keys node dist/main.js audit verify audit.log --checkpoint 6:IKeafjoK…  also the end',
    '',
    'It needs SESSION_KEYS or SESSION_KEYS_FILE with the keys of that time, and no Redis.',
    'Exit codes: 0 nothing is wrong, 1 something is, 2 it cannot tell, or did not understand.',
    '',
  ].join('\n');
}

export function usage(): string {
  const width = Math.max(...Object.keys(FLAGS).map((flag) => flag.length));
  const flags = Object.entries(FLAGS).map(([flag, does]) => `  ${flag.padEnd(width)}  ${does}`);
  return [
    'Usage: node dist/main.js [flag]',
    '       node dist/main.js COMMAND [--help]',
    '       node dist/main.js audit verify FILE… [--checkpoint SEQ:MAC]…',
    '',
    'Starts the Finvera gateway. Settings come from environment variables, a YAML file named by GATEWAY_CONFIG',
    'and the defaults in config/gateway.yaml; docs/configuration.md describes each.',
    '',
    ...flags,
    '',
    'Commands work on the same settings and the same Redis as the gateway; COMMAND --help has examples:',
    ...commandSummary(),
    '',
    'audit verify reads audit files, oldest first, and names every line that is missing, changed or moved',
    '(exit 0: none, 1: some, 2: cannot tell). It needs SESSION_KEYS or SESSION_KEYS_FILE with the keys of that time.',
    '',
  ].join('\n');
}
