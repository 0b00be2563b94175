/** An answer of Finvera's whose head is here and whose body is still to be read, as the cache is handed it. */
import type { HeaderList } from './header-list.ts';

export interface UpstreamAnswer {
  readonly status: number;
  /** As Finvera sent them. */
  readonly headers: HeaderList;
  /** As they pass to the one who asked. */
  readonly passed: HeaderList;
  /** As they may be kept and shown to anybody who shares: no cookie, no token, no limit of the one who asked. */
  readonly shown: HeaderList;
  /** What it says of the limit of the one who asked, and of nobody else's. */
  readonly own: HeaderList;
  /** True where the answer repeats the credential it was asked with: it is nobody else's then. */
  holdsCredential(body: Buffer): boolean;
  /** Begins, or goes on after `pause`, for this reader alone. Must be called, or `cancel`. */
  read(reader: BodyReader): void;
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface BodyReader {
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFailure(cause: unknown): void;
}

export type Collected =
  | { readonly kind: 'whole'; readonly body: Buffer }
  /** Too large or too slow: what came so far; the rest waits for a reader. */
  | { readonly kind: 'unfinished'; readonly chunks: readonly Buffer[] };

/** Rejects where the body breaks off. */
export function collect(answer: UpstreamAnswer, maxBytes: number, maxMs: number): Promise<Collected> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const giveUp = () => {
      clearTimeout(timer);
      answer.pause();
      resolve({ kind: 'unfinished', chunks });
    };
    const timer = setTimeout(giveUp, maxMs);
    answer.read({
      onChunk(chunk) {
        chunks.push(chunk);
        bytes += chunk.byteLength;
        if (bytes > maxBytes) giveUp();
      },
      onEnd() {
        clearTimeout(timer);
        resolve({ kind: 'whole', body: Buffer.concat(chunks) });
      },
      onFailure(cause) {
        clearTimeout(timer);
        reject(cause);
      },
    });
  });
}
