// Reads the project's own files, for tests of what is written in them.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export function readProjectFile(path: string): string {
  return readFileSync(ROOT + path, 'utf8');
}

export function readYaml(path: string): unknown {
  return parse(readProjectFile(path), { merge: true });
}

export interface PackageFile {
  readonly version: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
  readonly files: readonly string[];
  readonly devDependencies: Readonly<Record<string, string>>;
}

export function readPackage(): PackageFile {
  return JSON.parse(readProjectFile('package.json')) as PackageFile;
}
