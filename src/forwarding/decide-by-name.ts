/** Decisions on header fields that follow from their names alone, remembered within bounds. */

/** Names are chosen by clients: what is remembered of them is bounded. */
const MAX_REMEMBERED_NAMES = 2_000;
const MAX_REMEMBERED_CHARS = 64;

/** @param decide what follows from the name of a header field alone. @returns the same, decided once for each name: names are few and requests are many. */
export function decideByName<T extends string>(decide: (lowerName: string, name: string) => T): (name: string) => T {
  const decided = new Map<string, T>();
  return (name) => {
    const known = decided.get(name);
    if (known !== undefined) return known;
    const verdict = decide(name.toLowerCase(), name);
    if (name.length > MAX_REMEMBERED_CHARS) return verdict;
    // Full of what one client made up it would help nobody any more: it starts anew.
    if (decided.size >= MAX_REMEMBERED_NAMES) decided.clear();
    decided.set(name, verdict);
    return verdict;
  };
}
