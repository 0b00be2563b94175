/**
 * The process's log: one JSON line an event, pretty in a terminal. An allow-list decides which fields may appear, so
 * that no cookie, token or password can slip into a line at any level (ASVS 16.2.5).
 */
import { createRequire } from 'node:module';
import { type DestinationStream, type Level, pino } from 'pino';
import type * as PinoPretty from 'pino-pretty';
import type { LogLevel } from '../config/settings.ts';
import { systemClock } from '../kernel/clock.ts';
import { inert, MAX_VALUE_CHARS } from './inert-text.ts';
import { createLineCollector, type LineCollector } from './line-collector.ts';
import { standardOutput } from './standard-output.ts';
import { terminalOutput } from './terminal-output.ts';

/** Every field a log line may hold. What is not here is dropped before the line is written. */
const ALLOWED = new Set([
  'event',
  'request_id',
  'method',
  'path',
  'route',
  'status',
  'code',
  'kind',
  'outcome',
  'reason',
  'duration_ms',
  'upstream_ms',
  'bytes_in',
  'bytes_out',
  'messages_in',
  'messages_out',
  'close_code',
  'closed_by',
  'session',
  'user_id',
  'ip',
  'user_agent',
  'origin',
  'error',
  'cause',
  'stack',
  'address',
  'management_address',
  'setting',
  'store',
  'finvera',
  'version',
  'node',
  'count',
  'attempt',
  'signal',
  'host',
  'upstream_status',
  'aborted',
  'guard',
  'wait_ms',
  'kids',
  'chain',
  'seq',
  'mac',
  'log_level',
  'sampling',
  'trace_id',
]);

export type LogFields = Readonly<Record<string, unknown>>;

/** Writes events. The message is a constant; everything that varies is a field. */
export interface Logger {
  fatal(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  trace(fields: LogFields, message: string): void;
  /**
   * The one line a request leaves, at level info: written with others together, a moment later.
   * @param members of a JSON object, as text without its braces; made by `request-log.ts` alone, from a closed list.
   */
  requestLine(members: string): void;
  /** A line of the audit trail, whole and with its line break, at every level. */
  auditLine(line: string): void;
  /** Writes what waits, and waits for its reader up to a limit: for the end of the process. */
  finish(limitMs: number): Promise<void>;
  setLevel(level: LogLevel): void;
  /** True where a line of this level would be written. */
  isEnabled(level: Level): boolean;
}

/** Keeps the allowed fields; long strings are cut, so that a log cannot be filled by one request. */
export function allowedFields(fields: LogFields): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(fields)) {
    if (!ALLOWED.has(key)) continue;
    const value = fields[key];
    if (value === undefined) continue;
    if (typeof value === 'string') kept[key] = inert(value.slice(0, MAX_VALUE_CHARS));
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null) kept[key] = value;
    else kept[key] = inert(String(value).slice(0, MAX_VALUE_CHARS));
  }
  return kept;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Where lines go. Default: standard output, pretty where that is a terminal. */
  readonly destination?: DestinationStream;
  readonly pretty?: boolean;
}

/** @returns a logger whose lines are `{"level","time","event",…,"msg"}` with `time` in RFC 3339. */
export function createLogger({ level, destination, pretty }: LoggerOptions): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${isoNow()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const collecting = destination
    ? undefined
    : createLineCollector(pretty ? terminalOutput() : standardOutput(), droppedLine);
  const output = destination ?? (pretty ? forPeople(collecting as LineCollector) : (collecting as LineCollector));
  const sink = pino(options, output);
  const write = (name: Level) => (fields: LogFields, message: string) => {
    if (!sink.isLevelEnabled(name)) return;
    sink[name](allowedFields(fields), message);
    collecting?.flush();
  };
  return {
    fatal: write('fatal'),
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    trace: write('trace'),
    requestLine(members) {
      if (sink.isLevelEnabled('info'))
        output.write(`{"level":"info","time":"${isoNow()}",${members},"msg":"request"}\n`);
    },
    auditLine(line) {
      output.write(line);
      collecting?.flush();
    },
    finish: async (limitMs) => collecting?.finish(limitMs),
    setLevel(next) {
      sink.level = next;
    },
    isEnabled: (name) => sink.isLevelEnabled(name),
  };
}

let lastMs = Number.NaN;
let lastText = '';

/** Many lines are of the same millisecond. */
function isoNow(): string {
  const now = systemClock.now();
  if (now !== lastMs) {
    lastMs = now;
    lastText = new Date(now).toISOString();
  }
  return lastText;
}

/** For whoever looks at a terminal; what makes their lines is loaded only then. */
function forPeople(lines: LineCollector): DestinationStream {
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  const toLine = prettyFactory({ singleLine: true });
  return { write: (line) => lines.write(toLine(line) ?? '') };
}

function droppedLine(count: number): string {
  return `{"level":"warn","time":"${isoNow()}","event":"log_dropped","count":${count},"msg":"nobody read the log"}\n`;
}
