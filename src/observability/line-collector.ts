/** Collects lines before they are written: a system call for each request's line would cost more than the line. */

/** Where lines go: as standard output, which takes what the pipe has no room for and never makes the process wait. */
export interface LineOutput {
  /** What it is given never changes afterwards. */
  write(text: Uint8Array, written?: () => void): unknown;
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

const BLOCK_BYTES = 64 * 1024;
const COLLECT_MS = 250;
/** Of one UTF-16 unit in UTF-8, at most. */
const MAX_UNIT_BYTES = 3;
const NOTHING = new Uint8Array(0);
/** Where nobody reads, lines are dropped before memory runs out. In bytes, as the output counts. */
export const MAX_UNREAD = 16 * 1024 * 1024;

/**
 * Each line becomes bytes at once: as text, put together of many pieces, it would live until it is written, and the
 * collector of young garbage would copy it meanwhile (measured: most of what it had to copy).
 * @param dropped makes the line that says how many lines nobody took; written before the first that fits again.
 */
export function createLineCollector(output: LineOutput, dropped: (count: number) => string): LineCollector {
  let block = Buffer.alloc(0);
  /** In the block: where what waits begins, and where the next line goes. */
  let start = 0;
  let end = 0;
  let lost = 0;
  let timer: NodeJS.Timeout | undefined;

  const append = (line: string): void => {
    const most = line.length * MAX_UNIT_BYTES;
    if (block.length - end < most) {
      handOn();
      block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, most));
      start = 0;
      end = 0;
    }
    end += block.write(line, end);
  };

  /** What follows goes into the rest of the block: unread bytes hold little more memory than their own. */
  const handOn = (): void => {
    if (end > start) output.write(block.subarray(start, end));
    start = end;
  };

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    handOn();
  };

  return {
    write(line) {
      if (output.writableLength > MAX_UNREAD) {
        lost += 1;
        return;
      }
      if (lost > 0) append(dropped(lost));
      lost = 0;
      append(line);
      timer ??= setTimeout(flush, COLLECT_MS).unref();
    },
    flush,
    finish(limitMs) {
      flush();
      return new Promise((resolve) => {
        const limit = setTimeout(resolve, limitMs);
        output.write(NOTHING, () => {
          clearTimeout(limit);
          resolve();
        });
      });
    },
  };
}
