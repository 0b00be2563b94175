// Makes up what streams send: quotes, news, transcripts. The same in every run of one seed; knows no stream.
import { EVENTS, SECURITIES } from './market-data.ts';
import type { SimulatorSettings } from './settings.ts';

/** One message before it is sent. */
export interface SourceMessage {
  readonly symbol: string;
  readonly type: 'quote' | 'news' | 'transcript';
  /** The message in the first documented form; `seq` counts from 1 for each symbol and type. */
  readonly plain: Readonly<Record<string, unknown>>;
  /** A quote in the second form. */
  readonly fmv: Readonly<Record<string, unknown>> | undefined;
}

/** Makes messages. */
export interface StreamSource {
  /** Every symbol there is, in a fixed order. */
  symbols(): readonly string[];
  /** The next message of a type; symbols come in turn. */
  next(type: SourceMessage['type']): SourceMessage;
  /** The latest `seq` of each symbol's quotes. */
  quotesMade(): ReadonlyMap<string, number>;
  clear(): void;
}

const SENTENCES = [
  'Good afternoon, and thank you for joining us.',
  'Revenue grew in every region.',
  'We raise our guidance for the year.',
  'Let me turn to the balance sheet.',
  'We will now take your questions.',
];
const SPEAKERS = ['Operator', 'Chief Executive Officer', 'Chief Financial Officer', 'Analyst'];

/** Builds a source; settings are read anew for each message. */
export function createStreamSource(settings: SimulatorSettings, now: () => number): StreamSource {
  const turns = { quote: 0, news: 0, transcript: 0 };
  const sequences = new Map<string, number>();
  let names: string[] = [];

  function symbols(): readonly string[] {
    if (names.length !== settings.streamSymbols) {
      names = Array.from({ length: settings.streamSymbols }, (_, index) => symbolAt(index));
    }
    return names;
  }

  return {
    symbols,
    next(type) {
      const symbol = symbols()[turns[type]++ % settings.streamSymbols] as string;
      const key = `${type} ${symbol}`;
      const seq = (sequences.get(key) ?? 0) + 1;
      sequences.set(key, seq);
      const t = now();
      const padding = settings.streamPaddingBytes > 0 ? { padding: 'x'.repeat(settings.streamPaddingBytes) } : {};
      const { price, content } = contentOf(type, symbol, seq, settings.quoteSeed);
      const fmv = type === 'quote' ? { ev: 'FMV', fmv: price, sym: symbol, t } : undefined;
      return { symbol, type, plain: { type, symbol, ...content, seq, t, ...padding }, fmv };
    },
    quotesMade: () => new Map(symbols().map((symbol) => [symbol, sequences.get(`quote ${symbol}`) ?? 0])),
    clear() {
      sequences.clear();
      Object.assign(turns, { quote: 0, news: 0, transcript: 0 });
    },
  };
}

function symbolAt(index: number): string {
  return SECURITIES[index]?.symbol ?? `SIM${String(index + 1).padStart(5, '0')}`;
}

function contentOf(type: SourceMessage['type'], symbol: string, seq: number, seed: number) {
  if (type === 'news') {
    const { event_id, headline, event_type, sentiment } = EVENTS[seq % EVENTS.length] as (typeof EVENTS)[number];
    return { price: 0, content: { event_id, headline, event_type, sentiment } };
  }
  if (type === 'transcript') {
    const speaker = SPEAKERS[seq % SPEAKERS.length];
    return { price: 0, content: { transcript_id: `${symbol}-call`, speaker, text: SENTENCES[seq % SENTENCES.length] } };
  }
  const price = priceOf(symbol, seq, seed);
  return { price, content: { price, bid: cents(price - 0.01), ask: cents(price + 0.01) } };
}

/** A price near the symbol's own level, from seed, symbol and number alone. */
function priceOf(symbol: string, seq: number, seed: number): number {
  const level = 20 + (scatter(symbol, seed) % 400);
  const swing = WAVES.reduce((sum, wave) => sum + swingOf(wave, symbol, seq, seed), 0);
  return cents(level * (1 + swing / 10_000));
}

/** Slow ones and quick ones: how many quotes from turn to turn, and how far at most, in hundredths of a percent. */
const WAVES = [
  { quotes: 37, most: 130 },
  { quotes: 11, most: 50 },
  { quotes: 2, most: 20 },
] as const;

function swingOf({ quotes, most }: (typeof WAVES)[number], symbol: string, seq: number, seed: number): number {
  const turn = Math.floor(seq / quotes);
  const turnAt = (number: number) => (scatter(`${symbol}:${quotes}:${number}`, seed) / 0xffff_ffff - 0.5) * 2 * most;
  const way = (seq % quotes) / quotes;
  return turnAt(turn) + (turnAt(turn + 1) - turnAt(turn)) * way * way * (3 - 2 * way);
}

function cents(value: number): number {
  return Math.round(value * 100) / 100;
}

/** FNV-1a: the same number for the same text, on every machine. */
function scatter(text: string, seed: number): number {
  let hash = 2_166_136_261 ^ seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16_777_619);
  // Texts that differ at their end alone are to differ in every bit.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
