// Many pages' WebSockets in one process, and what each of them got: whether it is just what it asked for, in order, and how late.
import { WebSocket } from 'ws';

export interface LoadReader {
  readonly socket: WebSocket;
  readonly symbols: readonly string[];
  /** The number of the latest quote of each symbol; each must follow on the one before. */
  readonly latest: Map<string, number>;
}

export interface StreamLoad {
  readonly readers: readonly LoadReader[];
  /** Messages that were not asked for, came twice, out of order or after a gap. */
  readonly faults: { count: number; first: string };
  /** Resolves once every subscription is answered. */
  open(url: string, cookie: string, symbols: readonly string[]): Promise<LoadReader>;
  /** Delays since the last call, in milliseconds. */
  takeDelays(): { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number };
  close(): void;
}

const MAX_DELAY_MS = 60_000;

export function createStreamLoad(): StreamLoad {
  const readers: LoadReader[] = [];
  const faults = { count: 0, first: '' };
  let delays = new Uint32Array(MAX_DELAY_MS + 1);
  let count = 0;

  function fault(what: string): void {
    faults.count += 1;
    if (faults.first === '') faults.first = what;
  }

  function note(reader: LoadReader, text: string): void {
    // Parsing forty thousand messages a second would measure this process.
    const symbol = text.slice(26, text.indexOf('"', 26));
    const seq = numberAfter(text, '"seq":');
    const before = reader.latest.get(symbol);
    if (before === undefined) fault(`not asked for: ${text}`);
    else if (seq !== before + 1) fault(`${symbol}: ${seq} after ${before}`);
    reader.latest.set(symbol, seq);
    const delayMs = Math.max(0, Math.min(MAX_DELAY_MS, Date.now() - numberAfter(text, '"t":')));
    delays[delayMs] = (delays[delayMs] as number) + 1;
    count += 1;
  }

  return {
    readers,
    faults,
    open(url, cookie, symbols) {
      const socket = new WebSocket(`${url.replace('http', 'ws')}/stream`, {
        headers: { Cookie: cookie, Origin: url },
        perMessageDeflate: false,
      });
      const reader: LoadReader = { socket, symbols, latest: new Map(symbols.map((symbol) => [symbol, 0])) };
      readers.push(reader);
      return new Promise((resolve, reject) => {
        let answered = 0;
        socket.on('error', reject);
        socket.on('open', () => {
          for (const symbol of symbols) socket.send(JSON.stringify({ action: 'subscribe', symbol, type: 'quote' }));
        });
        socket.on('message', (data) => {
          const text = (data as Buffer).toString('latin1');
          if (text.startsWith('{"type":"quote","symbol":"')) return note(reader, text);
          if (!text.startsWith('{"action":"subscribe"')) return;
          answered += 1;
          if (answered === symbols.length) resolve(reader);
        });
      });
    },
    takeDelays() {
      const [total, counted] = [count, delays];
      const at = (share: number) => {
        let seen = 0;
        return counted.findIndex((each) => {
          seen += each;
          return seen >= total * share && seen > 0;
        });
      };
      const taken = { count: total, p50: at(0.5), p99: at(0.99), max: counted.findLastIndex((each) => each > 0) };
      delays = new Uint32Array(MAX_DELAY_MS + 1);
      count = 0;
      return taken;
    },
    close() {
      for (const { socket } of readers) socket.terminate();
    },
  };
}

function numberAfter(text: string, name: string): number {
  return Number.parseInt(text.slice(text.lastIndexOf(name) + name.length), 10);
}
