/** Collects lines before they are written: a system call for each request's line would cost more than the line. */
import type { pino } from 'pino';

export type SonicBoom = ReturnType<typeof pino.destination>;

export interface LineCollector {
  /** @param line whole, with its line break. Written with others, a quarter of a second later at most. */
  write(line: string): void;
  /** Writes what waits. Synchronous. */
  flush(): void;
}

const COLLECT_CHARS = 64 * 1024;
const COLLECT_MS = 250;

/** @param output writes without waiting, in the order it is given lines. */
export function createLineCollector(output: Pick<SonicBoom, 'write' | 'flushSync'>): LineCollector {
  let waiting: string[] = [];
  let chars = 0;
  let timer: NodeJS.Timeout | undefined;

  const pass = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return;
    const text = waiting.join('');
    waiting = [];
    chars = 0;
    output.write(text);
  };

  return {
    write(line) {
      waiting.push(line);
      chars += line.length;
      if (chars >= COLLECT_CHARS) pass();
      else timer ??= setTimeout(pass, COLLECT_MS).unref();
    },
    flush() {
      pass();
      try {
        output.flushSync();
      } catch {
        // Not open yet, or nobody reads any more: what is left goes with the next line, or is lost with its reader.
      }
    },
  };
}
