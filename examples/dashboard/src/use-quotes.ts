// The live quotes: one stream for the page, the symbols it is subscribed to, and the last minute of each.
import { useCallback, useEffect, useRef, useState } from 'react';
import type { GatewayClient, StreamState } from './gateway.ts';
import { readQuote, type Tick, withTick } from './quote-history.ts';

export interface Quotes {
  readonly state: StreamState;
  readonly symbols: readonly string[];
  readonly ticks: ReadonlyMap<string, readonly Tick[]>;
  watch(symbol: string): void;
  unwatch(symbol: string): void;
}

const AT_FIRST: readonly string[] = ['AAPL', 'MSFT', 'NVDA', 'AMZN', 'TSLA'];
/** Ticks are shown together: a market that is in a hurry must not make the page slow. */
const SHOW_EVERY_MS = 200;

export function useQuotes(client: GatewayClient): Quotes {
  const [state, setState] = useState<StreamState>('connecting');
  const [symbols, setSymbols] = useState(AT_FIRST);
  const [ticks, setTicks] = useState<ReadonlyMap<string, readonly Tick[]>>(new Map());
  const stream = useRef<ReturnType<GatewayClient['stream']>>(undefined);
  const wanted = useRef(AT_FIRST);

  useEffect(() => {
    const opened = client.stream();
    stream.current = opened;
    let fresh = new Map<string, readonly Tick[]>();
    let isChanged = false;
    opened.on('state', setState);
    opened.on('message', (message) => {
      const quote = readQuote(message);
      if (!quote) return;
      const tick = { atMs: performance.now(), price: quote.price };
      fresh.set(quote.symbol, withTick(fresh.get(quote.symbol) ?? [], tick));
      isChanged = true;
    });
    for (const symbol of wanted.current) opened.subscribe(symbol, { type: 'quote' });
    const timer = setInterval(() => {
      if (!isChanged) return;
      isChanged = false;
      fresh = new Map(fresh);
      setTicks(fresh);
    }, SHOW_EVERY_MS);
    return () => {
      clearInterval(timer);
      opened.close();
    };
  }, [client]);

  const change = useCallback((next: readonly string[]) => {
    wanted.current = next;
    setSymbols(next);
  }, []);
  const watch = useCallback(
    (symbol: string) => {
      if (wanted.current.includes(symbol)) return;
      change([...wanted.current, symbol]);
      stream.current?.subscribe(symbol, { type: 'quote' });
    },
    [change],
  );
  const unwatch = useCallback(
    (symbol: string) => {
      change(wanted.current.filter((one) => one !== symbol));
      stream.current?.unsubscribe(symbol);
    },
    [change],
  );
  return { state, symbols, ticks, watch, unwatch };
}
