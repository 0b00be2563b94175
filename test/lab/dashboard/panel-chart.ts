// Draws the panels of a dashboard's row as one SVG: charts side by side, readable on light and dark pages. Measures nothing.

export interface Line {
  readonly label: string;
  /** Seconds and values. */
  readonly points: readonly (readonly [at: number, value: number])[];
}

export interface Chart {
  readonly title: string;
  /** As Grafana names them. */
  readonly unit: string;
  /** Bars that say when, instead of lines that say how much. */
  readonly isTimeline: boolean;
  readonly lines: readonly Line[];
}

/** A stretch of time that has a name. */
export interface Stretch {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** What all charts of a run have in common. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly stepSeconds: number;
  readonly stretches: readonly Stretch[];
}

const COLUMNS = 3;
const CELL = 400;
const PLOT = { left: 56, right: 14, top: 44, height: 130 };
const LEGEND_LINE = 15;
const MAX_LEGEND = 10;
const BAR = 16;
const COLOURS = 8;

const STYLE = `text { font: 11px system-ui, sans-serif; fill: #57606a; } .title { font-size: 12px; font-weight: 600; fill: #24292f; }
.name { font-size: 10px; } .legend { fill: #24292f; } .page { fill: #ffffff; } .stretch { fill: #818b98; fill-opacity: .16; } .grid { stroke: #d1d9e0; }
polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
@media (prefers-color-scheme: dark) { text { fill: #9198a1; } .title, .legend { fill: #f0f6fc; } .page { fill: #0d1117; } .grid { stroke: #3d444d; } }
${['#2f81f7', '#e5534b', '#2da44e', '#d18616', '#a371f7', '#1b9aaa', '#db61a2', '#7d8590'].map((colour, i) => `.c${i} { stroke: ${colour}; } .b${i} { fill: ${colour}; }`).join(' ')}`;

