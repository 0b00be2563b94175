/** Counts what a session has open at once, and refuses beyond a number. Of this instance only. */
export interface Places {
  /** Takes a place. @returns what gives it back (safe to call twice), or undefined where all are taken. */
  take(hash: string): (() => void) | undefined;
  /** All that are taken. */
  readonly size: number;
}

export function createPlaces(maxPerSession: number): Places {
  const taken = new Map<string, number>();
  let size = 0;
  return {
    take(hash) {
      const count = taken.get(hash) ?? 0;
      if (count >= maxPerSession) return undefined;
      taken.set(hash, count + 1);
      size += 1;
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        size -= 1;
        const left = (taken.get(hash) ?? 1) - 1;
        if (left > 0) taken.set(hash, left);
        else taken.delete(hash);
      };
    },
    get size() {
      return size;
    },
  };
}
