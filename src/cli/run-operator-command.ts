/** Runs an operator's command. What stops it becomes one sentence on stderr and exit code 1, never a stack. */
import { GatewayError } from '../kernel/errors.ts';
import { purgeCache } from './cache-purge.ts';
import { type CommandOptions, NOT_DONE } from './command-options.ts';
import { runDoctor } from './doctor.ts';
import { makeNewKey } from './new-key.ts';
import type { OperatorCommand } from './operator-commands.ts';
import type { OperatorArguments } from './parse-operator-command.ts';
import { endSessions } from './sessions-end.ts';
import { listSessions } from './sessions-list.ts';
import { showSession } from './sessions-show.ts';

type Command = (asked: OperatorArguments, options: CommandOptions) => Promise<number>;

const COMMANDS: Readonly<Record<OperatorCommand, Command>> = {
  'sessions list': listSessions,
  'sessions show': showSession,
  'sessions end': endSessions,
  'cache purge': purgeCache,
  'keys new': makeNewKey,
  doctor: runDoctor,
};

/** @returns the exit code. */
export async function runOperatorCommand(asked: OperatorArguments, options: CommandOptions): Promise<number> {
  try {
    return await COMMANDS[asked.command](asked, options);
  } catch (error) {
    options.stderr.write(`problem: ${sentenceOf(error)}\n`);
    return NOT_DONE;
  }
}

function sentenceOf(error: unknown): string {
  if (!(error instanceof Error)) return 'something went wrong that cannot be named';
  if (!(error instanceof GatewayError) || error.kind !== 'store_unavailable') return error.message;
  const { message } = error.cause instanceof Error ? error.cause : error;
  return `Redis did not answer (${message}): what was done until then stays done; the command can be given again`;
}
