// `npm run bench:scale`: what many sessions, large bodies, storms, leaving clients, metrics and traces cost; writes docs/benchmarks-scale.*. `npm run bench:scale -- NAME…` runs only those parts.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describeMachine, machineSentence } from './machine.ts';
import { aborts } from './scale/aborts.ts';
import { bulk } from './scale/bulk.ts';
import { latency } from './scale/latency.ts';
import type { Part, Section } from './scale/part.ts';
import { seeing } from './scale/seeing.ts';
import { sessions1m, sessions100k } from './scale/sessions.ts';
import { start } from './scale/start.ts';
import { storm } from './scale/storm.ts';

const DOCS = fileURLToPath(new URL('../docs', import.meta.url));
const DATA = `${DOCS}/benchmarks-scale.json`;

const PARTS: readonly Part[] = [latency, sessions100k, sessions1m, bulk, start, storm, aborts, seeing];

/** A part's last result, whenever it was; parts that run alone replace only their own. */
type Kept = Record<string, Section & { readonly machine: string }>;

function readKept(): Kept {
  return existsSync(DATA) ? (JSON.parse(readFileSync(DATA, 'utf8')) as Kept) : {};
}

function writePage(kept: Kept): void {
  const sections = PARTS.flatMap(({ name }) => {
    const section = kept[name];
    if (!section) return [];
    const wrong = section.violations.map((violation) => `**Did not hold:** ${violation}\n\n`).join('');
    return [
      `## ${section.title}\n\n${wrong}${section.text}\n\n<sub>\`npm run bench:scale -- ${name}\`; ${section.machine}</sub>`,
    ];
  });
  const head = `# Benchmarks at scale

<!-- Written by \`npm run bench:scale\`. Do not edit. -->

As in [benchmarks.md](benchmarks.md): the process that is measured has core 0 for itself, whatever loads it runs on core 1, all on loopback, the gateway as shipped
(metrics and request log on, sessions in Redis).`;
  writeFileSync(`${DOCS}/benchmarks-scale.md`, `${[head, ...sections].join('\n\n')}\n`);
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PARTS.some((part) => part.name === name));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. Parts: ${PARTS.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}
const machine = machineSentence(describeMachine());
for (const { name, run } of PARTS) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const section = await run();
  console.log(`\n## ${section.title}\n\n${section.text}`);
  for (const violation of section.violations) {
    console.error(`DID NOT HOLD: ${violation}`);
    process.exitCode = 1;
  }
  const kept = { ...readKept(), [name]: { ...section, machine } };
  writeFileSync(DATA, `${JSON.stringify(kept, undefined, 2)}\n`);
  writePage(kept);
}
