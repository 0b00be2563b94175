// A logged-in page, a gateway, and an upstream for its streams.
import type { Simulator } from '../../simulator/simulator.ts';
import type { StreamSettings } from '../../src/config/settings.ts';
import type { TestRedis } from './redis-server.ts';
import {
  closeStreamClients,
  type StreamTarget,
  type StreamUpstream,
  type StreamUpstreamOptions,
  startStreamUpstream,
} from './stream-client.ts';
import { streamSettings } from './stream-settings.ts';
import {
  type Browser,
  closeGateways,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
} from './test-gateway.ts';

export interface StreamScene {
  readonly upstream: StreamUpstream;
  readonly gateway: TestGateway;
  readonly browser: Browser;
  readonly target: StreamTarget;
}

export interface StreamSceneOptions extends StreamUpstreamOptions {
  readonly streams?: Partial<StreamSettings>;
  readonly gateway?: TestGatewayOptions;
}

const upstreams = new Set<StreamUpstream>();

export async function startStreamScene(
  simulator: Simulator,
  { streams = {}, gateway: options = {}, ...upstreamOptions }: StreamSceneOptions = {},
): Promise<StreamScene> {
  const upstream = await startStreamUpstream(upstreamOptions);
  upstreams.add(upstream);
  const gateway = await startGateway(simulator, {
    ...options,
    settings: { finveraStreamUrl: upstream.url, streams: streamSettings(streams), ...options.settings },
  });
  const browser = gateway.browser();
  const { status } = await browser.login();
  if (status !== 200) throw new Error(`the login answers ${status}`);
  return { upstream, gateway, browser, target: { url: gateway.url, cookie: browser.cookie } };
}

const KEYS = `k1:${Buffer.alloc(32, 1).toString('base64url')}`;

/** What makes gateways share their sessions. */
export const onRedis = ({ url }: Pick<TestRedis, 'url'>, env: Record<string, string> = {}) => ({
  env: { REDIS_URL: url, SESSION_KEYS: KEYS, ...env },
});

/** Two instances on one Redis, with the session of one known to both; the target is at the other. */
export async function startStreamPair(simulator: Simulator, redis: Pick<TestRedis, 'url'>) {
  const a = await startStreamScene(simulator, { gateway: onRedis(redis) });
  const b = await startGateway(simulator, { ...onRedis(redis), settings: { finveraStreamUrl: a.upstream.url } });
  return { ...a, target: { ...a.target, url: b.url }, other: b };
}

/** For `afterEach`. */
export async function closeStreamScenes(): Promise<void> {
  closeStreamClients();
  await closeGateways();
  await Promise.all([...upstreams].map((upstream) => upstream.close()));
  upstreams.clear();
}
