// The dashboard as the demo serves it: built, with a Redis where there is one, and with controls for trouble.
import { buildDashboardIfStale } from '../../.ci/build-dashboard.ts';
import type { Simulator } from '../../simulator/simulator.ts';
import { createActivityFeed } from './activity-feed.ts';
import { startDashboardServer } from './dashboard-server.ts';
import { createDemoControls } from './demo-controls.ts';
import { startDemoRedis } from './demo-redis.ts';
import type { LogLine } from './log-sentence.ts';
import { anyFreePort } from './ports.ts';

export interface Dashboard {
  /** What the gateway in front of it needs. */
  readonly settings: Readonly<Record<string, string>>;
  readonly hasRedis: boolean;
  /** A line of the gateway's log. */
  noteLog(line: LogLine): void;
  close(): Promise<void>;
}

/** @throws where the dashboard does not build. */
export async function startDashboard(simulator: Simulator): Promise<Dashboard> {
  const folder = buildDashboardIfStale();
  const redis = await startDemoRedis(await anyFreePort());
  const activity = createActivityFeed(simulator);
  const controls = createDemoControls(simulator, redis);
  const server = await startDashboardServer({ folder, controls, activity });
  return {
    settings: {
      FRONTEND: server.url,
      // Short, so that a visitor is asked whether to stay.
      SESSION_IDLE_TIMEOUT: '5m',
      ...(redis ? { SESSION_STORE: 'redis', REDIS_URL: redis.url } : {}),
    },
    hasRedis: redis !== undefined,
    noteLog: activity.noteLog,
    async close() {
      activity.close();
      await server.close();
      await redis?.close();
    },
  };
}

/** The page's calls of the demo's own controls: no news to anybody. */
export const isControlCall = ({ path }: LogLine): boolean => typeof path === 'string' && path.startsWith('/demo/');
