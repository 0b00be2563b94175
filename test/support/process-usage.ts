// What a process uses, from the system's own books.
import { readFileSync } from 'node:fs';

/** What `ps` and /proc count in on every Linux that Node supports. */
export const TICKS_PER_SECOND = 100;

/** Seconds of processor time, user and system, of a process with all its threads. */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  // utime and stime, the 14th and 15th field; the list begins with the third.
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The fields after the command, which may hold spaces and brackets itself. */
export function statFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

export function residentBytes(pid: number): number {
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return kilobytes * 1_024;
}
