/** Reads the command line of `node dist/main.js`. Pure: it runs nothing and prints nothing. */
import { suggestion } from '../config/near-miss.ts';

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
  | { readonly kind: 'invalid'; readonly problem: string };

/** @param argv what follows `node dist/main.js`. One flag at most. */
export function parseArguments(argv: readonly string[]): Arguments {
  const unknown = argv.find((argument) => !isFlag(argument) && argument !== '-h');
  if (unknown !== undefined) {
    // What follows `=`, or stands there bare, may be a secret that was meant for a variable: it is not repeated.
    const name = unknown.startsWith('-') ? unknown.replace(/=.*/s, '') : undefined;
    if (name === undefined) return { kind: 'invalid', problem: 'there are flags only, no arguments.' };
    return { kind: 'invalid', problem: `unknown flag ${name}.${suggestion(name, Object.keys(FLAGS))}` };
  }
  const [first, ...more] = argv;
  if (first === undefined) return { kind: 'start' };
  if (more.length > 0) return { kind: 'invalid', problem: 'one flag at a time, please.' };
  return { kind: 'command', flag: isFlag(first) ? first : '--help' };
}

function isFlag(argument: string): argument is Flag {
  return Object.hasOwn(FLAGS, argument);
}

export function usage(): string {
  const width = Math.max(...Object.keys(FLAGS).map((flag) => flag.length));
  const flags = Object.entries(FLAGS).map(([flag, does]) => `  ${flag.padEnd(width)}  ${does}`);
  return [
    'Usage: node dist/main.js [flag]',
    '',
    'Starts the Finvera gateway. Settings come from environment variables, a YAML file named by GATEWAY_CONFIG',
    'and the defaults in config/gateway.yaml; docs/configuration.md describes each.',
    '',
    ...flags,
    '',
  ].join('\n');
}
