/**
 * Puts what a start loads, packages and all, into few files: finding, reading and linking some nine hundred modules is most
 * of a start (ADR-0006). What the sources import lazily stays in files of its own.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { licenceTexts } from './licence-texts.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * The index of these packages loads all they have, of which the gateway uses a few exports. An import of something that is
 * not here fails the build.
 */
const PARTS: Readonly<Record<string, string>> = {
  'rate-limiter-flexible': ['RateLimiterMemory', 'RateLimiterRedis', 'RateLimiterRes']
    .map((name) => `export { default as ${name} } from 'rate-limiter-flexible/lib/${name}.js';`)
    .join('\n'),
};

/** Large tables that nothing reaches here (legacy encodings): left where they are, found when asked for. */
const LEFT: readonly (readonly [filter: RegExp, folder: string])[] = [
  [/^\.\/tables\/.*\.json$/, 'iconv-lite/encodings/'],
];

/** What CommonJS packages expect to find. */
const BANNER = `const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
const { dirname: __dirname, filename: __filename } = import.meta;`;

/** @param folder of the build; its `cli/` is replaced, from which `main.js` loads the rest. */
export async function bundleGateway(folder: string): Promise<void> {
  const target = join(folder, 'cli');
  rmSync(target, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/cli/start-process.ts'],
    outdir: target,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // The same names of files wherever it is built.
    preserveSymlinks: true,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    banner: { js: BANNER },
    plugins: [narrowing],
  });
  for (const name of readdirSync(target)) makeAscii(join(target, name));
  writeFileSync(join(folder, 'third-party-licences.txt'), licenceTexts(ROOT, packagesIn(metafile)));
}

const BUILT_IN = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));

const narrowing: Plugin = {
  name: 'narrowing',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z]/ }, ({ path, kind }) => {
      // What is imported lazily is asked for its exports by name, which a CommonJS module in a file of its own has not.
      if (BUILT_IN.has(path) && kind === 'dynamic-import') return { path, external: true };
      if (BUILT_IN.has(path)) return { path: path.replace(/^node:/, ''), namespace: 'built-in', sideEffects: false };
      return path in PARTS ? { path, namespace: 'parts' } : undefined;
    });
    // Not by `import`: that reads every export of the module at once, and `node:http` then loads Node's own undici.
    onLoad({ filter: /./, namespace: 'built-in' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('node:${path}');`,
    }));
    onLoad({ filter: /./, namespace: 'parts' }, ({ path }) => ({ contents: PARTS[path] ?? '', resolveDir: ROOT }));
    for (const [filter, base] of LEFT) {
      onResolve({ filter }, ({ path, importer }) =>
        importer.includes(base.split('/')[0] ?? base)
          ? { path: new URL(path, `file:///${base}`).pathname.slice(1), external: true }
          : undefined,
      );
    }
    // As text: it is parsed faster than an object literal, and takes half the room.
    onLoad({ filter: /\.json$/ }, ({ path }) => ({
      contents: `module.exports = JSON.parse(${JSON.stringify(JSON.stringify(JSON.parse(readFileSync(path, 'utf8'))))});`,
    }));
  },
};

/** One character beyond ASCII makes V8 keep the whole file in two bytes a character. esbuild leaves them in comments only. */
function makeAscii(file: string): void {
  const text = readFileSync(file, 'utf8');
  const plain = text.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, (comment) => comment.replaceAll(/[^\0-\x7f]/g, '?'));
  if (plain !== text) writeFileSync(file, plain);
}

/** The folders of the packages whose code is in the bundle, from the project's root. */
function packagesIn({ outputs }: Metafile): readonly string[] {
  const inputs = Object.values(outputs).flatMap((output) => Object.keys(output.inputs));
  const folders = inputs.flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  return [...new Set(folders)].sort();
}
