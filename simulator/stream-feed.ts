// Sends at the settings' rates while anybody listens. Makes no message and knows no stream.
import type { SimulatorSettings } from './settings.ts';
import type { SourceMessage, StreamSource } from './stream-source.ts';

const TICK_MS = 5;
/** After a stop of the process the missed part is not caught up at once. */
const MAX_BEHIND_MS = 1_000;

/** Paces messages. */
export interface StreamFeed {
  start(): void;
  stop(): void;
}

/** Builds a feed that stands still. */
export function createStreamFeed(
  settings: SimulatorSettings,
  source: StreamSource,
  send: (message: SourceMessage) => void,
): StreamFeed {
  let timer: NodeJS.Timeout | undefined;
  let lastMs = 0;
  const owed = { quote: 0, news: 0, transcript: 0 };

  function tick(): void {
    const nowMs = performance.now();
    const elapsedS = Math.min(nowMs - lastMs, MAX_BEHIND_MS) / 1_000;
    lastMs = nowMs;
    owed.quote += elapsedS * settings.quoteRate * settings.streamSymbols;
    owed.news += elapsedS * settings.newsRate;
    owed.transcript += elapsedS * settings.transcriptRate;
    for (const type of ['quote', 'news', 'transcript'] as const) {
      for (; owed[type] >= 1; owed[type]--) send(source.next(type));
    }
  }

  return {
    start() {
      if (timer !== undefined) return;
      lastMs = performance.now();
      timer = setInterval(tick, TICK_MS);
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}
