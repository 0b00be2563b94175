/** Which log lines are written, changed while the gateway runs. Every change is told in the log and in the audit trail. */
import { pino } from 'pino';
import type { LogLevel } from '../config/settings.ts';
import type { Audit } from './audit.ts';
import { asFields, type Requester } from './audit-reports.ts';
import type { Logger } from './logger.ts';

export interface Verbosity {
  readonly level: LogLevel;
  /** Share of the lines of successful requests, from 0 to 1. */
  readonly sampling: number;
}

export interface LogControl {
  current(): Verbosity;
  /** What is not named stays. Until the process ends: at its next start the settings count. */
  change(wanted: Partial<Verbosity>, requester?: Requester): void;
  /** Every line from debug on; asked again, what the settings say. */
  toggleDebug(): void;
}

export interface LogControlParts {
  readonly log: Logger;
  readonly audit: Pick<Audit, 'record'>;
  /** As the settings have it. */
  readonly configured: Verbosity;
}

export function createLogControl({ log, audit, configured }: LogControlParts): LogControl {
  let current = configured;
  const change = (wanted: Partial<Verbosity>, requester?: Requester): void => {
    const before = current;
    current = { ...before, ...wanted };
    const { level, sampling } = current;
    if (level === before.level && sampling === before.sampling) return;
    const tell = () =>
      log.warn({ event: 'log_changed', log_level: level, sampling }, 'which log lines are written was changed');
    // Whichever of the two levels shows more: a log that falls silent says so.
    const isQuieter = severityOf(level) > severityOf(before.level);
    if (isQuieter) tell();
    log.setLevel(level);
    if (!isQuieter) tell();
    audit.record('log_changed', { log_level: level, sampling, by: 'operator', ...asFields(requester) });
  };
  return {
    current: () => current,
    change,
    toggleDebug: () => change(current.level === 'debug' ? configured : { level: 'debug', sampling: 1 }),
  };
}

const severityOf = (level: LogLevel): number =>
  level === 'silent' ? Number.POSITIVE_INFINITY : (pino.levels.values[level] ?? 0);
