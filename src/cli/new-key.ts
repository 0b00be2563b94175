/** `keys new`: a fresh entry for SESSION_KEYS, and the steps that put it to use without logging anybody out. */
import { randomBytes } from 'node:crypto';
import { loadSettings } from '../config/load.ts';
import { type CommandOptions, DONE } from './command-options.ts';
import type { OperatorArguments } from './parse-operator-command.ts';

const KEY_BYTES = 32;

/** Works also where the settings are not right yet: the first key is often what is missing. */
export async function makeNewKey({ json }: OperatorArguments, options: CommandOptions): Promise<number> {
  const loaded = loadSettings(options);
  const settings = loaded.kind === 'ok' && !loaded.settings.sessionKeysAreRandom ? loaded.settings : undefined;
  const kids = settings?.sessionKeys.map(({ kid }) => kid) ?? [];
  const kid = freeName(kids);
  const entry = `${kid}:${randomBytes(KEY_BYTES).toString('base64url')}`;
  if (json) {
    options.stdout.write(`${JSON.stringify({ kid, entry, kids_in_force: kids })}\n`);
    return DONE;
  }
  options.stdout.write(`${entry}\n`);
  // Apart from the key, so that the key alone can go into a file.
  options.stderr.write(`${stepsFor(kid, kids, settings?.sessionKeysFile !== undefined).join('\n')}\n`);
  return DONE;
}

/** The next number after the highest: a name that was in use once must not come again with another key. */
function freeName(kids: readonly string[]): string {
  const numbers = kids.map((kid) => Number(/^k(\d{1,9})$/.exec(kid)?.[1] ?? 0));
  return `k${Math.max(0, ...numbers) + 1}`;
}

function stepsFor(kid: string, kids: readonly string[], fromFile: boolean): readonly string[] {
  if (kids.length === 0) return [`Set SESSION_KEYS to it, or write it to a file that SESSION_KEYS_FILE names.`];
  const written = (names: readonly string[]) => names.map((name) => `${name}:…`).join(',');
  const arrival = fromFile
    ? 'Replace the file of SESSION_KEYS_FILE in one step (write beside it, then mv); it counts within two seconds.'
    : 'Set SESSION_KEYS and restart the instances one after the other.';
  return [
    `1. Add it last, on every instance:       ${written([...kids, kid])}`,
    '   From now on all of them can open what it will seal.',
    `2. When all have it, put it first:       ${written([kid, ...kids])}`,
    '   It seals from now on; sessions in use are sealed anew. Nobody is logged out.',
    `3. After SESSION_ABSOLUTE_TIMEOUT, drop the old: ${written([kid])}`,
    arrival,
    'Whether a step has arrived: finvera_gateway_session_keys on every instance (1 seals, 0 only opens).',
  ];
}
