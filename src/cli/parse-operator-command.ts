/** Reads the arguments of an operator's command against its form. Pure: it runs nothing and prints nothing. */
import { parseArgs } from 'node:util';
import { suggestion } from '../config/near-miss.ts';
import { type CommandForm, formOf, OPERATOR_COMMAND_NAMES, type OperatorCommand } from './operator-commands.ts';

/** What was asked for; flags that the command does not have are unset. */
export interface OperatorArguments {
  readonly command: OperatorCommand;
  readonly id?: string;
  readonly user?: string;
  readonly route?: string;
  readonly path?: string;
  readonly all: boolean;
  readonly yes: boolean;
  readonly json: boolean;
}

export type OperatorParsing =
  | { readonly kind: 'operator'; readonly arguments: OperatorArguments }
  | { readonly kind: 'operator-help'; readonly command: OperatorCommand }
  | { readonly kind: 'invalid'; readonly problem: string; readonly command?: OperatorCommand };

/** The first words of commands. */
const GROUPS = new Set(OPERATOR_COMMAND_NAMES.map((name) => name.split(' ')[0] ?? ''));

/** True where what follows is a command of this kind, however it goes on. */
export function beginsOperatorCommand(argv: readonly string[]): boolean {
  return GROUPS.has(argv[0] ?? '');
}

export function parseOperatorCommand(argv: readonly string[]): OperatorParsing {
  const command = OPERATOR_COMMAND_NAMES.find((name) => name.split(' ').every((word, i) => argv[i] === word));
  if (command === undefined) return { kind: 'invalid', problem: unknownCommand(argv) };
  const form = formOf(command);
  const invalid = (problem: string): OperatorParsing => ({ kind: 'invalid', problem, command });
  const rest = argv.slice(command.split(' ').length);
  if (rest.includes('--help') || rest.includes('-h')) return { kind: 'operator-help', command };

  const dashed = form.takesId ? rest.filter((each, i) => isDashedId(each) && !takesNext(form, rest[i - 1])) : [];
  const options = Object.entries(form.flags).map(([name, { takes }]) => [name, { type: takes ? 'string' : 'boolean' }]);
  const { tokens } = parseArgs({
    args: rest.filter((each) => !dashed.includes(each)),
    options: Object.fromEntries(options) as Record<string, { type: 'string' | 'boolean' }>,
    strict: false, // its own errors repeat values, which may be secrets
    tokens: true,
  });
  const given = new Map<string, string | true>();
  const ids = [...dashed];
  for (const token of tokens) {
    if (token.kind === 'positional') ids.push(token.value);
    if (token.kind !== 'option') continue;
    const problem = flagProblem(form, token.name, token.rawName, token.value);
    if (problem !== undefined) return invalid(problem);
    given.set(token.name, token.value ?? true);
  }
  if (ids.length > (form.takesId ? 1 : 0))
    return invalid(form.takesId ? 'one ID at a time, please.' : 'it takes no argument.');
  const [id] = ids;
  const text = (name: 'user' | 'route' | 'path') => {
    const value = given.get(name);
    return typeof value === 'string' ? { [name]: value } : {};
  };
  const parsed: OperatorArguments = {
    command,
    ...(id === undefined ? {} : { id }),
    ...text('user'),
    ...text('route'),
    ...text('path'),
    all: given.has('all'),
    yes: given.has('yes'),
    json: given.has('json'),
  };
  const problem = targetProblem(parsed, form);
  return problem === undefined ? { kind: 'operator', arguments: parsed } : invalid(problem);
}

/** Ids are 16 or 43 characters of base64url: one in 64 begins with a dash, and is no flag. */
function isDashedId(text: string): boolean {
  return /^-(?:[\w-]{15}|[\w-]{42})$/.test(text) && !/^--[a-z-]+$/.test(text);
}

function takesNext(form: CommandForm, before: string | undefined): boolean {
  return before?.startsWith('--') === true && form.flags[before.slice(2)]?.takes !== undefined;
}

function unknownCommand([group = '', word = '']: readonly string[]): string {
  const siblings = OPERATOR_COMMAND_NAMES.filter((name) => name.startsWith(`${group} `));
  const hint = suggestion(`${group} ${word}`, siblings, ` There are: ${siblings.join(', ')}.`);
  return `${group} has no such command.${hint}`;
}

function flagProblem(form: CommandForm, name: string, rawName: string, value: string | undefined): string | undefined {
  if (!Object.hasOwn(form.flags, name)) {
    const known = Object.keys(form.flags).map((each) => `--${each}`);
    return `unknown flag ${rawName}.${suggestion(rawName, known)}`;
  }
  const { takes } = form.flags[name] ?? {};
  if (takes && (value === undefined || value === '' || value.startsWith('--')))
    return `--${name} needs a value: ${takes}.`;
  return !takes && value !== undefined ? `--${name} takes no value.` : undefined;
}

/** What each way to say what is meant looks like. */
const WAYS: Readonly<Record<string, string>> = {
  user: '--user ID',
  route: '--route PATH',
  path: '--path PATTERN',
  all: '--all',
};

/** Which sessions or answers are meant must be said, and said once. */
function targetProblem(
  { command, id, user, route, path, all }: OperatorArguments,
  form: CommandForm,
): string | undefined {
  const flags = Object.keys(WAYS).filter((name) => Object.hasOwn(form.flags, name));
  const ways = [...(form.takesId ? ['ID'] : []), ...flags.map((name) => WAYS[name])];
  if (ways.length === 0) return undefined;
  const said = [id, user, route, path, all || undefined].filter((each) => each !== undefined).length;
  const written = ways.join(' or ');
  return said === 1 ? undefined : `${command} needs ${ways.length === 1 ? written : `one of ${written}`}.`;
}
