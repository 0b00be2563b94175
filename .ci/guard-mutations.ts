/** Reads test/security/guard-mutations.yaml: each guard, how it is taken out, and the test that misses it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

const FILE = fileURLToPath(new URL('../test/security/guard-mutations.yaml', import.meta.url));

const form = z.array(
  z.strictObject({
    guard: z.string(),
    /** What is different without it. */
    without: z.string(),
    /** `file: title` */
    test: z.string().regex(/^test\/[\w./-]+\.test\.ts: ./),
    edits: z.array(z.strictObject({ in: z.string(), find: z.string().min(1), replace: z.string() })).min(1),
  }),
);

export interface GuardMutation extends Omit<z.infer<typeof form>[number], 'test'> {
  readonly test: { readonly file: string; readonly title: string };
}

export function readGuardMutations(): readonly GuardMutation[] {
  return form.parse(parse(readFileSync(FILE, 'utf8'))).map(({ test, ...rest }) => {
    const colon = test.indexOf(': ');
    return { ...rest, test: { file: test.slice(0, colon), title: test.slice(colon + 2) } };
  });
}
