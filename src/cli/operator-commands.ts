/** The operator's commands as they are written: words, flags, what they do, examples. It runs none of them. */

export interface FlagForm {
  /** What stands for its value in the help. Absent: it takes none. */
  readonly takes?: string;
  readonly does: string;
}

export interface CommandForm {
  /** What follows the words. */
  readonly synopsis: string;
  readonly does: string;
  /** How many arguments that are no flags: none, or one at most. */
  readonly takesId: boolean;
  readonly flags: Readonly<Record<string, FlagForm>>;
  /** Each with what it is good for. */
  readonly examples: readonly (readonly [command: string, purpose: string])[];
  readonly notes?: string;
}

const JSON_FLAG: FlagForm = { does: 'answer in JSON instead of a table' };
const USER_FLAG: FlagForm = { takes: 'ID', does: "the user's id at Finvera, as log and audit lines hold it" };

/** By their words. What a flag's name is here, it is in `OperatorArguments`. */
export const OPERATOR_COMMANDS = {
  'sessions list': {
    synopsis: '(--user ID | --all) [--json]',
    does: 'list the sessions of a user, or all',
    takesId: false,
    flags: { user: USER_FLAG, all: { does: 'of everybody; looks at every key of the store' }, json: JSON_FLAG },
    examples: [
      ['sessions list --user 7f6c…', 'where a user is logged in'],
      ['sessions list --all --json', 'all of them, for a script'],
    ],
  },
  'sessions show': {
    synopsis: 'ID [--json]',
    does: 'show one session from outside: its tokens and email are sealed under its cookie',
    takesId: true,
    flags: { json: JSON_FLAG },
    examples: [['sessions show kXyDm9sJ…', 'whose it is, where it began, which key seals it']],
    notes:
      'ID is the id of the list, or the hash that log and audit lines name as session (found at once; an id is looked for).',
  },
  'sessions end': {
    synopsis: '(ID | --user ID | --all) [--yes] [--json]',
    does: 'end a session, those of a user, or all; every instance hears of it at once',
    takesId: true,
    flags: {
      user: USER_FLAG,
      all: { does: 'of everybody, after a confirmation' },
      yes: { does: 'do not ask for confirmation' },
      json: JSON_FLAG,
    },
    examples: [
      ['sessions end kXyDm9sJ…', 'a cookie was stolen'],
      ['sessions end --user 7f6c…', 'a user left'],
      ['sessions end --all --yes', 'from a script: everybody logs in again'],
    ],
    notes:
      'Each end is a line of the audit trail, by operator. Sessions that begin while --all runs are not among them.',
  },
  'cache purge': {
    synopsis: '(--route PATH | --path PATTERN | --all) [--json]',
    does: 'stop using shared answers of a route, of paths, or all; every instance hears of it within a second',
    takesId: false,
    flags: {
      route: { takes: 'PATH', does: "the route's path, as the settings have it" },
      path: { takes: 'PATTERN', does: 'paths of this form; * stands for anything' },
      all: { does: 'of every route' },
      json: JSON_FLAG,
    },
    examples: [
      ['cache purge --route /delivery', 'a correction that must show now'],
      ["cache purge --path '/delivery/api/v1/events/*'", 'of these alone'],
    ],
    notes:
      'Nothing is searched for or deleted: what was asked of Finvera before is not used any more, and goes in time.',
  },
  'keys new': {
    synopsis: '[--json]',
    does: 'make a key for SESSION_KEYS, and say how it is put to use',
    takesId: false,
    flags: { json: JSON_FLAG },
    examples: [['keys new', 'the first key, or the next']],
    notes: 'It reads the settings for the keys in force and changes nothing.',
  },
  doctor: {
    synopsis: '[--json]',
    does: 'look at settings, Redis, clocks and Finvera; say what is wrong and how to mend it',
    takesId: false,
    flags: { json: JSON_FLAG },
    examples: [['doctor', 'before the first start, and at three in the morning']],
    notes: 'Exit 1 where something must be mended; advice alone is exit 0. It sends Finvera no credentials.',
  },
} as const satisfies Record<string, CommandForm>;

export type OperatorCommand = keyof typeof OPERATOR_COMMANDS;

/** The same table for code that treats all commands alike. */
export function formOf(command: OperatorCommand): CommandForm {
  return OPERATOR_COMMANDS[command];
}

export const OPERATOR_COMMAND_NAMES = Object.keys(OPERATOR_COMMANDS) as readonly OperatorCommand[];

const INVOCATION = 'node dist/main.js';

export function helpOf(command: OperatorCommand): string {
  const { synopsis, does, flags, examples, notes } = formOf(command);
  const flagRows = Object.entries(flags).map(([name, { takes, does }]) => [
    `--${name}${takes ? ` ${takes}` : ''}`,
    does,
  ]);
  const exampleRows = examples.map(([written, purpose]) => [`${INVOCATION} ${written}`, purpose]);
  return [
    `Usage: ${INVOCATION} ${command} ${synopsis}`,
    '',
    `${does[0]?.toUpperCase()}${does.slice(1)}.`,
    '',
    ...aligned(flagRows),
    '',
    'Examples:',
    ...aligned(exampleRows),
    '',
    ...(notes ? [notes] : []),
    'Exit codes: 0 done, 1 not done (why is said), 2 not understood.',
    '',
  ].join('\n');
}

/** Lines for the usage of the whole program. */
export function commandSummary(): readonly string[] {
  return aligned(OPERATOR_COMMAND_NAMES.map((name) => [name, formOf(name).does]));
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([first = '']) => first.length));
  return rows.map(([first = '', second = '']) => `  ${first.padEnd(width)}  ${second}`);
}
