// What a visitor can do to the demo's Finvera and Redis. Knows no HTTP.
import type { ActiveFault, FaultSpec } from '../../simulator/faults.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import type { DemoRedis } from './demo-redis.ts';

export interface DemoState {
  readonly faults: readonly string[];
  readonly redis: 'running' | 'stopped' | 'absent';
}

export interface DemoControls {
  state(): DemoState;
  /** @returns what was done, in words; undefined where there is no such thing to do. */
  change(path: string, body: Readonly<Record<string, unknown>>): Promise<string | undefined>;
}

const FAULTS: ReadonlyMap<string, FaultSpec> = new Map([
  ['slow', { fault: 'latency', ms: 2_000, match: { call: 'data' } }],
  ['error', { fault: 'status', status: 500, match: { call: 'data' } }],
  ['limited', { fault: 'rate_limited', retryAfter: 10, match: { call: 'data' } }],
  ['down', { fault: 'reset_before' }],
]);

export function createDemoControls(simulator: Simulator, redis: DemoRedis | undefined): DemoControls {
  const active = new Map<string, ActiveFault>();
  const isActive = (name: string) => simulator.faults().some((fault) => fault === active.get(name));

  const setFault = (name: string, wanted: boolean): string | undefined => {
    const fault = FAULTS.get(name);
    if (!fault) return undefined;
    active.get(name)?.remove();
    if (wanted) active.set(name, simulator.addFault(fault));
    return `fault '${name}' ${wanted ? 'on' : 'off'}`;
  };
  const setRedis = async (running: boolean): Promise<string | undefined> => {
    if (!redis) return undefined;
    await (running ? redis.start() : redis.stop());
    return `Redis ${running ? 'started' : 'stopped'}`;
  };

  return {
    state: () => ({
      faults: [...FAULTS.keys()].filter(isActive),
      redis: redis ? (redis.isRunning ? 'running' : 'stopped') : 'absent',
    }),
    async change(path, { active: wanted, running }) {
      switch (path) {
        case 'redis':
          return await setRedis(running === true);
        case 'revoke/access':
          return `access tokens revoked: ${simulator.revoke('access').access}`;
        case 'revoke/refresh':
          simulator.revoke('all');
          return 'all tokens revoked';
        case 'streams/drop':
          return `${simulator.dropStreams()} streams cut`;
        default:
          return path.startsWith('faults/') ? setFault(path.slice('faults/'.length), wanted === true) : undefined;
      }
    },
  };
}
