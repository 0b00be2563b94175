/** `audit verify`: reads audit files and prints what is wrong with them. What is wrong is decided in `audit-verification.ts`. */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { loadSessionKeys } from '../config/load.ts';
import { type AuditFindings, createAuditVerification } from '../observability/audit-verification.ts';
import type { CommandOptions } from './command-options.ts';
import type { Checkpoint } from './parse-arguments.ts';

const SOUND = 0;
const TAMPERED = 1;
const CANNOT_TELL = 2;

/** @returns the exit code. */
export async function verifyAudit(
  { files, checkpoints }: { readonly files: readonly string[]; readonly checkpoints: readonly Checkpoint[] },
  options: CommandOptions,
): Promise<number> {
  const loaded = loadSessionKeys(options);
  if (loaded.kind === 'invalid') {
    options.stderr.write(`problem: ${loaded.problem}\n`);
    return CANNOT_TELL;
  }
  const verification = createAuditVerification(loaded.keys);
  for (const file of files) {
    try {
      let number = 0;
      for await (const line of linesOf(file)) {
        number += 1;
        verification.add(line, `${basename(file)}:${number}`);
      }
    } catch (error) {
      const code = (error as { code?: unknown }).code ?? 'error';
      options.stderr.write(`problem: the file ${file} cannot be read (${String(code)})\n`);
      return CANNOT_TELL;
    }
  }
  const findings = verification.end(checkpoints);
  if (findings.lines === 0) {
    options.stderr.write('problem: there is no audit line in it\n');
    return CANNOT_TELL;
  }
  options.stdout.write(describeFindings(findings));
  return findings.problems.length === 0 ? SOUND : TAMPERED;
}

/** Only a line feed ends a line: whatever else was put into one must be judged with it. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(file, 'utf8')) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

function describeFindings({ lines, chains, problems, openChains }: AuditFindings): string {
  const told = problems.map(({ place, what }) => `${place === undefined ? 'end' : place}: ${what}`);
  const open = openChains.map(
    (chain) => `note: chain ${chain} has no last line: its process runs, was killed, or the end is cut off`,
  );
  const verdict = problems.length === 0 ? 'sound' : `problems: ${problems.length}`;
  return [...told, ...open, `lines: ${lines}, chains: ${chains}, ${verdict}`, ''].join('\n');
}
