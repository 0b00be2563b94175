/** Collects lines before they are written: a system call for each request's line would cost more than the line. */

/** Where lines go: as standard output, which takes what the pipe has no room for and never makes the process wait. */
export interface LineOutput {
  write(text: string, written?: () => void): unknown;
  /** Given and not yet taken by the reader. */
  readonly writableLength: number;
}

export interface LineCollector {
  /** @param line whole, with its line break. Written with others, a quarter of a second later at most. */
  write(line: string): void;
  /** Hands on what waits, now. */
  flush(): void;
  /** Hands on what waits and waits for its reader, for the end of the process. */
  finish(limitMs: number): Promise<void>;
}

const COLLECT_CHARS = 64 * 1024;
const COLLECT_MS = 250;
/** Where nobody reads, lines are dropped before memory runs out. In UTF-16 units or bytes, as the output counts. */
export const MAX_UNREAD = 16 * 1024 * 1024;

/** @param dropped makes the line that says how many pieces of text nobody took; written before the first that fits again. */
export function createLineCollector(output: LineOutput, dropped: (count: number) => string): LineCollector {
  let waiting: string[] = [];
  let chars = 0;
  let lost = 0;
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return;
    const lines = waiting;
    waiting = [];
    chars = 0;
    if (output.writableLength > MAX_UNREAD) {
      lost += lines.length;
      return;
    }
    if (lost > 0) lines.unshift(dropped(lost));
    lost = 0;
    output.write(lines.join(''));
  };

  return {
    write(line) {
      waiting.push(line);
      chars += line.length;
      if (chars >= COLLECT_CHARS) flush();
      else timer ??= setTimeout(flush, COLLECT_MS).unref();
    },
    flush,
    finish(limitMs) {
      flush();
      return new Promise((resolve) => {
        const limit = setTimeout(resolve, limitMs);
        output.write('', () => {
          clearTimeout(limit);
          resolve();
        });
      });
    },
  };
}
