/** Liveness and readiness, on the public and the management listener. Live says nothing of Redis: a blip must restart nothing. */
import { connect } from 'node:net';
import * as z from 'zod';
import { within } from '../kernel/within.ts';
import type { Sessions } from '../session/sessions.ts';

const check = z.enum(['ok', 'unavailable']);

export const healthSchema = z.object({
  status: z.enum(['ok', 'degraded', 'unavailable']),
  checks: z.object({ store: check, finvera: check }).optional(),
});

export interface Health {
  live(): HealthAnswer;
  ready(): Promise<HealthAnswer>;
}

export interface HealthAnswer {
  readonly status: number;
  readonly body: z.infer<typeof healthSchema>;
}

export interface HealthOptions {
  readonly sessions: Pick<Sessions, 'ping'>;
  readonly finveraUrl: string;
  readonly isDraining: () => boolean;
}

const CHECK_TIMEOUT_MS = 1_000;
/** Probes from many sides must not become a load on what they probe. */
const CHECK_KEPT_MS = 500;

export function createHealth({ sessions, finveraUrl, isDraining }: HealthOptions): Health {
  const store = remember(() => succeeds(sessions.ping(), CHECK_TIMEOUT_MS));
  const finvera = remember(() => canConnect(new URL(finveraUrl)));
  return {
    live: () => ({ status: 200, body: { status: 'ok' } }),
    async ready() {
      const [storeOk, finveraOk] = await Promise.all([store(), finvera()]);
      const checks = { store: storeOk ? 'ok' : 'unavailable', finvera: finveraOk ? 'ok' : 'unavailable' } as const;
      if (!storeOk || isDraining()) return { status: 503, body: { status: 'unavailable', checks } };
      return { status: 200, body: { status: finveraOk ? 'ok' : 'degraded', checks } };
    },
  };
}

function remember(check: () => Promise<boolean>): () => Promise<boolean> {
  let last: Promise<boolean> | undefined;
  let at = 0;
  return () => {
    if (!last || performance.now() - at > CHECK_KEPT_MS) {
      at = performance.now();
      last = check();
    }
    return last;
  };
}

/** False, too, where nothing is heard for too long. */
function succeeds(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const verdict = work.then(
    () => true,
    () => false,
  );
  return within(verdict, limitMs, false);
}

/** Opens a connection and closes it: no documented call of Finvera's is meant for probing. */
function canConnect({ protocol, hostname, port }: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
      timeout: CHECK_TIMEOUT_MS,
    });
    const settle = (reachable: boolean) => {
      socket.destroy();
      resolve(reachable);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}

/** The paths, and which answer each gives. */
export const HEALTH_PATHS: readonly string[] = ['/health', '/health/live', '/health/ready'];
