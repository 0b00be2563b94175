/** Columns for a terminal. What a column holds may come from strangers: it is made inert and cut to the column's width. */
import { inert } from '../observability/inert-text.ts';

export interface Column<T> {
  readonly title: string;
  /** Characters; 0 for the last one, which is not cut. */
  readonly width: number;
  readonly value: (row: T) => string;
}

/** Lines come as their rows do: a table of all sessions is not kept in memory. */
export function createTable<T>(columns: readonly Column<T>[]) {
  const line = (cells: readonly string[]) =>
    `${cells
      .map((cell, i) => fitted(cell, columns[i]?.width ?? 0))
      .join('  ')
      .trimEnd()}\n`;
  return {
    head: () => line(columns.map(({ title }) => title)),
    row: (row: T) => line(columns.map(({ value }) => value(row))),
  };
}

function fitted(cell: string, width: number): string {
  const text = printable(cell);
  if (width === 0) return text;
  return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const CONTROL = /[\u0000-\u001f]/g;

/** Text that moves no cursor and ends no line. */
export function printable(text: string): string {
  return inert(text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`));
}
