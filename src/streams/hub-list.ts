/**
 * Asks the upstream for its list, one question at a time: answers carry no id, so that two at once could not be told apart.
 * Whoever asks meanwhile gets the same answer.
 */

export type ListAnswer = { readonly kind: 'answer'; readonly data: Buffer } | { readonly kind: 'timeout' };

type Asker = (answer: ListAnswer) => void;

export interface ListQuestion {
  /** Called back once, within the time-out. @returns what takes the question back. */
  ask(asker: Asker): () => void;
  /** @returns false where nobody waits for an answer. */
  answered(data: Buffer): boolean;
  /** Whether an answer is awaited. */
  readonly isOut: boolean;
  /** The upstream is there again: what is still open is asked on it. */
  again(): void;
  close(): void;
}

export interface ListQuestionOptions {
  /** Puts the question; false where there is no upstream at the moment. */
  readonly send: () => boolean;
  readonly timeoutMs: number;
  /** How long an answer serves further questions, so that a page that keeps asking does not keep the upstream busy. */
  readonly freshMs: number;
}

export function createListQuestion({ send, timeoutMs, freshMs }: ListQuestionOptions): ListQuestion {
  const askers = new Set<Asker>();
  let timer: NodeJS.Timeout | undefined;
  let latest: { readonly data: Buffer; readonly at: number } | undefined;

  function settle(answer: ListAnswer): void {
    clearTimeout(timer);
    const told = [...askers];
    askers.clear();
    for (const asker of told) asker(answer);
  }

  return {
    ask(asker) {
      if (latest && performance.now() - latest.at < freshMs) {
        asker({ kind: 'answer', data: latest.data });
        return () => {};
      }
      askers.add(asker);
      if (askers.size === 1) {
        timer = setTimeout(() => settle({ kind: 'timeout' }), timeoutMs);
        send();
      }
      return () => void askers.delete(asker);
    },
    answered(data) {
      if (askers.size === 0) return false;
      latest = { data, at: performance.now() };
      settle({ kind: 'answer', data });
      return true;
    },
    get isOut() {
      return askers.size > 0;
    },
    again() {
      if (askers.size > 0) send();
    },
    close() {
      clearTimeout(timer);
      askers.clear();
    },
  };
}
