// Finding a security by its symbol, name or number, and watching it.
import { type FormEvent, useState } from 'react';
import { getJson, type Security, securitiesPath } from './finvera.ts';
import type { GatewayClient } from './gateway.ts';
import type { Problem } from './problem.ts';
import { ProblemNote } from './problem-note.tsx';

interface SearchPanelProps {
  readonly client: GatewayClient;
  readonly watched: readonly string[];
  onWatch(symbol: string): void;
}

interface SecuritiesAnswer {
  readonly securities: readonly Security[];
}

const TYPES = [
  ['symbol', 'Symbol'],
  ['name', 'Name'],
  ['isin', 'ISIN'],
  ['figi', 'FIGI'],
] as const;

export function SearchPanel({ client, watched, onWatch }: SearchPanelProps) {
  const [found, setFound] = useState<readonly Security[]>();
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setIsBusy] = useState(false);

  const search = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const path = securitiesPath(String(form.get('search')), String(form.get('type')));
    setIsBusy(true);
    const outcome = await getJson<SecuritiesAnswer>(client, path);
    setIsBusy(false);
    setProblem(outcome.kind === 'failed' ? outcome.problem : undefined);
    setFound(outcome.kind === 'done' ? outcome.value.securities : undefined);
  };

  return (
    <section className="card" aria-labelledby="search-title">
      <h2 id="search-title">Securities</h2>
      {/* biome-ignore lint/a11y/useSemanticElements: <search> is younger than the browsers this page supports. */}
      <form role="search" className="row" onSubmit={search} aria-busy={isBusy}>
        <label className="grow">
          <span className="unseen">Search for</span>
          <input name="search" type="search" required placeholder="Apple, US03…" autoComplete="off" />
        </label>
        <label>
          <span className="unseen">Search by</span>
          <select name="type" defaultValue="name">
            {TYPES.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <button type="submit">Search</button>
      </form>
      {problem && <ProblemNote problem={problem} />}
      <p role="status" className={found?.length ? 'unseen' : 'empty'}>
        {found && (found.length === 0 ? 'Nothing was found.' : `${found.length} found.`)}
      </p>
      {found && found.length > 0 && (
        <ul className="found">
          {found.map(({ figi, name, symbol, isin }) => (
            <li key={figi}>
              <span className="symbol">{symbol}</span>
              <span className="grow">
                {name}
                <span className="fine"> {isin}</span>
              </span>
              <button type="button" onClick={() => onWatch(symbol)} disabled={watched.includes(symbol)}>
                {watched.includes(symbol) ? 'Watched' : 'Watch'}
                <span className="unseen"> {symbol}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
