/**
 * While large bodies pass, has V8 free the buffers they came in every few megabytes. Each read from a socket is a buffer of
 * 64 KB outside the heap, dead a moment later. V8 sees a small object and waits until some 40 MB of them lie about: these
 * fall out of the processor's caches, the next come from the system a page at a time, and what ends it is a collection of
 * the whole heap. A collection of the young heap alone takes a fraction of a millisecond, and the same buffers are filled
 * again: less than half of the processor time, and a tenth of the memory.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Below this an answer is one of many, and the ordinary collections are soon enough. */
export const LARGE_BODY_BYTES = 256 * 1024;
/** 4 and 8 MB cost the same, 1 and 16 MB more. */
const BYTES_BETWEEN_COLLECTIONS = 8 * 1024 * 1024;

type Collect = (options: { readonly type: 'minor' }) => void;

// The heap is the process's, so the count is, too.
let bytesSince = 0;
let collect: Collect | undefined;

/** @param bytes that were read and have been passed on, of a body that is larger than `LARGE_BODY_BYTES`. */
export function countSpent(bytes: number): void {
  bytesSince += bytes;
  if (bytesSince < BYTES_BETWEEN_COLLECTIONS) return;
  bytesSince = 0;
  collect ??= findCollect();
  collect({ type: 'minor' });
}

/** Node shows it where it is started with `--expose-gc`; the embedding program decides on flags, so it is asked for here, and hidden again. */
function findCollect(): Collect {
  const nothing = () => undefined;
  // Nobody's body may end because this cannot be had.
  try {
    setFlagsFromString('--expose-gc');
    const found: unknown = runInNewContext('globalThis.gc');
    if (globalThis.gc === undefined) setFlagsFromString('--no-expose-gc');
    return typeof found === 'function' ? (found as Collect) : nothing;
  } catch {
    return nothing;
  }
}
