// The latest prices of one symbol, and what Finvera's two forms of a quote have in common. Pure.

export interface Quote {
  readonly symbol: string;
  readonly price: number;
}

export interface Tick {
  readonly atMs: number;
  readonly price: number;
}

/** What the chart shows. */
export const WINDOW_MS = 60_000;

/** @returns undefined for any other message. */
export function readQuote(message: unknown): Quote | undefined {
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, symbol, price, ev, sym, fmv } = message as Record<string, unknown>;
  if (type === 'quote' && typeof symbol === 'string' && typeof price === 'number') return { symbol, price };
  if (ev === 'FMV' && typeof sym === 'string' && typeof fmv === 'number') return { symbol: sym, price: fmv };
  return undefined;
}

/** Adds a tick and lets go of those that have left the window, but for the one that the line enters it with. */
export function withTick(ticks: readonly Tick[], tick: Tick): readonly Tick[] {
  const first = ticks.findIndex(({ atMs }) => atMs >= tick.atMs - WINDOW_MS);
  const kept = first === -1 ? ticks.slice(-1) : ticks.slice(Math.max(0, first - 1));
  return [...kept, tick];
}
