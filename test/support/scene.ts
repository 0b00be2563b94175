// What most files of tests stand on: a Redis for the file, a Finvera for each test, gateways between them; all of it ends behind each test.
import { afterAll, afterEach, beforeAll, beforeEach, expect } from '@jest/globals';
import type { SimulatorOptions } from '../../simulator/settings.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import type { RouteSettings } from '../../src/config/settings.ts';
import { startRedis, type TestRedis } from './redis-server.ts';
import type { TestClock } from './test-clock.ts';
import { type Browser, closeGateways, createTestClock, startGateway, type TestGateway } from './test-gateway.ts';

export interface SceneOptions {
  /** Sessions in a Redis, emptied behind each test; else in the gateway’s memory. */
  readonly redis?: true;
  /** Gateway and Finvera go by a clock that stands still until it is moved; else by the machine’s. */
  readonly clock?: true;
  /** Of every gateway. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Scene {
  readonly redis: TestRedis;
  readonly simulator: Simulator;
  readonly clock: TestClock;
  /** Another Finvera in place of this one. */
  replaceSimulator(options: SimulatorOptions): Promise<void>;
  /** Each gateway is closed behind its test. */
  start(env?: Readonly<Record<string, string>>, routes?: readonly RouteSettings[]): Promise<TestGateway>;
}

/** To be called once, at the top of a file. */
export function arrangeScene(options: SceneOptions = {}): Scene {
  let redis: TestRedis | undefined;
  let simulator: Simulator | undefined;
  let clock: TestClock | undefined;
  if (options.redis) {
    beforeAll(async () => {
      redis = await startRedis();
    });
    afterAll(() => redis?.close());
  }
  beforeEach(async () => {
    clock = options.clock && createTestClock();
    simulator = await createSimulator(clock ? { now: clock.now } : {});
  });
  afterEach(async () => {
    await closeGateways();
    await simulator?.close();
    await redis?.client.flushall();
  });
  const scene: Scene = {
    get redis() {
      return present(redis);
    },
    get simulator() {
      return present(simulator);
    },
    get clock() {
      return present(clock);
    },
    async replaceSimulator(replacement) {
      await simulator?.close();
      simulator = await createSimulator(replacement);
    },
    start: (env = {}, routes) =>
      startGateway(scene.simulator, {
        ...(clock ? { clock } : {}),
        env: { ...(redis ? { REDIS_URL: redis.url } : {}), ...options.env, ...env },
        ...(routes ? { settings: { routes } } : {}),
      }),
  };
  return scene;
}

function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('this scene was not asked for it, or no test runs');
  return part;
}

/** A browser of the demo user’s. */
export async function loggedIn(gateway: TestGateway): Promise<Browser> {
  const browser = gateway.browser();
  expect((await browser.login()).status).toBe(200);
  return browser;
}

/** A route that forwards with the session’s bearer, but for the changes. */
export function routeTo(path: string, changes: Partial<RouteSettings> = {}): RouteSettings {
  return { path, methods: ['GET', 'HEAD', 'POST'], credential: 'session', apiKeyIn: 'bearer', ...changes };
}
