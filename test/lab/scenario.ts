// What a scenario of the laboratory is: it does something bad to real processes and checks the invariants.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SimulatorOptions } from '../../simulator/settings.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import type { Forgery } from '../support/forge-sessions.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { endAll, type GatewayProcess, LAB_KEY, startGatewayProcess } from './gateway-process.ts';
import { createLabClient, type LabClient } from './load.ts';

export interface Scale {
  /** How often a race is repeated. */
  readonly repetitions: number;
  /** How many requests or sessions a storm has. */
  readonly storm: number;
  /** How many live sessions the memory is measured with. */
  readonly sessions: number;
}

export const FULL: Scale = { repetitions: 200, storm: 1_000, sessions: 100_000 };
export const SMALL: Scale = { repetitions: 5, storm: 200, sessions: 3_000 };

export interface Outcome {
  /** What was measured, in the order it is to be read. */
  readonly numbers: Readonly<Record<string, number | string>>;
  /** Each is an invariant that did not hold; empty: it passed. */
  readonly violations: readonly string[];
}

export interface Scenario {
  readonly name: string;
  run(scale: Scale): Promise<Outcome>;
}

export interface Lab {
  readonly redis: TestRedis;
  readonly simulator: Simulator;
  readonly client: LabClient;
  /** Starts one more gateway on the same Redis and Finvera. */
  start(env?: Readonly<Record<string, string>>): Promise<GatewayProcess>;
}

/** A Redis, a Finvera and a client for one scenario; everything ends with it, also where it fails. */
export async function withLab<T>(options: SimulatorOptions, work: (lab: Lab) => Promise<T>): Promise<T> {
  const redis = await startRedis();
  const simulator = await createSimulator({ anyUser: true, ...options });
  const client = createLabClient();
  const gateways: GatewayProcess[] = [];
  try {
    return await work({
      redis,
      simulator,
      client,
      async start(env = {}) {
        const gateway = await startGatewayProcess({ REDIS_URL: redis.url, FINVERA_URL: simulator.url, ...env });
        gateways.push(gateway);
        return gateway;
      },
    });
  } finally {
    await client.close();
    await endAll(gateways);
    await simulator.close();
    await redis.close();
  }
}

/** A file for `GATEWAY_CONFIG` while the work lasts. */
export async function withConfig<T>(yaml: string, work: (path: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'lab-'));
  const path = join(folder, 'gateway.yaml');
  writeFileSync(path, yaml);
  try {
    return await work(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For live sessions with tokens of 900 and 700 characters. */
export const forgery = (redisUrl: string): Forgery => ({
  redisUrl,
  sessionKeys: LAB_KEY,
  accessToken: 'a'.repeat(900),
  refreshToken: 'r'.repeat(700),
  accessLifeMs: 3_600_000,
  licensingTierId: 'standard',
});

/** Collects broken invariants as sentences. */
export function createVerdict() {
  const violations: string[] = [];
  return {
    violations,
    expect(holds: boolean, sentence: string): void {
      if (!holds) violations.push(sentence);
    },
  };
}

export const EVENT = '/delivery/api/v1/events/evt-0001';
