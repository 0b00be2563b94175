// A logged-in page, a gateway, and an upstream for its streams.
import type { Simulator } from '../../simulator/simulator.ts';
import type { StreamSettings } from '../../src/config/settings.ts';
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

/** For `afterEach`. */
export async function closeStreamScenes(): Promise<void> {
  closeStreamClients();
  await closeGateways();
  await Promise.all([...upstreams].map((upstream) => upstream.close()));
  upstreams.clear();
}
