// The benchmark's results as a page, as data and as a chart. Measures nothing.
import { readFileSync } from 'node:fs';
import { type Bar, drawChart } from './chart.ts';
import { type Machine, machineSentence } from './machine.ts';
import type { Measured, Plan, Round } from './rounds.ts';

export interface Results {
  readonly machine: Machine;
  readonly plan: Plan;
  readonly measured: readonly Measured[];
  /** Contenders that could not take part, and why. */
  readonly notes: readonly string[];
}

const OURS = 'gateway';

export function toJson({ machine, plan, measured, notes }: Results): string {
  const contenders = measured.map(({ contender: { name, label }, median, rounds }) => ({
    name,
    label,
    median,
    rounds,
  }));
  return `${JSON.stringify({ machine, plan, notes, contenders }, undefined, 2)}\n`;
}

export function toChart({ measured }: Results): string {
  const bars = (pick: (round: Round) => number | undefined): Bar[] =>
    measured
      .map(({ contender: { name, label }, median }) => ({ label, value: pick(median) ?? 0, isOurs: name === OURS }))
      .filter(({ value }) => value > 0);
  return drawChart('CPU microseconds per request and requests per second of each contender', [
    { title: 'CPU µs per request of the gateway process (less is better)', bars: bars((one) => one.cpuMicroseconds) },
    { title: 'Requests per second on one core (more is better)', bars: bars((one) => one.requestsPerSecond) },
  ]);
}

export function toPage(results: Results): string {
  const { machine, plan, measured, notes } = results;
  const sections = [
    '# Benchmarks',
    '<!-- Written by `npm run bench`. Do not edit. -->',
    method(plan),
    `Machine: ${machineSentence(machine)}`,
    '![CPU per request and requests per second of each contender](images/benchmark.svg)',
    table(measured),
    ...notes.map((note) => `- ${note}`),
    goals(measured),
    meaning(measured),
    FINDINGS,
    `## The contenders\n\n${measured.map(({ contender }) => `- **${contender.label}**: ${contender.description}.`).join('\n')}`,
  ];
  return `${sections.join('\n\n')}\n`;
}

function method({ connections, warmUpRequests, rounds, seconds }: Plan): string {
  return `\`npm run bench\` gives every contender the same job: an authenticated GET whose answer is about 700 bytes, the session in Redis, tokens of
900 and 700 characters. Each contender has core 0 for itself, pinned; load generator, upstream and Redis share core 1, all on loopback.
First each one is checked: status and body, bearer at the upstream, no cookie there, no token at the browser, 401 without a session. Then each is
warmed up with ${warmUpRequests.toLocaleString('en-GB')} requests, and ${rounds} interleaved rounds of ${seconds} s follow with ${connections} keep-alive connections, one request at a time on each. Medians of the rounds.

**CPU per request** is user and system time of the contender's process (threads and worker processes included, from \`/proc/<pid>/stat\`) over the
requests answered; it holds steady where throughput swings with what else the machine does. Latencies are those of full load: with ${connections} requests always under way they are
mostly the queue in front of a busy core. In brackets: ratio to this gateway. The raw rounds are in [benchmarks.json](benchmarks.json);
many sessions, large bodies and fixed rates are in [benchmarks-scale.md](benchmarks-scale.md).`;
}

