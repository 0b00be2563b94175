/** `sessions show`: one session from outside, and which key seals it. */
import { inert } from '../observability/inert-text.ts';
import { kidOf } from '../session/sealed-jwe.ts';
import { type CommandOptions, DONE, NOT_DONE } from './command-options.ts';
import { withStore } from './open-store.ts';
import type { OperatorArguments } from './parse-operator-command.ts';
import { findSession, moment, outsideOf } from './session-outside.ts';
import { printable } from './table.ts';

export async function showSession({ id = '', json }: OperatorArguments, options: CommandOptions): Promise<number> {
  return await withStore(options, async ({ store }) => {
    const found = await findSession(store, id);
    if (!found?.session) {
      options.stderr.write('problem: there is no such session; it may have ended\n');
      return NOT_DONE;
    }
    const { session } = found;
    const told = {
      ...outsideOf(session),
      sealed_with_key: sealingKey(session.seal),
      seal_bytes: session.seal.length,
      tokens_written: session.version,
      ...(session.forced ? { last_forced_refresh: `${session.forced.outcome} at ${moment(session.forced.at)}` } : {}),
    };
    if (json) {
      options.stdout.write(`${inert(JSON.stringify(told, null, 2))}\n`);
      return DONE;
    }
    const width = Math.max(...Object.keys(told).map((name) => name.length));
    for (const [name, value] of Object.entries(told)) {
      options.stdout.write(`${name.padEnd(width)}  ${printable(String(value ?? 'unknown'))}\n`);
    }
    return DONE;
  });
}

/** Null where the seal is none of the gateway's. */
function sealingKey(seal: string): string | null {
  try {
    return kidOf(seal) ?? null;
  } catch {
    return null;
  }
}
