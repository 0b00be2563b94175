/**
 * Waits for work, but not longer than `limitMs`. The work goes on.
 * @param late what comes instead of its result then. Rejects as the work does.
 */
export async function within<T, L>(work: Promise<T>, limitMs: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<L>((resolve) => {
    timer = setTimeout(resolve, limitMs, late);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
