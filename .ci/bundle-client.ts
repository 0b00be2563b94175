/** Puts the browser client's files into the one small module that `/bff/client.js` serves. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const SOURCES = fileURLToPath(new URL('../src/client', import.meta.url));

/** @param target the file to write. */
export function bundleClient(target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  buildSync({
    entryPoints: [join(SOURCES, 'client.ts')],
    outfile: target,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'none',
  });
}

/** The same, where the file is missing or older than the sources. */
export function bundleClientIfStale(target: string): void {
  const newest = Math.max(...readdirSync(SOURCES).map((file) => statSync(join(SOURCES, file)).mtimeMs));
  const made = statSync(target, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made < newest) bundleClient(target);
}
