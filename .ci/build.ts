/** Builds `dist/`: the compiled sources, what a start loads in few files, and the browser client in one. The old one is in place until the new one is whole. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleClient } from './bundle-client.ts';
import { bundleGateway } from './bundle-gateway.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const fresh = mkdtempSync(join(root, '.dist-'));
// Such a folder is its maker's only; the image is built by root and run by another user.
chmodSync(fresh, 0o755);
const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', fresh],
  { cwd: root, stdio: 'inherit' },
);
if (status === 0) {
  bundleClient(join(fresh, 'client/bundle.js'));
  await bundleGateway(fresh);
  const old = `${fresh}-old`;
  rmSync(old, { recursive: true, force: true });
  try {
    renameSync(dist, old);
  } catch {
    // There was none.
  }
  renameSync(fresh, dist);
  rmSync(old, { recursive: true, force: true });
} else {
  rmSync(fresh, { recursive: true, force: true });
}
process.exit(status ?? 1);
