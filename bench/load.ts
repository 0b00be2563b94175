// Runs the load generator and hands back what it measured. Generates no load in this process.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Header } from './job.ts';
import { LOAD_CORE, runPinned } from './pinned.ts';

export interface LoadOrder {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** A file with one line a user: the header that authenticates. Which is next is chosen at random. */
  readonly credentialsFile: string;
  /** Requests a second on average, arriving at random; undefined: as fast as answers come. */
  readonly rate?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that broke under a request. */
  readonly failures: number;
}

const PROGRAM = fileURLToPath(new URL('./load-process.ts', import.meta.url));

/** @param credentials one for each user; none: nobody is authenticated. */
export async function runLoad(
  credentials: readonly Header[],
  order: Omit<LoadOrder, 'credentialsFile'>,
): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-load-'));
  const credentialsFile = join(folder, 'credentials');
  writeFileSync(credentialsFile, credentials.map(([name, value]) => `${name}: ${value}`).join('\n'));
  try {
    const text = await runPinned(LOAD_CORE, process.execPath, [PROGRAM, JSON.stringify({ ...order, credentialsFile })]);
    return JSON.parse(text) as LoadResult;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
