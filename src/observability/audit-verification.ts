/** Reads audit lines back and says which is missing, changed, moved or added. Pure: it opens no file. */
import { timingSafeEqual } from 'node:crypto';
import type { SessionKey } from '../config/settings.ts';
import { auditChainKey, hashOf, macOf, NO_LINE } from './audit-chain.ts';

export interface AuditProblem {
  /** Where it was seen, as `add` was told. Absent: after the last line. */
  readonly place?: string;
  readonly what: string;
}

export interface AuditFindings {
  /** Audit lines read. */
  readonly lines: number;
  readonly chains: number;
  readonly problems: readonly AuditProblem[];
  /** Chains without a last line: their process runs, was killed, or its last lines were cut off. */
  readonly openChains: readonly string[];
}

export interface AuditVerification {
  /** Lines in the order of the file, without their line breaks. Other JSON lines, as in an ordinary log, are passed over. */
  add(line: string, place: string): void;
  /** @param checkpoints lines that must be there. */
  end(checkpoints: readonly { readonly seq: number; readonly mac: string }[]): AuditFindings;
}

interface ChainState {
  readonly key: Buffer;
  nextSeq: number;
  /** Undefined where the line before was changed: its hash is then no measure. */
  previous: string | undefined;
  closed: boolean;
}

/** @param keys one of them began each chain: keep old ones as long as the files. */
export function createAuditVerification(keys: readonly SessionKey[]): AuditVerification {
  const states = new Map<string, ChainState>();
  const macs = new Map<string, number>();
  const problems: AuditProblem[] = [];
  let lines = 0;

  const stateOf = (chain: string, body: string, mac: string): ChainState | undefined => {
    const known = states.get(chain);
    if (known) return known;
    const key = keys.map((each) => auditChainKey(each, chain)).find((each) => isMac(each, body, mac));
    if (!key) return undefined;
    const state = { key, nextSeq: 1, previous: NO_LINE, closed: false };
    states.set(chain, state);
    return state;
  };

  return {
    add(line, place) {
      const report = (what: string) => void problems.push({ place, what });
      const reading = readLine(line);
      if (reading.kind === 'other') return;
      lines += 1;
      if (reading.kind === 'malformed') return report('is no whole audit line');
      const { chain, seq, prev, event, body, mac } = reading;
      const state = stateOf(chain, body, mac);
      if (!state) return report('is changed, or no key of SESSION_KEYS began its chain');
      if (!isMac(state.key, body, mac)) {
        // Its number may be a lie as well: it is taken to stand where a line was expected.
        state.nextSeq += 1;
        state.previous = undefined;
        return report('is changed');
      }
      macs.set(mac, seq);
      if (seq < state.nextSeq) return report(`is line ${seq} of its chain again, or too late`);
      if (seq > state.nextSeq) report(`comes after missing lines: ${seq - state.nextSeq}, from ${state.nextSeq} on`);
      else if (state.previous !== undefined && prev !== state.previous) report('does not follow from the line before');
      state.nextSeq = seq + 1;
      state.previous = hashOf(line);
      state.closed = event === 'audit_stopped';
    },
    end(checkpoints) {
      const cut = checkpoints
        .filter(({ seq, mac }) => macs.get(mac) !== seq)
        .map(({ seq }) => ({
          what: `line ${seq} of a checkpoint is not there: the end is cut off, or a file is missing`,
        }));
      const openChains = [...states].filter(([, { closed }]) => !closed).map(([chain]) => chain);
      return { lines, chains: states.size, problems: [...problems, ...cut], openChains };
    },
  };
}

type Reading =
  | { readonly kind: 'other' }
  | { readonly kind: 'malformed' }
  | {
      readonly kind: 'line';
      readonly chain: string;
      readonly seq: number;
      readonly prev: string;
      readonly event: unknown;
      readonly body: string;
      readonly mac: string;
    };

const FORM = /^(\{.*),"mac":"([A-Za-z0-9_-]{43})"\}$/;

function readLine(line: string): Reading {
  if (line.trim() === '') return { kind: 'other' };
  const parsed = parseObject(line);
  // What is no JSON may be half of a line: only a whole line of another kind is passed over.
  if (parsed && parsed.log !== 'audit') return { kind: 'other' };
  const [, body, mac] = FORM.exec(line) ?? [];
  if (!parsed || body === undefined || mac === undefined) return { kind: 'malformed' };
  const { chain, seq, prev, event } = parsed;
  if (typeof chain !== 'string' || typeof prev !== 'string' || !Number.isSafeInteger(seq)) return { kind: 'malformed' };
  return { kind: 'line', chain, seq: seq as number, prev, event, body, mac };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isMac(chainKey: Buffer, body: string, mac: string): boolean {
  return timingSafeEqual(Buffer.from(macOf(chainKey, body)), Buffer.from(mac));
}
