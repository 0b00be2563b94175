// The bar chart of the report, as SVG text. Draws only; knows no contender.

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly isOurs: boolean;
}

export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 860;
const LABEL_WIDTH = 330;
const VALUE_WIDTH = 80;
const BAR_HEIGHT = 22;
const STEP = 32;
const PANEL_GAP = 28;
const TITLE_HEIGHT = 34;

/** Readable on light and dark pages. */
const STYLE = `text { font: 14px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 15px; }
  .bar { fill: #9aa7b4; } .ours { fill: #1f6feb; } .background { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .bar { fill: #57616c; } .ours { fill: #4c8dff; } .background { fill: #0d1117; }
  }`;

export function drawChart(title: string, panels: readonly Panel[]): string {
  let top = 16;
  const parts: string[] = [];
  for (const panel of panels) {
    parts.push(drawPanel(panel, top));
    top += TITLE_HEIGHT + panel.bars.length * STEP + PANEL_GAP;
  }
  const height = top - PANEL_GAP + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeText(title)}">
  <title>${escapeText(title)}</title>
  <style>${STYLE}</style>
  <rect class="background" width="100%" height="100%"/>
${parts.join('\n')}
</svg>
`;
}

function drawPanel({ title, bars }: Panel, top: number): string {
  const longest = Math.max(...bars.map(({ value }) => value));
  const lines = bars.map(({ label, value, isOurs }, i) => {
    const y = top + TITLE_HEIGHT + i * STEP;
    const length = Math.round((value / longest) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH - 16));
    const baseline = y + BAR_HEIGHT - 6;
    return `  <text x="${LABEL_WIDTH - 10}" y="${baseline}" text-anchor="end">${escapeText(label)}</text>
  <rect class="${isOurs ? 'ours' : 'bar'}" x="${LABEL_WIDTH}" y="${y}" width="${length}" height="${BAR_HEIGHT}" rx="3"/>
  <text x="${LABEL_WIDTH + length + 8}" y="${baseline}">${Math.round(value).toLocaleString('en-GB')}</text>`;
  });
  return `  <text class="title" x="16" y="${top + 16}">${escapeText(title)}</text>\n${lines.join('\n')}`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
