// What a benchmark ran on, for its report.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  readonly redis: string;
  readonly nginx: string | undefined;
}

export function describeMachine(): Machine {
  const distribution = /^PRETTY_NAME="(.*)"$/m.exec(read('/etc/os-release'))?.[1] ?? 'Linux';
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    system: `${distribution}, Linux ${release()}`,
    node: process.versions.node,
    redis: /v=(\S+)/.exec(said('redis-server', '--version'))?.[1] ?? 'unknown',
    nginx: /nginx\/(\S+)/.exec(said('nginx', '-v'))?.[1],
  };
}

export function machineSentence({ date, processor, cores, memoryGb, system, node, redis, nginx }: Machine): string {
  const programs = [`Node ${node}`, `Redis ${redis}`, ...(nginx ? [`nginx ${nginx}`] : [])].join(', ');
  return `${date}; ${processor}, ${cores} cores, ${memoryGb} GB; ${system}; ${programs}.`;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Some programs tell their version on standard error. */
function said(file: string, argument: string): string {
  try {
    return execFileSync('sh', ['-c', '"$0" "$1" 2>&1', file, argument], { encoding: 'utf8' });
  } catch {
    return '';
  }
}
