/** Checks the licences of what runs in production against those that are agreed to. */
import { readFileSync } from 'node:fs';
import { judgeLicences } from './judge-licences.ts';

const lock = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');
const { counts, faults } = judgeLicences(JSON.parse(lock));
console.log([...counts].map(([licence, count]) => `${licence}: ${count}`).join(', '));
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
