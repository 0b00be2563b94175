// `npm run lab`: every scenario in full size, one after the other; writes docs/reliability.md. `npm run lab -- --small NAME` tries one.
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { reportReliability, type ScenarioReport } from './report.ts';
import { FULL, SMALL } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

const REPORT = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url));

const isSmall = process.argv.includes('--small');
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const chosen = SCENARIOS.filter(({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const reports: ScenarioReport[] = [];
for (const scenario of chosen) {
  const startedAt = performance.now();
  process.stdout.write(`${scenario.name}\n`);
  const outcome = await scenario.run(isSmall ? SMALL : FULL);
  const seconds = (performance.now() - startedAt) / 1_000;
  reports.push({ name: scenario.name, seconds, ...outcome });
  process.stdout.write(`  ${JSON.stringify(outcome.numbers)} in ${seconds.toFixed(1)} s\n`);
  for (const violation of outcome.violations) process.stdout.write(`  VIOLATED: ${violation}\n`);
}
const failed = reports.filter(({ violations }) => violations.length > 0).length;
if (!isSmall && wanted.length === 0) {
  const machine = { cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30), node: process.version };
  writeFileSync(REPORT, reportReliability(reports, machine, new Date()));
}
process.stdout.write(`${reports.length - failed} passed, ${failed} failed\n`);
process.exit(failed > 0 ? 1 : 0);
