// Which faults are active and which a request meets. What a fault then does to an answer is not decided here.
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { z } from 'zod';
import { CALLS, type Call, type Received } from './received.ts';
import { checkInput, InvalidInput } from './settings.ts';

/**
 * Every fault there is. Several may be active: waits (`latency`, `hold`) and `headers` add up, in the order they were
 * added; of the others the first that matches is met.
 *
 * - `latency` waits `ms`; `hold` waits until the fault is removed; `hang` never answers
 * - `reset_before` resets the connection before the call takes effect, `reset_after` after it (a lost reply)
 * - `status`, `rate_limited`, `unauthorized`, `redirect` answer so
 * - `malformed_json`, `html`, `empty` answer 200 with such a body; `no_tokens` a login's or refresh's message without tokens
 * - `half_body` announces all, sends half and closes; `stall_body` sends half and stays silent
 * - `garbage` answers something that is not HTTP; `headers` adds headers to an otherwise good answer
 */
const FAULT_KINDS = [
  'latency',
  'hold',
  'hang',
  'reset_before',
  'reset_after',
  'status',
  'malformed_json',
  'html',
  'empty',
  'half_body',
  'stall_body',
  'no_tokens',
  'rate_limited',
  'unauthorized',
  'garbage',
  'redirect',
  'headers',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Which requests meet a fault; what is left out matches everything. */
interface FaultMatch {
  readonly method?: string;
  /** A prefix of the raw URL. */
  readonly path?: string;
  readonly call?: Call;
}

/** A fault as it is asked for, in process or as the body of `POST /__sim/faults`. */
export interface FaultSpec {
  readonly fault: FaultKind;
  readonly match?: FaultMatch;
  /** `latency`: milliseconds. Default 1000. */
  readonly ms?: number;
  /** `status` (default 503), `redirect` (default 302), `malformed_json`, `html`, `empty` (default 200). */
  readonly status?: number;
  /** `rate_limited` (default 1) and `status` (default none): seconds or a date; null = no header. */
  readonly retryAfter?: number | string | null;
  /** How many requests meet it. Default: all. */
  readonly times?: number;
  /** How many matching requests pass untouched first. Default 0. */
  readonly skip?: number;
  /** The answer's text, where the fault makes one. */
  readonly body?: string;
  /** Response headers to add; of one name, `Set-Cookie` joins what is there, any other replaces it. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** `redirect`: the `Location`. Default: an absolute URL on the simulator itself. */
  readonly location?: string;
  /** Whether the call takes effect (tokens rotate) before the fault. Default false; always so for `reset_after`, `half_body`, `stall_body`. */
  readonly computed?: boolean;
  /** Whether the fault strikes on the headers, before the request's body is read (waits) or leaving it unread. Default false. */
  readonly early?: boolean;
}

/** An active fault. */
export interface ActiveFault {
  readonly id: number;
  readonly spec: FaultSpec;
  /** How many requests met it so far. */
  readonly applied: number;
  /** Ends it; requests that a `hold` keeps go on. */
  remove(): void;
}

/** A fault met by one request, with the moment it was removed (for `hold`). */
export interface MetFault {
  readonly spec: FaultSpec;
  readonly removed: Promise<void>;
}

/** The set of active faults. */
export interface FaultBox {
  /** @throws InvalidInput naming what is wrong with the fault. */
  add(spec: unknown): ActiveFault;
  remove(id: number): boolean;
  list(): ActiveFault[];
  /** The faults this request meets, counted as met; empty almost always. */
  take(received: Received): MetFault[];
  clear(): void;
}

const text = z.string();
const headerValues = z.union([text, z.array(text)]);
const faultSchema = z.strictObject({
  fault: z.enum(FAULT_KINDS),
  match: z
    .strictObject({ method: text.min(1), path: text.startsWith('/'), call: z.enum(CALLS) })
    .partial()
    .optional(),
  ms: z.number().min(0).max(3_600_000).optional(),
  status: z.int().min(200).max(599).optional(),
  retryAfter: z.union([z.number().min(0), text, z.null()]).optional(),
  times: z.int().min(1).optional(),
  skip: z.int().min(0).optional(),
  body: text.optional(),
  headers: z.record(text, headerValues).optional(),
  location: text.optional(),
  computed: z.boolean().optional(),
  early: z.boolean().optional(),
} satisfies Record<keyof FaultSpec, z.ZodType>);

function checkFault(input: unknown): FaultSpec {
  const spec = checkInput(faultSchema, input) as FaultSpec;
  const named = Object.entries(spec.headers ?? {});
  const special = { 'Retry-After': spec.retryAfter ?? '', Location: spec.location ?? '' };
  for (const [name, value] of [...named, ...Object.entries(special)]) {
    try {
      validateHeaderName(name);
      for (const one of [value].flat()) validateHeaderValue(name, String(one));
    } catch {
      throw new InvalidInput(`headers.${name}: not a header that HTTP can carry`);
    }
  }
  if (spec.early === true && spec.computed === true) throw new InvalidInput('early: excludes computed');
  return spec;
}

interface Kept extends ActiveFault {
  applied: number;
  toSkip: number;
  readonly removed: Promise<void>;
  readonly release: () => void;
}

const ADDITIVE: ReadonlySet<FaultKind> = new Set(['latency', 'hold', 'headers']);

function matches({ match = {} }: FaultSpec, { method, url, call }: Received): boolean {
  return (
    (match.method === undefined || match.method.toUpperCase() === method) &&
    (match.path === undefined || url.startsWith(match.path)) &&
    (match.call === undefined || match.call === call)
  );
}

/** Builds an empty set of faults. */
export function createFaultBox(): FaultBox {
  const active = new Map<number, Kept>();
  let nextId = 1;

  function remove(id: number): boolean {
    active.get(id)?.release();
    return active.delete(id);
  }

  return {
    add(input) {
      const spec = checkFault(input);
      const id = nextId++;
      const { promise: removed, resolve: release } = Promise.withResolvers<void>();
      const kept: Kept = { id, spec, applied: 0, toSkip: spec.skip ?? 0, removed, release, remove: () => remove(id) };
      active.set(id, kept);
      return kept;
    },

    remove,

    list() {
      return [...active.values()];
    },

    take(received) {
      const met: MetFault[] = [];
      let hasTerminal = false;
      for (const kept of active.values()) {
        const { spec } = kept;
        const isAdditive = ADDITIVE.has(spec.fault);
        const isSpent = spec.times !== undefined && kept.applied >= spec.times;
        if (isSpent || (hasTerminal && !isAdditive) || !matches(spec, received)) continue;
        if (kept.toSkip > 0) {
          kept.toSkip--;
          continue;
        }
        kept.applied++;
        if (!isAdditive) hasTerminal = true;
        met.push(kept);
      }
      return met;
    },

    clear() {
      for (const kept of active.values()) kept.release();
      active.clear();
      nextId = 1;
    },
  };
}
