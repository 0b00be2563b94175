// Many pages' WebSockets in one process, and what each of them got: whether it is just what it asked for, in order, and how late.
import type { Socket } from 'node:net';
import { openBareWebSocket } from './bare-web-socket.ts';

export interface LoadReader {
  readonly socket: Socket;
  /** The code that its stream was closed with. */
  code(): number | undefined;
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

  function note(latest: Map<string, number>, text: string): void {
    // Parsing forty thousand messages a second would measure this process.
    const symbol = text.slice(26, text.indexOf('"', 26));
    const seq = numberAfter(text, '"seq":');
    const before = latest.get(symbol);
    if (before === undefined) fault(`not asked for: ${text}`);
    else if (seq !== before + 1) fault(`${symbol}: ${seq} after ${before}`);
    latest.set(symbol, seq);
    const delayMs = Math.max(0, Math.min(MAX_DELAY_MS, Date.now() - numberAfter(text, '"t":')));
    delays[delayMs] = (delays[delayMs] as number) + 1;
    count += 1;
  }

  return {
    readers,
    faults,
    async open(url, cookie, symbols) {
      const latest = new Map(symbols.map((symbol) => [symbol, 0]));
      const subscribed = Promise.withResolvers<void>();
      let answered = 0;
      let code: number | undefined;
      const { socket, send } = await openBareWebSocket(
        `${url}/stream`,
        { Cookie: cookie, Origin: url },
        {
          onText(text) {
            if (text.startsWith('{"type":"quote","symbol":"')) return note(latest, text);
            if (!text.startsWith('{"action":"subscribe"')) return;
            answered += 1;
            if (answered === symbols.length) subscribed.resolve();
          },
          onClose(closed) {
            code = closed;
            subscribed.reject(new Error(`closed with ${closed}`));
          },
        },
      );
      for (const symbol of symbols) send(JSON.stringify({ action: 'subscribe', symbol, type: 'quote' }));
      await subscribed.promise;
      const reader = { socket, latest, code: () => code };
      readers.push(reader);
      return reader;
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
      for (const { socket } of readers) socket.destroy();
    },
  };
}

function numberAfter(text: string, name: string): number {
  return Number.parseInt(text.slice(text.lastIndexOf(name) + name.length), 10);
}
