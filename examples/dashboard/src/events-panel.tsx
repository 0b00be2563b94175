// News events, the latest first: of one symbol or of all, more of them on demand.
import { useCallback, useEffect, useState } from 'react';
import { eventsPath, getJson, type NewsEvent } from './finvera.ts';
import type { GatewayClient } from './gateway.ts';
import type { Problem } from './problem.ts';
import { ProblemNote } from './problem-note.tsx';

interface EventsPanelProps {
  readonly client: GatewayClient;
  readonly symbol: string;
}

interface EventsAnswer {
  readonly events: readonly NewsEvent[];
  readonly total: number;
}

const PAGE_SIZE = 6;
const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

export function EventsPanel({ client, symbol }: EventsPanelProps) {
  const [isOfSymbol, setIsOfSymbol] = useState(false);
  const [limit, setLimit] = useState(PAGE_SIZE);
  const [answer, setAnswer] = useState<EventsAnswer>();
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setIsBusy] = useState(true);
  const wanted = isOfSymbol ? symbol : undefined;

  const load = useCallback(
    async (signal?: AbortSignal) => {
      setIsBusy(true);
      const path = eventsPath({ limit: String(limit), sort: 'desc', ...(wanted ? { symbol: wanted } : {}) });
      const outcome = await getJson<EventsAnswer>(client, path, signal);
      setIsBusy(false);
      setProblem(outcome.kind === 'failed' ? outcome.problem : undefined);
      // What was there stays to be read while Finvera is away.
      if (outcome.kind === 'done') setAnswer(outcome.value);
    },
    [client, limit, wanted],
  );
  useEffect(() => {
    const leaving = new AbortController();
    load(leaving.signal).catch(() => undefined);
    return () => leaving.abort();
  }, [load]);

  return (
    <section className="card" aria-labelledby="events-title" aria-busy={isBusy}>
      <div className="card-head">
        <h2 id="events-title">News events</h2>
        <label className="inline">
          <input type="checkbox" checked={isOfSymbol} onChange={(event) => setIsOfSymbol(event.target.checked)} />
          only {symbol}
        </label>
        <button type="button" onClick={() => load()} disabled={isBusy}>
          Reload<span className="unseen"> the news</span>
        </button>
      </div>
      {problem && <ProblemNote problem={problem} onRetry={() => load()} />}
      {answer?.events.length === 0 && <p className="empty">There is no event.</p>}
      <ul className="events">
        {answer?.events.map((event) => (
          <li key={event.event_id}>
            <details>
              <summary>
                <span className="symbol">{event.symbol}</span>
                <span className="headline">{event.headline}</span>
                <span className={`sentiment ${event.sentiment}`}>{event.sentiment}</span>
                <time dateTime={event.occurred_at}>{TIME.format(new Date(event.occurred_at))}</time>
              </summary>
              <p>{event.description}</p>
            </details>
          </li>
        ))}
      </ul>
      {answer && answer.events.length < answer.total && (
        <button type="button" onClick={() => setLimit(limit + PAGE_SIZE)} disabled={isBusy}>
          Show more<span className="unseen"> news</span>
        </button>
      )}
    </section>
  );
}