export function drawPanels(heading: string, charts: readonly Chart[], run: Run): string {
  const columns = Math.min(COLUMNS, charts.length);
  const cellWidth = charts.length === 1 ? CELL * COLUMNS : CELL;
  const parts: string[] = [];
  let top = 0;
  for (let first = 0; first < charts.length; first += columns) {
    const row = charts.slice(first, first + columns);
    for (const [i, chart] of row.entries()) {
      parts.push(`<g transform="translate(${i * cellWidth} ${top})">${drawChart(chart, run, cellWidth)}</g>`);
    }
    top += Math.max(...row.map(heightOf));
  }
  const width = columns * cellWidth;
  const size = `viewBox="0 0 ${width} ${top}" width="${width}" height="${top}"`;
  const name = escaped(heading);
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${name}">
<title>${name}</title>
<style>${STYLE}</style>
<rect class="page" width="100%" height="100%"/>
${parts.join('\n')}
</svg>
`;
}

function heightOf({ isTimeline, lines }: Chart): number {
  if (isTimeline) return PLOT.top + Math.max(1, lines.length) * BAR + 30;
  return (
    PLOT.top + PLOT.height + 36 + Math.ceil(Math.min(lines.length, MAX_LEGEND) / legendColumns(lines)) * LEGEND_LINE
  );
}

/** Two where the names are short. */
const legendColumns = (lines: readonly Line[]): number => (lines.every(({ label }) => label.length <= 24) ? 2 : 1);

function drawChart(chart: Chart, run: Run, cellWidth: number): string {
  // Names of alerts stand where elsewhere numbers do.
  const left = chart.isTimeline ? 190 : PLOT.left;
  const width = cellWidth - left - PLOT.right;
  const x = (at: number) => left + ((at - run.from) / (run.to - run.from)) * width;
  const height = chart.isTimeline ? Math.max(1, chart.lines.length) * BAR : PLOT.height;
  const parts = [text(10, 18, chart.title, 'class="title"')];
  for (const { name, from, to } of run.stretches) {
    const w = n(x(to) - x(from));
    parts.push(`<rect class="stretch" x="${n(x(from))}" y="${PLOT.top}" width="${w}" height="${height}"/>`);
    parts.push(text(x(from), PLOT.top - 5, name, 'class="name"'));
  }
  const bottom = PLOT.top + height + 14;
  parts.push(text(left, bottom, '0 s'), text(left + width, bottom, `${run.to - run.from} s`, 'text-anchor="end"'));
  parts.push(...(chart.isTimeline ? drawBars(chart, run, x, left) : drawLines(chart, run, x, left, width)));
  if (chart.lines.length === 0) parts.push(text(left + 8, PLOT.top + 24, 'nothing in this run'));
  return parts.join('\n');
}

type ToX = (at: number) => number;

function drawBars({ lines }: Chart, { stepSeconds }: Run, x: ToX, left: number): string[] {
  const begins = ({ points }: Line) => points[0]?.[0] ?? 0;
  return [...lines]
    .sort((a, b) => begins(a) - begins(b))
    .flatMap((line, i) => {
      const y = PLOT.top + i * BAR;
      const bars = piecesOf(line, stepSeconds).map((piece) => {
        const [from, to] = [piece[0]?.[0] ?? 0, (piece.at(-1)?.[0] ?? 0) + stepSeconds];
        return `<rect class="b1" x="${n(x(from))}" y="${y + 2}" width="${n(x(to) - x(from))}" height="${BAR - 4}" rx="2"/>`;
      });
      return [text(left - 8, y + 12, line.label, 'class="legend" text-anchor="end"'), ...bars];
    });
}

function drawLines({ unit, lines }: Chart, { stepSeconds }: Run, x: ToX, left: number, width: number): string[] {
  const largest = ({ points }: Line) => Math.max(0, ...points.map(([, value]) => value));
  const sorted = [...lines].sort((a, b) => largest(b) - largest(a));
  const top = niceAbove(Math.max(0, ...sorted.map(largest)));
  const y = (value: number) => PLOT.top + PLOT.height - (value / top) * PLOT.height;
  const grid = [0, 0.5, 1].flatMap((share) => [
    `<line class="grid" x1="${left}" x2="${left + width}" y1="${n(y(top * share))}" y2="${n(y(top * share))}"/>`,
    text(left - 6, y(top * share) + 4, written(top * share, unit), 'text-anchor="end"'),
  ]);
  // The largest is drawn last, above the others.
  const drawn = sorted.map((line, i) =>
    piecesOf(line, stepSeconds).map((piece) => {
      const path = piece.map(([at, value]) => `${n(x(at))},${n(y(value))}`).join(' ');
      return `<polyline class="c${i % COLOURS}" points="${path}"/>`;
    }),
  );
  const columns = legendColumns(lines);
  const legend = sorted.slice(0, MAX_LEGEND).flatMap(({ label }, i) => {
    const at = PLOT.top + PLOT.height + 32 + Math.floor(i / columns) * LEGEND_LINE;
    const from = left + (i % columns) * (width / columns);
    const rest = i === MAX_LEGEND - 1 ? sorted.length - MAX_LEGEND : 0;
    return [
      `<rect class="b${i % COLOURS}" x="${n(from)}" y="${at - 8}" width="10" height="8"/>`,
      text(from + 16, at, rest > 0 ? `${label}, and ${rest} more` : label, 'class="legend"'),
    ];
  });
  return [...grid, ...drawn.reverse().flat(), ...legend];
}

/** Between two of them nothing was said: nothing is drawn there. */
function piecesOf({ points }: Line, stepSeconds: number): Line['points'][] {
  const pieces: (readonly [number, number])[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point[0] - last > stepSeconds * 1.5) pieces.push([]);
    pieces.at(-1)?.push(point);
    last = point[0];
  }
  return pieces;
}

const n = (value: number): number => Math.round(value * 10) / 10;

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${n(x)}" y="${n(y)}" ${attributes}>${escaped(content)}</text>`;
}

const escaped = (content: string): string => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** A number that is quickly read, and so is its half. */
function niceAbove(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= value * 0.999) ?? 10) * power;
}

function written(value: number, unit: string): string {
  const rounded = (each: number) => String(Number(each.toPrecision(3)));
  if (unit === 'percentunit') return `${rounded(value * 100)} %`;
  if (unit === 's') return value < 1 ? `${rounded(value * 1_000)} ms` : `${rounded(value)} s`;
  if (unit !== 'bytes' && unit !== 'Bps') return rounded(value);
  const size =
    value >= 1e6 ? `${rounded(value / 1e6)} MB` : value >= 1e3 ? `${rounded(value / 1e3)} kB` : `${rounded(value)} B`;
  return unit === 'Bps' ? `${size}/s` : size;
}
