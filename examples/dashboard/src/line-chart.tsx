// A minute of prices as one line of SVG that moves to the left, as wide as there is room. Keeps nothing of the prices.
import { useEffect, useRef, useState } from 'react';
import { type Tick, WINDOW_MS } from './quote-history.ts';

interface LineChartProps {
  readonly symbol: string;
  readonly ticks: readonly Tick[];
}

const FIRST_WIDTH = 640;
const HEIGHT = 200;
const LEFT = 4;
const RIGHT = 64;
const TOP = 12;
const BOTTOM = 24;
const GRID_LINES = 4;
const SECONDS = [60, 45, 30, 15];
/** Wide enough for the figures below each of them. */
const ROOMY = 420;

export function LineChart({ symbol, ticks }: LineChartProps) {
  const { frame, width } = useWidth();
  const last = ticks.at(-1);
  return (
    <div ref={frame} className="chart-frame">
      {last ? (
        <Line symbol={symbol} ticks={ticks} last={last} width={width} />
      ) : (
        <p className="empty chart-empty">No quote of {symbol} yet.</p>
      )}
    </div>
  );
}

/** The element's own width: lines and figures keep their size in any window. */
function useWidth() {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(FIRST_WIDTH);
  useEffect(() => {
    if (!frame.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.round(entry.contentRect.width)));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);
  return { frame, width };
}

interface LineProps extends LineChartProps {
  readonly last: Tick;
  readonly width: number;
}

function Line({ symbol, ticks, last, width }: LineProps) {
  const { low, high } = rangeOf(ticks);
  const x = (atMs: number) => width - RIGHT - ((last.atMs - atMs) / WINDOW_MS) * (width - LEFT - RIGHT);
  const y = (price: number) => TOP + ((high - price) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const points = ticks.map(({ atMs, price }) => `${x(atMs).toFixed(1)},${y(price).toFixed(1)}`).join(' ');
  const levels = Array.from({ length: GRID_LINES }, (_, index) => low + ((high - low) * index) / (GRID_LINES - 1));
  const summary = `${symbol} in the last minute: now ${last.price.toFixed(2)}, between ${low.toFixed(2)} and ${high.toFixed(2)}`;
  return (
    <svg className="chart" viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={summary}>
      <defs>
        <clipPath id="window">
          <rect x={LEFT} y="0" width={width - RIGHT - LEFT} height={HEIGHT} />
        </clipPath>
      </defs>
      {levels.map((level) => (
        <g key={level} className="level">
          <line x1={LEFT} x2={width - RIGHT} y1={y(level)} y2={y(level)} />
          <text x={width - RIGHT + 8} y={y(level) + 4}>
            {level.toFixed(2)}
          </text>
        </g>
      ))}
      {SECONDS.filter((seconds) => width > ROOMY || seconds % 30 === 0).map((seconds) => (
        <text key={seconds} className="moment" x={x(last.atMs - seconds * 1_000)} y={HEIGHT - 6}>
          −{seconds} s
        </text>
      ))}
      <g clipPath="url(#window)">
        <polygon
          className="area"
          points={`${x(ticks[0]?.atMs ?? 0).toFixed(1)},${HEIGHT - BOTTOM} ${points} ${x(last.atMs)},${HEIGHT - BOTTOM}`}
        />
        <polyline className="line" points={points} />
      </g>
      <circle className="dot" cx={x(last.atMs)} cy={y(last.price)} r="4" />
    </svg>
  );
}

/** A little more than what the prices span, so that the line does not run along the edge. */
function rangeOf(ticks: readonly Tick[]): { low: number; high: number } {
  const prices = ticks.map(({ price }) => price);
  const low = Math.min(...prices);
  const high = Math.max(...prices);
  const margin = Math.max((high - low) * 0.1, high * 0.0005, 0.01);
  return { low: low - margin, high: high + margin };
}
