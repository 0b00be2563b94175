/** Finds the name that was probably meant. It decides nothing: whether a wrong name is an error is for the caller. */

/** @returns the candidate nearest to `word` (case, `_` and `-` apart), or undefined where none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const plain = fold(word);
  const furthest = tolerance(plain);
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const folded = fold(candidate);
    // No fewer edits than the lengths differ by: most names need no closer look, of which a start has thousands.
    if (Math.abs(folded.length - plain.length) > furthest) continue;
    const distance = editDistance(plain, folded);
    if (distance <= furthest && distance < (best?.distance ?? Number.POSITIVE_INFINITY)) {
      best = { candidate, distance };
    }
  }
  return best?.candidate;
}

/** ` Did you mean x?`, or the names that exist, or nothing. Begins with a blank. */
export function suggestion(word: string, candidates: readonly string[], otherwise = ''): string {
  const meant = nearest(word, candidates);
  return meant === undefined ? otherwise : ` Did you mean ${meant}?`;
}

function fold(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '');
}

function tolerance(word: string): number {
  return word.length < 5 ? 1 : word.length < 12 ? 2 : 3;
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b` (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = at(last, column - 1) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let least = Math.min(replaced, at(last, column) + 1, at(current, column - 1) + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, at(beforeLast, column - 2) + 1);
      }
      current.push(least);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
