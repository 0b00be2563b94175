/**
 * Prints what the gateway is made of, as CycloneDX: npm's own list of what runs in production, from the lock file. Two
 * runs on one state print the same: without a serial number, and with the moment of SOURCE_DATE_EPOCH, where it is set.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ended, runProgram } from './run-program.ts';

interface Bill {
  serialNumber?: string;
  readonly metadata: { timestamp?: string; readonly component: { name: string } };
}

interface Manifest {
  readonly name: string;
  readonly devDependencies?: unknown;
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devDependencies?: unknown }>>;
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')) as unknown;
const { devDependencies: _, ...manifest } = read('package.json') as Manifest;

/**
 * In a folder that knows of production alone: with `--omit=dev` npm leaves out whatever a tool for development needs as
 * well, such as zod.
 */
async function listParts(): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-sbom-'));
  try {
    const lock = read('package-lock.json') as Lock;
    const packages = Object.entries(lock.packages).flatMap(([path, { devDependencies, ...rest }]) =>
      rest.dev ? [] : [[path, rest]],
    );
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    writeFileSync(
      join(folder, 'package-lock.json'),
      JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }),
    );
    const flags = ['--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application', '--loglevel=silent'];
    return await runProgram('npm', ['sbom', ...flags], { cwd: folder });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const { code, output } = await listParts();
if (code !== 0) {
  console.error(output.trimEnd());
  process.exitCode = 1;
} else {
  const bill = JSON.parse(output) as Bill;
  delete bill.serialNumber;
  delete bill.metadata.timestamp;
  const seconds = process.env.SOURCE_DATE_EPOCH;
  if (seconds) bill.metadata.timestamp = new Date(Number(seconds) * 1_000).toISOString();
  // npm names it after the folder it lies in.
  bill.metadata.component.name = manifest.name;
  console.log(JSON.stringify(bill, null, 2));
}
