// What happens behind the page, line by line, for whoever listens: the gateway's log and what Finvera received. Never a header: tokens are there.
import type { ServerResponse } from 'node:http';
import type { RecordedRequest } from '../../simulator/journal.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { type LogLine, logSentence } from './log-sentence.ts';

export interface ActivityFeed {
  /** A line of the gateway's log. */
  noteLog(line: LogLine): void;
  /** Something that the visitor did to the demo. */
  noteChange(text: string): void;
  /** Sends the latest lines, and every one from now on, as server-sent events until the other side leaves. */
  follow(response: ServerResponse): void;
  close(): void;
}

interface Line {
  readonly id: number;
  readonly from: 'gateway' | 'finvera' | 'demo';
  readonly text: string;
}

/** Whether its answer may still come. The stream's request never says. */
const isPending = ({ status, aborted, call, at }: RecordedRequest): boolean =>
  status === undefined && !aborted && call !== 'stream' && Date.now() - at < PATIENCE_MS;

const PATIENCE_MS = 3_000;
const LOOK_EVERY_MS = 200;
const HEARTBEAT_MS = 10_000;
const KEPT_LINES = 60;

export function createActivityFeed(simulator: Simulator): ActivityFeed {
  const listeners = new Set<ServerResponse>();
  let kept: Line[] = [];
  let lastId = 0;
  let seenRequestId = 0;

  const add = (from: Line['from'], text: string) => {
    const line = { id: ++lastId, from, text };
    kept = [...kept, line].slice(-KEPT_LINES);
    for (const listener of listeners) send(listener, line);
  };
  const send = (listener: ServerResponse, line: Line) => void listener.write(`data: ${JSON.stringify(line)}\n\n`);

  /** Each request once: when it is answered, or will not be. */
  const look = () => {
    const requests = simulator.requests().filter(({ id }) => id > seenRequestId);
    const first = requests.findIndex(isPending);
    for (const { method, url, status, faults } of first === -1 ? requests : requests.slice(0, first)) {
      const fault = faults.length > 0 ? ` [${faults.join(', ')}]` : '';
      add('finvera', `${method} ${url.split('?', 1)[0]} → ${status ?? 'no answer'}${fault}`);
    }
    seenRequestId = (first === -1 ? requests.at(-1)?.id : (requests[first]?.id ?? 1) - 1) ?? seenRequestId;
  };
  const timers = [
    setInterval(look, LOOK_EVERY_MS),
    setInterval(() => {
      for (const listener of listeners) listener.write(':\n\n');
    }, HEARTBEAT_MS),
  ];

  return {
    noteLog(line) {
      look();
      add('gateway', logSentence(line));
    },
    noteChange: (text) => add('demo', text),
    follow(response) {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      response.write(':\n\n');
      for (const line of kept) send(response, line);
      listeners.add(response);
      response.once('close', () => listeners.delete(response));
    },
    close() {
      for (const timer of timers) clearInterval(timer);
      for (const listener of listeners) listener.end();
    },
  };
}
