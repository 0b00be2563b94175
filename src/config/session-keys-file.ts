/**
 * Keeps watch on the file that `SESSION_KEYS_FILE` names, so that keys change without a restart. It reads the content
 * instead of waiting for events or comparing times: renames, Kubernetes' swapped links and network file systems all look
 * the same that way.
 */
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from './environment-source.ts';
import { readSessionKeys } from './session-keys.ts';
import type { SessionKey } from './settings.ts';

export interface KeysFileOptions {
  /** Absolute. */
  readonly path: string;
  /** Those in force. */
  readonly keys: readonly SessionKey[];
  /** Told of other keys, each time they change. Must not throw. */
  readonly onKeys: (keys: readonly SessionKey[]) => void;
  /** Told once of each reason why the keys in force stay; repeats nothing of the file. Must not throw. */
  readonly onProblem: (problem: string) => void;
  /** Default: a second. */
  readonly intervalMs?: number;
}

const INTERVAL_MS = 1_000;
const MAX_BYTES = 64 * 1024;

/**
 * Reads the file at each interval until it is stopped; keeps no process alive. A content counts once it was read twice in
 * a row: half of a file that is being written may look like fewer keys, and a missing key ends sessions.
 */
export function watchSessionKeys(options: KeysFileOptions): { stop(): void } {
  const stopped = new AbortController();
  void keepReading(options, stopped.signal);
  return { stop: () => stopped.abort() };
}

async function keepReading(options: KeysFileOptions, signal: AbortSignal): Promise<void> {
  const { path, onKeys, onProblem, intervalMs = INTERVAL_MS } = options;
  let { keys } = options;
  let last: string | undefined;
  let told: string | undefined;
  for (;;) {
    try {
      await delay(intervalMs, undefined, { ref: false, signal });
    } catch {
      return;
    }
    const reading = await read(path, keys);
    if (signal.aborted) return;
    const seen = reading.kind === 'problem' ? reading.problem : fingerprint(reading.keys);
    const isSettled = seen === last;
    last = seen;
    if (!isSettled) continue;
    if (reading.kind === 'problem') {
      if (told !== seen) onProblem(seen);
      told = seen;
      continue;
    }
    told = undefined;
    if (seen === fingerprint(keys)) continue;
    keys = reading.keys;
    onKeys(keys);
  }
}

type Reading =
  | { readonly kind: 'keys'; readonly keys: readonly SessionKey[] }
  | { readonly kind: 'problem'; readonly problem: string };

async function read(path: string, inForce: readonly SessionKey[]): Promise<Reading> {
  try {
    const found = await stat(path);
    // A pipe would wait for a writer that never comes again.
    if (!found.isFile() || found.size > MAX_BYTES) return problem('is not a file of at most 64 KiB');
    const parsed = readSessionKeys(await readFile(path, 'utf8'));
    if (parsed.kind === 'invalid') return problem(parsed.problem);
    const renamed = parsed.keys.find(({ kid, key }) => inForce.some((old) => old.kid === kid && !old.key.equals(key)));
    // Every session under the old key of that name would end.
    if (renamed) return problem(`gives the name ${renamed.kid} to another key: a new key needs a new name`);
    return parsed;
  } catch (error) {
    return problem(`cannot be read (${errorCode(error)})`);
  }
}

function problem(what: string): Reading {
  return { kind: 'problem', problem: `SESSION_KEYS_FILE ${what}` };
}

/** Names are enough: one name never changes its key while a process runs. */
function fingerprint(keys: readonly SessionKey[]): string {
  return keys.map(({ kid }) => kid).join(',');
}
