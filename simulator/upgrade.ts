// One upgrade from arrival to its stream or refusal, and what faults do on the way. What an open stream does is not decided here.
import type { Socket } from 'node:net';
import { type Answer, sendableHead } from './answer.ts';
import { drop, type ExchangeParts, planOf, stall, strike, wait } from './exchange.ts';
import { replacementAnswer, withHeaders } from './fault-answers.ts';
import type { FaultSpec, MetFault } from './faults.ts';
import type { JournalEntry } from './journal.ts';
import type { Received } from './received.ts';
import type { StreamEndpoint } from './stream.ts';

/** What serving an upgrade needs. */
export interface UpgradeParts {
  readonly exchange: Pick<ExchangeParts, 'journal' | 'faults' | 'ended'>;
  readonly stream: StreamEndpoint;
  /** The refusal of a stream, or undefined where it may open. */
  readonly refusal: (received: Received) => Answer | undefined;
}

const OPENED: Answer = { status: 101, headers: [], body: Buffer.alloc(0) };
const HALF_HANDSHAKE = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso';

/** One upgrade under way. */
interface Arrival {
  readonly received: Received;
  readonly socket: Socket;
  readonly head: Buffer;
  readonly entry: JournalEntry;
}

/** Serves one upgrade; without faults in one go. */
export function serveUpgrade(received: Received, socket: Socket, head: Buffer, parts: UpgradeParts): void {
  socket.on('error', () => {});
  const { journal, faults } = parts.exchange;
  const arrival = { received, socket, head, entry: journal.begin(received, undefined) };
  const met = faults.take(received);
  if (met.length > 0) void meetFaults(arrival, met, parts);
  else finish(arrival, [], parts);
}

async function meetFaults(arrival: Arrival, met: readonly MetFault[], parts: UpgradeParts): Promise<void> {
  const { socket, entry } = arrival;
  const { journal, ended } = parts.exchange;
  entry.record?.faults.push(...met.map(({ spec }) => spec.fault));
  const signal = ended();
  const { waitsEarly, waitsBefore, waitsAfter, terminal, headers } = planOf(met);
  if (!(await wait([...waitsEarly, ...waitsBefore, ...waitsAfter], signal))) return drop(entry, socket, journal);
  if (socket.destroyed) return;
  if (terminal === undefined) finish(arrival, headers, parts);
  else await meetTerminal(arrival, terminal, headers, parts, signal);
}

async function meetTerminal(
  arrival: Arrival,
  terminal: FaultSpec,
  headers: readonly FaultSpec[],
  parts: UpgradeParts,
  signal: AbortSignal,
): Promise<void> {
  const { received, socket, entry } = arrival;
  const { journal } = parts.exchange;
  switch (terminal.fault) {
    case 'hang':
    case 'reset_before':
    case 'garbage':
      socket.resume();
      return strike(terminal, entry, socket, journal, signal);
    case 'reset_after':
      finish(arrival, headers, parts);
      setImmediate(() => socket.resetAndDestroy());
      return;
    case 'half_body':
      socket.end(HALF_HANDSHAKE);
      return;
    case 'stall_body':
      socket.resume();
      socket.write(HALF_HANDSHAKE);
      return stall(entry, socket, journal, signal);
    default:
      refuse(arrival, withHeaders(replacementAnswer(terminal, received, undefined), headers), parts);
  }
}

function finish(arrival: Arrival, faults: readonly FaultSpec[], parts: UpgradeParts): void {
  const { received, socket, head, entry } = arrival;
  const refusal = parts.refusal(received);
  const answer = withHeaders(refusal ?? OPENED, faults);
  if (refusal === undefined) {
    parts.exchange.journal.answered(entry, 101);
    parts.stream.accept(received.request, socket, head, answer.headers);
  } else {
    refuse(arrival, answer, parts);
  }
}

/** Refuses with a plain HTTP answer. */
function refuse({ socket, entry }: Arrival, answer: Answer, parts: UpgradeParts): void {
  parts.exchange.journal.answered(entry, answer.status);
  socket.end(Buffer.concat([Buffer.from(sendableHead(answer)), Buffer.from(answer.body as Uint8Array)]));
}
