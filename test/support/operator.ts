// Runs an operator's command in this process, with settings as a user would set them, and keeps what it wrote.
import { runCommand } from '../../src/cli/run-command.ts';

export interface CommandEnd {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param confirm what whoever sits at the terminal answers; absent: nobody does. */
export async function operate(
  command: string,
  env: Readonly<Record<string, string>>,
  confirm?: (question: string) => boolean,
): Promise<CommandEnd> {
  const written = { stdout: '', stderr: '' };
  const to = (name: keyof typeof written) => ({
    write(text: string) {
      written[name] += text;
    },
  });
  const code = await runCommand(command.split(' '), {
    env,
    stdout: to('stdout'),
    stderr: to('stderr'),
    ...(confirm ? { confirm: async (question: string) => confirm(question) } : {}),
  });
  return { code, ...written };
}
