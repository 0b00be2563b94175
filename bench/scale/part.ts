// What a part of `npm run bench:scale` is, and how its numbers are written down.

export interface Section {
  readonly title: string;
  /** Markdown. */
  readonly text: string;
  /** What did not hold, in sentences: a leak, a wrong count, a failed request. Never a time. */
  readonly violations: readonly string[];
}

export interface Part {
  readonly name: string;
  run(): Promise<Section>;
}

export type Cell = string | number;

export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const line = (cells: readonly Cell[]) => `| ${cells.map(write).join(' | ')} |`;
  return [line(head), `|---|${'--:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
}

const SMALL = 10;
const MEDIUM = 100;

/** Three digits say enough. */
function write(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (Number.isNaN(cell)) return '–';
  const digits = Math.abs(cell) < SMALL ? 2 : Math.abs(cell) < MEDIUM ? 1 : 0;
  return cell.toLocaleString('en-GB', { maximumFractionDigits: digits });
}

export const MB = 1024 ** 2;
export const GB = 1024 ** 3;
