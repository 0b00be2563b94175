/** What every command is given: where the settings are read from, where it writes to, and whom it may ask. */
import type { LoadOptions } from '../config/load.ts';

/** As much of a stream as a command needs. */
export interface Output {
  write(text: string): unknown;
}

export interface CommandOptions extends LoadOptions {
  /** What was asked for, alone: a script may read it. */
  readonly stdout: Output;
  /** Problems, warnings, progress. */
  readonly stderr: Output;
  /** Asks whoever sits there. Absent: nobody does. */
  readonly confirm?: (question: string) => Promise<boolean>;
}

export const DONE = 0;
export const NOT_DONE = 1;
export const NOT_UNDERSTOOD = 2;
