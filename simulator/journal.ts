// What the simulator received, in order, and counts of it. Bounded; changes nothing about an answer.
import type { ServerResponse } from 'node:http';
import { CALLS, type Call, type Received } from './received.ts';

/** One received request, as it came. */
export interface RecordedRequest {
  /** Counts from 1, in order of arrival. */
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  /** Names and values in turn, spelled and ordered as they came. */
  readonly rawHeaders: readonly string[];
  readonly call: Call;
  bodyBytes: number;
  /** Up to 8 KiB of text; undefined where larger, or empty. */
  body: string | undefined;
  /** Undefined while unanswered, or where a fault let no answer out. */
  status: number | undefined;
  /** Whether the client went away before its answer ended. */
  aborted: boolean;
  /** Kinds of the faults it met. */
  readonly faults: string[];
}

/** Numbers about one kind of call. */
interface CallCounters {
  received: number;
  /** Answers by status. */
  readonly answered: Record<string, number>;
  /** Clients that went away before their answer ended; counted only while recording. */
  aborted: number;
}

export type Counters = Record<Call, CallCounters>;

/** One request's place in the journal. */
export interface JournalEntry {
  /** Undefined where nothing but counts is kept. */
  readonly record: RecordedRequest | undefined;
  readonly counters: CallCounters;
}

/** Remembers requests. */
export interface Journal {
  /** Notes a request as its headers arrive; `response` (absent for upgrades) tells whether the client stayed. */
  begin(received: Received, response: ServerResponse | undefined): JournalEntry;
  /** Notes the status that is about to go out. */
  answered(entry: JournalEntry, status: number): void;
  /** Notes that the simulator itself ends the connection: not an abort by the client. */
  dropped(entry: JournalEntry): void;
  requests(call?: Call): RecordedRequest[];
  counters(): Counters;
  /** Resolves when this many requests of a call have arrived since the last clear. */
  waitFor(call: Call, count: number, timeoutMs: number): Promise<void>;
  clear(): void;
}

const MAX_BODY_BYTES = 8192;

interface Waiter {
  readonly call: Call;
  readonly count: number;
  readonly resolve: () => void;
}

function emptyCounters(): Counters {
  return Object.fromEntries(
    CALLS.map((call) => [call, { received: 0, answered: {}, aborted: 0 }]),
  ) as unknown as Counters;
}

/** Notes a request's body once it has been read. */
export function noteBody(entry: JournalEntry, { body }: Received): void {
  if (entry.record === undefined) return;
  entry.record.bodyBytes = body.bytes;
  if (body.bytes > 0 && body.bytes <= MAX_BODY_BYTES) entry.record.body = body.kept?.toString('utf8');
}

class MemoryJournal implements Journal {
  readonly #size: number;
  readonly #isRecording: boolean;
  readonly #now: () => number;
  readonly #dropped = new WeakSet<JournalEntry>();
  #ring: RecordedRequest[] = [];
  #nextId = 1;
  #counters = emptyCounters();
  #waiters: Waiter[] = [];

  constructor(size: number, isRecording: boolean, now: () => number) {
    this.#size = size;
    this.#isRecording = isRecording;
    this.#now = now;
  }

  begin(received: Received, response: ServerResponse | undefined): JournalEntry {
    const record = this.#isRecording ? this.#record(received) : undefined;
    const entry = { record, counters: this.#counters[received.call] };
    entry.counters.received++;
    if (this.#isRecording && response !== undefined) this.#watch(entry, response);
    if (this.#waiters.length > 0) this.#wake();
    return entry;
  }

  answered({ record, counters: { answered } }: JournalEntry, status: number): void {
    answered[status] = (answered[status] ?? 0) + 1;
    if (record !== undefined) record.status = status;
  }

  dropped(entry: JournalEntry): void {
    this.#dropped.add(entry);
  }

  requests(call?: Call): RecordedRequest[] {
    const start = this.#nextId > this.#size ? (this.#nextId - 1) % this.#size : 0;
    const ordered = [...this.#ring.slice(start), ...this.#ring.slice(0, start)];
    return call === undefined ? ordered : ordered.filter((one) => one.call === call);
  }

  counters(): Counters {
    return structuredClone(this.#counters);
  }

  waitFor(call: Call, count: number, timeoutMs: number): Promise<void> {
    if (this.#counters[call].received >= count) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { call, count, resolve };
    this.#waiters.push(waiter);
    const timer = setTimeout(() => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      const arrived = this.#counters[call].received;
      reject(new Error(`${arrived} of ${count} '${call}' requests arrived in ${timeoutMs} ms`));
    }, timeoutMs);
    return promise.finally(() => clearTimeout(timer));
  }

  clear(): void {
    this.#ring = [];
    this.#nextId = 1;
    this.#counters = emptyCounters();
  }

  #record({ request, method, url, call }: Received): RecordedRequest {
    const id = this.#nextId++;
    const record: RecordedRequest = {
      id,
      at: this.#now(),
      method,
      url,
      httpVersion: request.httpVersion,
      rawHeaders: request.rawHeaders,
      call,
      bodyBytes: 0,
      body: undefined,
      status: undefined,
      aborted: false,
      faults: [],
    };
    this.#ring[(id - 1) % this.#size] = record;
    return record;
  }

  #watch(entry: JournalEntry, response: ServerResponse): void {
    response.once('close', () => {
      if (response.writableFinished || this.#dropped.has(entry) || entry.record === undefined) return;
      entry.record.aborted = true;
      entry.counters.aborted++;
    });
  }

  #wake(): void {
    const isMet = ({ call, count }: Waiter) => this.#counters[call].received >= count;
    const met = this.#waiters.filter(isMet);
    this.#waiters = this.#waiters.filter((waiter) => !met.includes(waiter));
    for (const waiter of met) waiter.resolve();
  }
}

/** Builds a journal of at most `size` requests, oldest dropped first; `isRecording` false keeps counts only. */
export function createJournal(size: number, isRecording: boolean, now: () => number): Journal {
  return new MemoryJournal(size, isRecording, now);
}
