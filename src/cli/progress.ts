/** Tells on stderr how far long work is, once a second, and nothing of work that is quick. */
import type { CommandOptions } from './command-options.ts';

const INTERVAL_MS = 1_000;

export function createProgress({ stderr }: Pick<CommandOptions, 'stderr'>, what: string) {
  const startedAt = performance.now();
  let toldAt = startedAt;
  const tell = (count: number) =>
    stderr.write(`… ${count} ${what}, ${Math.round((performance.now() - startedAt) / 1_000)} s\n`);
  return {
    show(count: number): void {
      if (performance.now() - toldAt < INTERVAL_MS) return;
      toldAt = performance.now();
      tell(count);
    },
  };
}
