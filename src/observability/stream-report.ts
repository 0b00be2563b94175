/** Turns what happens to streams into log lines and metrics: one line a stream, at its end. It decides nothing. */
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** What is told of a stream that is over: never its query, which may hold what no log should. */
export interface ClosedStream {
  readonly session: string;
  readonly userId: string;
  readonly requestId: string;
  readonly clientIp: string;
  readonly durationMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly code: number;
  readonly by: 'browser' | 'upstream' | 'gateway';
}

export interface StreamReport {
  /** `in` from the browser, `out` to it. */
  message(direction: 'in' | 'out', bytes: number): void;
  closed(stream: ClosedStream): void;
}

/** @param labelOf the code as a label of a closed list. */
export function createStreamReport(log: Logger, metrics: Metrics, labelOf: (code: number) => string): StreamReport {
  const messages = { in: { messages: 0, bytes: 0 }, out: { messages: 0, bytes: 0 } };
  // Counted in plain numbers, as messages come by the thousand; handed over when somebody scrapes.
  metrics.onScrape(() => {
    for (const direction of ['in', 'out'] as const) {
      metrics.streamMessages.inc({ direction }, messages[direction].messages);
      metrics.streamBytes.inc({ direction }, messages[direction].bytes);
      messages[direction] = { messages: 0, bytes: 0 };
    }
  });
  return {
    message(direction, bytes) {
      const counted = messages[direction];
      counted.messages += 1;
      counted.bytes += bytes;
    },
    closed(stream) {
      const { code, by } = stream;
      metrics.streamsClosed.inc({ code: labelOf(code), by });
      log.info(
        {
          event: 'stream',
          request_id: stream.requestId,
          session: stream.session,
          user_id: stream.userId,
          ip: stream.clientIp,
          duration_ms: Math.round(stream.durationMs),
          messages_in: stream.messagesIn,
          messages_out: stream.messagesOut,
          bytes_in: stream.bytesIn,
          bytes_out: stream.bytesOut,
          close_code: code,
          closed_by: by,
        },
        'stream closed',
      );
    },
  };
}