function table(measured: readonly Measured[]): string {
  const ours = measured.find(({ contender }) => contender.name === OURS)?.median;
  const cell = (pick: (round: Round) => number | undefined, digits: number) => (round: Round) => {
    const value = pick(round);
    const reference = ours && pick(ours);
    if (value === undefined) return '–';
    const ratio = reference === undefined || round === ours ? '' : ` (${(value / reference).toFixed(2)})`;
    return `${value.toLocaleString('en-GB', { minimumFractionDigits: digits, maximumFractionDigits: digits })}${ratio}`;
  };
  const columns = [
    cell((round) => round.cpuMicroseconds, 1),
    cell((round) => round.requestsPerSecond, 0),
    cell((round) => round.p50Ms, 2),
    cell((round) => round.p99Ms, 2),
  ];
  const share = (value: number) => `${Math.round(value * 100)} %`;
  const rows = measured.map(({ contender: { name, label }, median }) => {
    const cells = columns.map((column) => column(median));
    const busy = median.ownShare === undefined ? '–' : share(median.ownShare);
    return `| ${[name === OURS ? `**${label}**` : label, ...cells, busy, share(median.loadCoreBusy)].join(' | ')} |`;
  });
  const head = [
    'contender',
    'CPU µs/request',
    'requests/s',
    'p50 ms',
    'p99 ms',
    'its own share of core 0',
    'core 1 busy',
  ];
  return [`| ${head.join(' | ')} |`, `|---|${'--:|'.repeat(head.length - 1)}`, ...rows].join('\n');
}

/** What this gateway may cost at most, as a share of each contender's CPU per request. */
const GOALS: readonly (readonly [contender: string, atMost: number])[] = [
  ['express-session', 0.33],
  ['fastify-session', 0.5],
  ['nginx-lua', 1.6],
  ['bare-proxy', 1.25],
];

function goals(measured: readonly Measured[]): string {
  const cpu = (name: string) => measured.find(({ contender }) => contender.name === name)?.median.cpuMicroseconds;
  const ours = cpu(OURS) ?? Number.NaN;
  const rows = GOALS.flatMap(([name, atMost]) => {
    const theirs = cpu(name);
    const label = measured.find(({ contender }) => contender.name === name)?.contender.label;
    if (theirs === undefined || label === undefined) return [];
    const ratio = ours / theirs;
    return [`| ${label} | ${atMost.toFixed(2)} | ${ratio.toFixed(2)} | ${ratio <= atMost ? 'yes' : '**no**'} |`];
  });
  return [
    '## The goals',
    '',
    '| CPU of this gateway per CPU of | at most | here | met |',
    '|---|--:|--:|---|',
    ...rows,
  ].join('\n');
}

/** What the measurements led to, by hand; the numbers beside it are of the runs named there. */
const FINDINGS = readFileSync(new URL('./findings.md', import.meta.url), 'utf8').trim();

/** Below this share of its core something else set the contender's pace. */
const BUSY = 0.9;

function meaning(measured: readonly Measured[]): string {
  const cpu = (name: string) =>
    measured.find(({ contender }) => contender.name === name)?.median.cpuMicroseconds ?? Number.NaN;
  const ours = cpu(OURS);
  const times = (name: string) => (cpu(name) / ours).toFixed(1);
  const lines = [
    `One request through this gateway costs ${ours.toFixed(0)} µs of CPU, its log line and metrics included.`,
  ];
  const peers = [
    ['express-session', 'express-session with http-proxy-middleware'],
    ['fastify-session', 'the Fastify stack'],
    ['nginx-lua', 'nginx with Lua, without log, metrics, sealing or refresh,'],
  ] as const;
  for (const [name, label] of peers)
    if (!Number.isNaN(cpu(name)))
      lines.push(`${label[0]?.toUpperCase()}${label.slice(1)} costs ${times(name)} times that.`);
  if (!Number.isNaN(cpu('bare-proxy'))) {
    const difference = ours - cpu('bare-proxy');
    lines.push(
      `A bare Node proxy costs ${times('bare-proxy')} times that: session, policy, log and metrics together are ${difference.toFixed(0)} µs a request.`,
    );
  }
  const heldBack = measured
    .filter(({ median: { ownShare } }) => ownShare !== undefined && ownShare < BUSY)
    .map(({ contender }) => contender.label);
  if (heldBack.length > 0)
    lines.push(
      `Not a whole core's worth had ${heldBack.join('; ')}: other work on the machine or a full core 1 held it back, so that its requests/s and latencies are not its limit. CPU per request holds.`,
    );
  return `## What it means\n\n${lines.join('\n')}`;
}
