// Interleaved rounds of load on contenders, and their medians. Judges nothing.
import type { Contender, RunningContender } from './contender.ts';
import { runLoad } from './load.ts';
import { CONTENDER_CORE, coreTicks, familyCpuSeconds, LOAD_CORE } from './pinned.ts';

export interface Plan {
  readonly connections: number;
  /** Until this many requests are answered: compilers count calls, not seconds. */
  readonly warmUpRequests: number;
  readonly rounds: number;
  readonly seconds: number;
}

export interface Round {
  readonly requestsPerSecond: number;
  /** Undefined for the direct path. */
  readonly cpuMicroseconds: number | undefined;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of the time that the contender's core was busy, by whomever; well below 1 the load was too small. */
  readonly contenderCoreBusy: number;
  readonly loadCoreBusy: number;
  /** Share of its core that the contender itself had; below `contenderCoreBusy` others took the rest. */
  readonly ownShare: number | undefined;
  /** Answers that were not 200, and connections that broke. */
  readonly failed: number;
}

export interface Entry {
  readonly contender: Contender;
  readonly running: RunningContender;
}

export interface Measured {
  readonly contender: Contender;
  readonly rounds: readonly Round[];
  readonly median: Round;
}

/** Each contender in turn, so that a slow minute of the machine hits all of them. */
export async function measure(
  entries: readonly Entry[],
  plan: Plan,
  onRound: (contender: Contender, round: Round) => void,
): Promise<Measured[]> {
  for (const { running } of entries) await warmUp(running, plan);
  const rounds = new Map<Contender, Round[]>(entries.map(({ contender }) => [contender, []]));
  for (let i = 0; i < plan.rounds; i += 1) {
    for (const { contender, running } of entries) {
      const round = await runRound(running, plan.connections, plan.seconds);
      rounds.get(contender)?.push(round);
      onRound(contender, round);
    }
  }
  return entries.map(({ contender }) => {
    const all = rounds.get(contender) ?? [];
    return { contender, rounds: all, median: medianOf(all) };
  });
}

const WARM_UP_STEP_SECONDS = 2;
const MAX_WARM_UP_STEPS = 15;

async function warmUp({ port, credential }: RunningContender, { connections, warmUpRequests }: Plan): Promise<void> {
  let answered = 0;
  for (let step = 0; answered < warmUpRequests && step < MAX_WARM_UP_STEPS; step += 1) {
    const seconds = WARM_UP_STEP_SECONDS;
    answered += (await runLoad(credential ? [credential] : [], { port, connections, seconds })).requests;
  }
}

async function runRound({ port, pid, credential }: RunningContender, connections: number, seconds: number) {
  const usage = () => ({
    own: pid === undefined ? 0 : familyCpuSeconds(pid),
    contender: coreTicks(CONTENDER_CORE),
    load: coreTicks(LOAD_CORE),
  });
  const before = usage();
  const result = await runLoad(credential ? [credential] : [], { port, connections, seconds });
  const after = usage();
  const own = after.own - before.own;
  const busyShare = (core: 'contender' | 'load') =>
    (after[core].busy - before[core].busy) / (after[core].total - before[core].total);
  const round: Round = {
    requestsPerSecond: result.requests / result.seconds,
    cpuMicroseconds: pid === undefined ? undefined : (own / result.requests) * 1e6,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    contenderCoreBusy: busyShare('contender'),
    loadCoreBusy: busyShare('load'),
    ownShare: pid === undefined ? undefined : own / result.seconds,
    failed: result.requests - (result.statuses['200'] ?? 0) + result.failures,
  };
  return round;
}

function medianOf(rounds: readonly Round[]): Round {
  const of = (pick: (round: Round) => number) => median(rounds.map(pick));
  const ofKnown = (pick: (round: Round) => number | undefined) => {
    const known = rounds.map(pick).filter((value) => value !== undefined);
    return known.length === 0 ? undefined : median(known);
  };
  return {
    requestsPerSecond: of((round) => round.requestsPerSecond),
    cpuMicroseconds: ofKnown((round) => round.cpuMicroseconds),
    p50Ms: of((round) => round.p50Ms),
    p99Ms: of((round) => round.p99Ms),
    contenderCoreBusy: of((round) => round.contenderCoreBusy),
    loadCoreBusy: of((round) => round.loadCoreBusy),
    ownShare: ofKnown((round) => round.ownShare),
    failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  return (lower + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}
