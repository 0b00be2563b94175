/** Streams, events and long answers wired to the sessions they belong to, and the hub. */
import type { Settings } from '../config/settings.ts';
import { withApiKey } from '../forwarding/api-key-query.ts';
import { createHubReport, showHub } from '../observability/hub-report.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createStreamReport } from '../observability/stream-report.ts';
import { createBoundAnswers } from '../streams/bound-answers.ts';
import { codeLabel } from '../streams/close-codes.ts';
import { createSessionEvents } from '../streams/session-events.ts';
import { createSessionWatch } from '../streams/session-watch.ts';
import { createStreamHub } from '../streams/stream-hub.ts';
import { createStreams } from '../streams/streams.ts';
import { dialUpstream, streamUrl } from '../streams/upstream-dial.ts';
import type { AssemblyParts } from './assemble.ts';
import type { createSessionParts } from './session-parts.ts';

/** Everything that outlasts a request, and the watch that ends it with its session. */
export function createStreamParts(
  { settings, clock, log, metrics, channel }: Pick<AssemblyParts, 'settings' | 'clock' | 'log' | 'metrics' | 'channel'>,
  { sessions, times }: Pick<ReturnType<typeof createSessionParts>, 'sessions' | 'times'>,
) {
  const watch = createSessionWatch({ sessions, channel, clock, times });
  const streams = createStreams({
    watch,
    report: createStreamReport(log, metrics, codeLabel),
    limits: {
      maxBufferedBytes: settings.streams.maxBufferedBytes,
      stallMs: settings.streams.stallTimeout,
      heartbeatMs: settings.streams.heartbeat,
    },
    maxPerSession: settings.streams.maxPerSession,
  });
  const events = createSessionEvents({ watch, maxPerSession: settings.streams.maxPerSession });
  const bound = createBoundAnswers({ watch });
  metrics.onScrape(() => {
    metrics.openStreams.set({ kind: 'streams' }, streams.size);
    metrics.openStreams.set({ kind: 'events' }, events.size);
    metrics.openStreams.set({ kind: 'answers' }, bound.size);
    metrics.watchedSessions.set(watch.size);
  });
  return { watch, streams, events, bound, hub: createHub(settings, log, metrics) };
}

/** One upstream connection for all browsers, and only ever with the server's own key. */
function createHub({ streams, finveraStreamUrl, finveraApiKey }: Settings, log: Logger, metrics: Metrics) {
  if (streams.mode !== 'hub' || !finveraApiKey) return undefined;
  const hub = createStreamHub({
    dial: (signal) =>
      dialUpstream({
        url: streamUrl(finveraStreamUrl, withApiKey('', finveraApiKey.reveal())),
        headers: [],
        protocols: [],
        handshakeTimeoutMs: streams.handshakeTimeout,
        maxMessageBytes: streams.maxMessageBytes,
        signal,
      }),
    heartbeatMs: streams.heartbeat,
    symbolFields: streams.symbolFields,
    report: createHubReport(log, metrics, finveraApiKey),
  });
  showHub(metrics, hub.stats);
  return hub;
}
