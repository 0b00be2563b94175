// What a process takes of the machine's memory, from the system's own books; and its garbage, collected when asked to.
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { residentBytes } from '../support/process-usage.ts';
import { freePort } from '../support/redis-server.ts';

/** The most resident bytes since now. */
export function watchMemory(pid: number, everyMs = 100): { stop(): number } {
  let peak = residentBytes(pid);
  const timer = setInterval(() => {
    peak = Math.max(peak, residentBytes(pid));
  }, everyMs);
  return {
    stop() {
      clearInterval(timer);
      return Math.max(peak, residentBytes(pid));
    },
  };
}

export interface Inspected {
  /** For a process whose memory is to be settled. */
  readonly env: Readonly<Record<string, string>>;
  /** Collects the garbage of that process and waits until the system has the memory back. @returns its resident bytes. */
  settle(pid: number): Promise<number>;
}

const SETTLE_MS = 1_000;

/** A process collects by itself only as it needs memory: without this its garbage would be measured. */
export async function inspected(): Promise<Inspected> {
  const port = await freePort();
  return {
    env: { NODE_OPTIONS: `--inspect=127.0.0.1:${port}` },
    async settle(pid) {
      const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
        webSocketDebuggerUrl: string;
      }[];
      // Twice: what the first collection finalises, the second one frees.
      for (let round = 0; round < 2; round += 1) await collect(targets[0]?.webSocketDebuggerUrl ?? '');
      await delay(SETTLE_MS);
      return residentBytes(pid);
    },
  };
}

function collect(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.once('error', reject);
    socket.once('close', () => resolve());
    socket.once('open', () => socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' })));
    socket.once('message', () => socket.close());
  });
}
