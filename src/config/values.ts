/** How each kind of setting is written and read: numbers, durations, sizes, limits, choices, lists. Not which settings exist: `schema.ts`. */
import * as z from 'zod';
import type { AttemptLimit } from './settings.ts';

/**
 * One way to write a value. No message quotes what was written (an origin's right form apart): an operator who pastes
 * a key into the wrong variable must not find it in the log of a failed start.
 */
export interface ValueKind<T> {
  /** Reads the written text (a list: the written texts). */
  readonly schema: z.ZodType<T, unknown>;
  /** What may be written, as the end of a sentence that begins with "must be". */
  readonly form: string;
  readonly isList: boolean;
  /** The value as it would be written; parsing that again gives the same value. */
  format(value: T): string | string[];
}

/** Adds `message` to what is wrong with a value. Returns zod's mark for "no value". */
export function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}

/** @param read gives the value, undefined where the text is not of `form`, or refuses with a sentence of its own. */
export function textKind<T>(
  form: string,
  read: (text: string, context: z.RefinementCtx) => T | undefined,
  format: (value: T) => string = String,
): ValueKind<T> {
  const schema = z
    .string(`must be ${form}`)
    .transform((text, context): T => read(text, context) ?? refuse(context, `must be ${form}`));
  return { schema, form, isList: false, format };
}

export function list<T>(entry: ValueKind<T>, form: string): ValueKind<readonly T[]> {
  return {
    schema: z.array(entry.schema, 'must be a list'),
    form,
    isList: true,
    format: (values) => values.map((value) => String(entry.format(value))),
  };
}

export function oneOf<const T extends string>(...choices: readonly T[]): ValueKind<T> {
  return textKind(`one of ${choices.join(', ')}`, (text) => choices.find((choice) => choice === text));
}

export const boolean: ValueKind<boolean> = textKind('true or false', (text) =>
  text === 'true' ? true : text === 'false' ? false : undefined,
);

export function integer(min: number, max: number): ValueKind<number> {
  return textKind(`a whole number from ${min} to ${max}`, (text) =>
    /^\d{1,15}$/.test(text) ? within(Number(text), min, max) : undefined,
  );
}

/** As a decimal fraction; nothing shorter than a millionth. */
export const share: ValueKind<number> = textKind('a share from 0 to 1, such as 0.1', (text) =>
  /^(?:0|1|0?\.\d{1,6}|1\.0{1,6})$/.test(text) ? Number(text) : undefined,
);

const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** @returns milliseconds, or undefined where the text is no duration. `0` needs no unit. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
  if (!match) return text === '0' ? 0 : undefined;
  const ms = Number(match[1]) * DURATION_UNITS[match[2] as keyof typeof DURATION_UNITS];
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** The shortest exact way to write `ms`. */
export function formatDuration(ms: number): string {
  return inLargestUnit(ms, DURATION_UNITS, 's');
}

/** Milliseconds, from `min` to `max` (both written as durations). */
export function duration(min: string, max: string): ValueKind<number> {
  const [minMs, maxMs] = [parseDuration(min) ?? Number.NaN, parseDuration(max) ?? Number.NaN];
  return textKind(
    `a duration from ${min} to ${max}, such as 250ms, 90s, 15m, 12h or 30d`,
    (text) => within(parseDuration(text), minMs, maxMs),
    formatDuration,
  );
}

const SIZE_UNITS = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const;

/** @returns bytes (1kb is 1024), or undefined where the text is no size. A bare number is bytes. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})(b|kb|mb|gb)?$/.exec(text.toLowerCase());
  if (!match) return undefined;
  const bytes = Number(match[1]) * SIZE_UNITS[(match[2] ?? 'b') as keyof typeof SIZE_UNITS];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest exact way to write `bytes`. */
export function formatSize(bytes: number): string {
  return inLargestUnit(bytes, SIZE_UNITS, 'b');
}

/** Bytes, from `min` to `max` (both written as sizes). */
export function size(min: string, max: string): ValueKind<number> {
  const [minBytes, maxBytes] = [parseSize(min) ?? Number.NaN, parseSize(max) ?? Number.NaN];
  return textKind(
    `a size from ${min} to ${max}, such as 512kb or 10mb`,
    (text) => within(parseSize(text), minBytes, maxBytes),
    formatSize,
  );
}

/** `10/15m`: ten attempts in each fifteen minutes; `off`: no limit. */
export const attemptLimit: ValueKind<AttemptLimit | 'off'> = textKind<AttemptLimit | 'off'>(
  'attempts per duration (1 to 1000000, in 1s to 30d), such as 10/15m, or off',
  (text) => {
    if (text === 'off') return 'off';
    const [count = '', window = '', ...more] = text.split('/');
    const points = /^\d{1,7}$/.test(count) ? within(Number(count), 1, 1_000_000) : undefined;
    const windowMs = within(parseDuration(window), 1000, 30 * DURATION_UNITS.d);
    return points === undefined || windowMs === undefined || more.length > 0 ? undefined : { points, windowMs };
  },
  (limit) => (limit === 'off' ? 'off' : `${limit.points}/${formatDuration(limit.windowMs)}`),
);

/** A name that is nearly one of the two words would be a file that nobody looks for. */
export const auditLog: ValueKind<string> = textKind('-, off or the path of a file', (text) =>
  text === '' || /^(on|no|none|false|true|stdout|stderr)$/i.test(text) || text.includes('\0') ? undefined : text,
);

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

function inLargestUnit(amount: number, units: Readonly<Record<string, number>>, zeroUnit: string): string {
  if (amount === 0) return `0${zeroUnit}`;
  const [unit, factor] = Object.entries(units).findLast(([, each]) => amount % each === 0) ?? ['', 1];
  return `${amount / factor}${unit}`;
}
