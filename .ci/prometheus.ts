/** Where Prometheus' programs are: in PATH, or in a folder of their own that the check unpacks Debian's package into. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Not installed: the package would start a server, on the port of the gateway's management listener. */
export const PROMETHEUS_FOLDER = fileURLToPath(new URL('../.cache/prometheus', import.meta.url));

/** Best first. */
export function placesOf(program: 'prometheus' | 'promtool'): string[] {
  return [program, `${PROMETHEUS_FOLDER}/usr/bin/${program}`];
}

/** @throws with what to do, where it is nowhere */
export function findProgram(program: 'prometheus' | 'promtool'): string {
  const found = placesOf(program).find((place) => spawnSync(place, ['--version']).status === 0);
  if (found) return found;
  throw new Error(
    `${program} is missing. npm run check gets it where Debian's package manager is; elsewhere install Prometheus so that ${program} is in PATH.`,
  );
}
