// A gateway whose routes share answers, in front of a Finvera whose answers the test writes down, on a clock of the test's.
import type { SimulatorOptions } from '../../simulator/settings.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { CacheSettings, RouteCacheSettings, RouteSettings } from '../../src/config/settings.ts';
import type { Reply } from './http-client.ts';
import { type Script, type ScriptedAnswer, type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts';
import {
  type Browser,
  closeGateways,
  createTestClock,
  startGateway,
  type TestClock,
  type TestGateway,
} from './test-gateway.ts';

export interface CachedScene {
  readonly upstream: ScriptedUpstream;
  readonly clock: TestClock;
  readonly gateway: TestGateway;
  /** Logs in; enterprise unless another user is named. */
  user(email?: string): Promise<Browser>;
}

export interface CachedSceneOptions {
  readonly rules?: Partial<RouteCacheSettings>;
  readonly route?: Partial<RouteSettings>;
  readonly cache?: Partial<CacheSettings>;
  readonly env?: Readonly<Record<string, string>>;
  readonly simulator?: SimulatorOptions;
  readonly script?: Script;
  /** Further routes. */
  readonly others?: readonly RouteSettings[];
}

export const ENTERPRISE = 'demo@finvera.test';
export const ENTERPRISE_2 = 'enterprise@finvera.test';
export const STANDARD = 'standard@finvera.test';

export const TTL_MS = 10_000;
/** Of the cached route. */
export const PATH = '/delivery/api/v1/events';

/** Every answer alike but for its number. */
export const always =
  (...headers: string[]) =>
  (): ScriptedAnswer => ({ headers });

export const statusOf = (reply: Reply) => reply.headers['cache-status'];
export const seen = (reply: Reply) => [reply.status, reply.text, statusOf(reply), reply.headers.age];

/** As the shipped file has it, with changes. */
export function cacheSettings(changes: Partial<CacheSettings> = {}): CacheSettings {
  const loaded = loadSettings({ env: {} });
  if (loaded.kind === 'invalid') throw new Error(loaded.problems.join('\n'));
  return { ...loaded.settings.cache, ...changes };
}

export function cachedRoute(
  rules: Partial<RouteCacheSettings> = {},
  route: Partial<RouteSettings> = {},
): RouteSettings {
  return {
    path: '/delivery',
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    credential: 'session',
    apiKeyIn: 'bearer',
    cache: { ttl: TTL_MS, staleWhileRevalidate: 0, staleIfError: 0, scope: 'tier', ...rules },
    ...route,
  };
}

const upstreams = new Set<ScriptedUpstream>();

export async function startCachedScene(options: CachedSceneOptions = {}): Promise<CachedScene> {
  const { rules, route, cache, env, simulator, script, others = [] } = options;
  const upstream = await startScriptedUpstream({
    users: [ENTERPRISE, ENTERPRISE_2, 'third@finvera.test']
      .map((email) => ({ email, password: 'demo-password', tier: 'enterprise' }))
      .concat(
        [STANDARD, 'second@finvera.test'].map((email) => ({ email, password: 'demo-password', tier: 'standard' })),
      ),
    ...simulator,
  });
  upstreams.add(upstream);
  if (script) upstream.script(script);
  const clock = createTestClock(Date.parse('2026-11-24T12:00:00Z'));
  const gateway = await startGateway(upstream.url, {
    clock,
    ...(env ? { env } : {}),
    settings: { routes: [cachedRoute(rules, route), ...others], cache: cacheSettings(cache) },
  });
  return {
    upstream,
    clock,
    gateway,
    async user(email = ENTERPRISE) {
      const browser = gateway.browser();
      const reply = await browser.login(email);
      if (reply.status !== 200) throw new Error(`login answered ${reply.status}`);
      return browser;
    },
  };
}

/** For `afterEach`. */
export async function closeCachedScenes(): Promise<void> {
  await closeGateways();
  await Promise.all([...upstreams].map((upstream) => upstream.close()));
  upstreams.clear();
}
