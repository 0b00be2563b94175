// One request from arrival to its answer, and what faults do on the way. Neither makes answers nor decides which faults are active.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Answer, sendAnswer, sendHalf } from './answer.ts';
import { replacementAnswer, withHeaders } from './fault-answers.ts';
import type { FaultBox, FaultKind, FaultSpec, MetFault } from './faults.ts';
import { type Journal, type JournalEntry, noteBody } from './journal.ts';
import { isEcho } from './probe-calls.ts';
import { hasBody, type Received, readBody } from './received.ts';

/** What serving a request needs. */
export interface ExchangeParts {
  readonly journal: Journal;
  readonly faults: FaultBox;
  /** The good answer; calling it is what makes the call take effect. */
  readonly answer: (received: Received) => Answer;
  /** Aborts when the simulator starts over or closes: what still waits then ends without an answer. */
  readonly ended: () => AbortSignal;
}

const ON_THE_WIRE: ReadonlySet<FaultKind> = new Set(['hang', 'reset_before', 'reset_after', 'garbage']);
const CUT_SHORT: ReadonlySet<FaultKind> = new Set(['half_body', 'stall_body']);
const ALWAYS_COMPUTED: ReadonlySet<FaultKind> = new Set(['reset_after', 'half_body', 'stall_body']);

/** The faults of one request, sorted by when they strike. */
interface Plan {
  readonly waitsEarly: readonly MetFault[];
  readonly waitsBefore: readonly MetFault[];
  readonly waitsAfter: readonly MetFault[];
  /** The one fault that ends the request, if any. */
  readonly terminal: FaultSpec | undefined;
  readonly headers: readonly FaultSpec[];
}

/** Serves one request; without faults and without a body, in one go. */
export function serve(received: Received, response: ServerResponse, parts: ExchangeParts): Promise<void> | undefined {
  const { journal, faults } = parts;
  const entry = journal.begin(received, response);
  const met = faults.take(received);
  if (met.length > 0 || hasBody(received.request)) return serveSlowly(received, response, entry, met, parts);
  const answer = parts.answer(received);
  journal.answered(entry, answer.status);
  return sendAnswer(response, answer);
}

async function serveSlowly(
  received: Received,
  response: ServerResponse,
  entry: JournalEntry,
  met: readonly MetFault[],
  parts: ExchangeParts,
): Promise<void> {
  entry.record?.faults.push(...met.map(({ spec }) => spec.fault));
  const signal = parts.ended();
  const plan = planOf(met);
  const socket = received.request.socket;
  if (!(await wait(plan.waitsEarly, signal))) return drop(entry, socket, parts.journal);
  if (plan.terminal?.early !== true) {
    const body = await readBody(received.request, isEcho(received.path));
    if (body === undefined) return;
    received.body = body;
    noteBody(entry, received);
  }
  if (!(await wait(plan.waitsBefore, signal))) return drop(entry, socket, parts.journal);
  // From here on the call takes effect even if the client has left meanwhile, as it does in any real server.
  const good = takesEffect(plan) ? parts.answer(received) : undefined;
  if (!(await wait(plan.waitsAfter, signal))) return drop(entry, socket, parts.journal);
  const { terminal } = plan;
  if (terminal !== undefined && ON_THE_WIRE.has(terminal.fault))
    return strike(terminal, entry, socket, parts.journal, signal);
  const chosen =
    terminal === undefined || CUT_SHORT.has(terminal.fault) ? good : replacementAnswer(terminal, received, good);
  const answer = withHeaders(chosen as Answer, plan.headers);
  parts.journal.answered(entry, answer.status);
  if (terminal === undefined || !CUT_SHORT.has(terminal.fault)) return sendAnswer(response, answer);
  await sendHalf(response, answer);
  if (terminal.fault === 'stall_body') return stall(entry, socket, parts.journal, signal);
  parts.journal.dropped(entry);
  socket.destroy();
}

/** Sorts the faults a request met. */
export function planOf(met: readonly MetFault[]): Plan {
  const waits = met.filter(({ spec }) => spec.fault === 'latency' || spec.fault === 'hold');
  const specs = met.map(({ spec }) => spec);
  const terminal = specs.find(({ fault }) => fault !== 'latency' && fault !== 'hold' && fault !== 'headers');
  return {
    waitsEarly: waits.filter(({ spec }) => spec.early === true),
    waitsBefore: waits.filter(({ spec }) => spec.early !== true && spec.computed !== true),
    waitsAfter: waits.filter(({ spec }) => spec.computed === true),
    terminal,
    headers: specs.filter((spec) => spec.fault === 'headers' || spec === terminal),
  };
}

function takesEffect({ terminal }: Plan): boolean {
  return terminal === undefined || terminal.computed === true || ALWAYS_COMPUTED.has(terminal.fault);
}

/** Waits in turn; false where the simulator ended meanwhile. */
export async function wait(waits: readonly MetFault[], signal: AbortSignal): Promise<boolean> {
  for (const { spec, removed } of waits) {
    await untilDone(signal, (done) => {
      if (spec.fault === 'hold') {
        void removed.then(done);
        return () => {};
      }
      const timer = setTimeout(done, spec.ms ?? 1000);
      return () => clearTimeout(timer);
    });
  }
  return !signal.aborted;
}

/** Resolves when what was started is done, or on abort; either way nothing of it is left behind. */
function untilDone(signal: AbortSignal, start: (done: () => void) => () => void): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener('abort', done);
      stop();
      resolve();
    };
    const stop = start(done);
    signal.addEventListener('abort', done);
  });
}

/** Ends the connection without an answer. */
export function drop(entry: JournalEntry, socket: Socket, journal: Journal): void {
  journal.dropped(entry);
  socket.destroy();
}

/** Lets a fault strike that is no answer. */
export async function strike(
  spec: FaultSpec,
  entry: JournalEntry,
  socket: Socket,
  journal: Journal,
  signal: AbortSignal,
): Promise<void> {
  if (spec.fault === 'hang') return stall(entry, socket, journal, signal);
  journal.dropped(entry);
  if (spec.fault === 'garbage') socket.end(spec.body ?? 'this is not HTTP\r\n\r\n');
  else socket.resetAndDestroy();
}

/** Says nothing more until the client leaves, or the simulator ends. */
export async function stall(entry: JournalEntry, socket: Socket, journal: Journal, signal: AbortSignal): Promise<void> {
  if (socket.destroyed) return;
  await untilDone(signal, (done) => {
    socket.once('close', done);
    return () => socket.off('close', done);
  });
  if (!socket.destroyed) drop(entry, socket, journal);
}
