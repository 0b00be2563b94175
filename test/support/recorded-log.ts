// The gateway's own logger, writing into memory.
import { Writable } from 'node:stream';
import { createLogger, type Logger, type LoggerOptions } from '../../src/observability/logger.ts';

export interface RecordedLog {
  readonly log: Logger;
  text(): string;
  /** Every line so far, parsed. */
  lines(): Record<string, unknown>[];
}

export function createRecordedLog(level: LoggerOptions['level'] = 'trace'): RecordedLog {
  let text = '';
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return {
    log: createLogger({ level, destination }),
    text: () => text,
    lines: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  };
}
