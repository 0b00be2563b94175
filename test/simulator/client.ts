// Calls of Finvera's, as the simulator's tests make them.
import type { FaultSpec } from '../../simulator/faults.ts';
import type { Call } from '../../simulator/received.ts';
import type { SimulatorOptions } from '../../simulator/settings.ts';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { call, cookieIn, json, type Reply } from '../support/http-client.ts';

export { call, cookieIn, json, type Reply } from '../support/http-client.ts';

const running = new Set<Simulator>();

/** Starts a simulator that {@link closeAll} ends. */
export async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await createSimulator(options);
  running.add(simulator);
  return simulator;
}

/** Ends what {@link start} started; for `afterEach`. */
export async function closeAll(): Promise<void> {
  await Promise.all([...running].map((simulator) => simulator.close()));
  running.clear();
}

/** The tokens of a login. */
export interface Tokens {
  readonly access: string;
  readonly refresh: string;
}

/** The tokens a reply bears, in its cookies or else in its body; empty where there are none. */
export function tokensIn(reply: Reply): Tokens {
  const body = json(reply);
  return {
    access: cookieIn(reply, 'DT_AUTH_TOKEN') ?? body.token ?? '',
    refresh: cookieIn(reply, 'DT_REFRESH_TOKEN') ?? body.refresh_token ?? '',
  };
}

/** Sends a login. */
export function sendLogin(
  simulator: Simulator,
  email = 'demo@finvera.test',
  password = 'demo-password',
): Promise<Reply> {
  const body = JSON.stringify({ email, password });
  return call(`${simulator.url}/kms/api/v1/auth/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body,
  });
}

/** Logs in and answers the tokens. */
export async function login(simulator: Simulator, email?: string): Promise<Tokens> {
  return tokensIn(await sendLogin(simulator, email));
}

/** Starts a simulator, logs the demo user in, and only then adds the faults. */
export async function loggedIn(...faults: FaultSpec[]): Promise<Tokens & { readonly simulator: Simulator }> {
  const simulator = await start();
  const tokens = await login(simulator);
  for (const fault of faults) simulator.addFault(fault);
  return { simulator, ...tokens };
}

/** Sends a refresh. */
export function sendRefresh(simulator: Simulator, refreshToken: string, signal?: AbortSignal): Promise<Reply> {
  return call(`${simulator.url}/kms/api/v1/auth/refresh`, {
    method: 'POST',
    headers: { Cookie: `DT_REFRESH_TOKEN=${refreshToken}` },
    ...(signal ? { signal } : {}),
  });
}

/** Sends a validate. */
export function sendValidate(simulator: Simulator, accessToken: string): Promise<Reply> {
  return get(simulator, '/kms/api/v1/auth/validate', accessToken);
}

/** Sends a GET with a bearer. */
export function get(simulator: Simulator, path: string, accessToken: string): Promise<Reply> {
  return call(`${simulator.url}${path}`, { headers: { Authorization: `Bearer ${accessToken}` } });
}

/** Resolves once the simulator has seen a client go away before its answer ended. */
export async function untilAborted(simulator: Simulator, kind: Call): Promise<void> {
  while (simulator.counters()[kind].aborted === 0) await call(`${simulator.url}/__sim/counters`);
}
