// A line of the gateway's log in a few words, for people who watch. Pure.

/** The parts that are said; a log line has more. */
export type LogLine = Readonly<Record<string, unknown>>;

export function logSentence({ event, message, method, path, status, duration_ms, outcome, error }: LogLine): string {
  if (event === 'request') return `${method} ${path} → ${status} (${duration_ms} ms)`;
  return ['-', event ?? message, outcome, error].filter((part) => part !== undefined).join(' ');
}
