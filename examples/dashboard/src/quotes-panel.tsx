// Live quotes: the symbols that are watched, and a chart of the chosen one.
import type { StreamState } from './gateway.ts';
import { LineChart } from './line-chart.tsx';
import type { Tick } from './quote-history.ts';
import type { Quotes } from './use-quotes.ts';

interface QuotesPanelProps {
  readonly quotes: Quotes;
  readonly symbol: string;
  onChoose(symbol: string): void;
}

const STATES: Readonly<Record<StreamState, string>> = {
  connecting: 'Connecting…',
  open: 'Live',
  waiting: 'Reconnecting…',
  closed: 'Ended',
};

export function QuotesPanel({ quotes, symbol, onChoose }: QuotesPanelProps) {
  return (
    <section className="card" aria-labelledby="quotes-title">
      <div className="card-head">
        <h2 id="quotes-title">Live quotes</h2>
        <span role="status" className={`badge stream-${quotes.state}`}>
          {STATES[quotes.state]}
        </span>
      </div>
      <LineChart symbol={symbol} ticks={quotes.ticks.get(symbol) ?? []} />
      <table className="quotes">
        <caption className="unseen">Watched symbols, with their change over the last minute</caption>
        <thead>
          <tr>
            <th scope="col">Symbol</th>
            <th scope="col" className="number">
              Price
            </th>
            <th scope="col" className="number">
              Change
            </th>
            <th scope="col">
              <span className="unseen">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {quotes.symbols.map((one) => (
            <QuoteRow
              key={one}
              symbol={one}
              ticks={quotes.ticks.get(one) ?? []}
              isChosen={one === symbol}
              onChoose={() => onChoose(one)}
              onUnwatch={() => quotes.unwatch(one)}
            />
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface QuoteRowProps {
  readonly symbol: string;
  readonly ticks: readonly Tick[];
  readonly isChosen: boolean;
  onChoose(): void;
  onUnwatch(): void;
}

function QuoteRow({ symbol, ticks, isChosen, onChoose, onUnwatch }: QuoteRowProps) {
  const first = ticks[0]?.price;
  const last = ticks.at(-1)?.price;
  return (
    <tr className={isChosen ? 'chosen' : undefined}>
      <th scope="row">
        <button type="button" className="plain" aria-pressed={isChosen} onClick={onChoose}>
          {symbol}
        </button>
      </th>
      <td className="number">{last?.toFixed(2) ?? '–'}</td>
      <td className="number">{first !== undefined && last !== undefined ? <Change from={first} to={last} /> : '–'}</td>
      <td className="actions">
        <button type="button" className="plain" aria-label={`Stop watching ${symbol}`} onClick={onUnwatch}>
          ✕
        </button>
      </td>
    </tr>
  );
}

/** An arrow beside the colour: not everybody sees the colour. */
function Change({ from, to }: { readonly from: number; readonly to: number }) {
  const percent = ((to - from) / from) * 100;
  const direction = percent > 0 ? 'up' : percent < 0 ? 'down' : 'same';
  const sign = { up: '▲', down: '▼', same: '=' }[direction];
  return (
    <span className={direction}>
      {sign} {Math.abs(percent).toFixed(2)} %
    </span>
  );
}
