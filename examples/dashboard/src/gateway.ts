// The gateway's browser client, as the gateway itself serves it: the page and the gateway are never of two versions.
import type { GatewayClient, GatewayError } from '../../../src/client/client.ts';

export type {
  GatewayClient,
  GatewayError,
  GatewaySession,
  GatewayUser,
  ListedSession,
  SessionAnswer,
  StreamState,
} from '../../../src/client/client.ts';

type ClientModule = typeof import('../../../src/client/client.ts');

const ADDRESS = '/bff/client.js';

export async function loadClient(): Promise<GatewayClient> {
  const { createGatewayClient }: ClientModule = await import(/* @vite-ignore */ ADDRESS);
  return createGatewayClient();
}

/** Not `instanceof`: the class is the module's, which only `loadClient` has. */
export function isGatewayError(error: unknown): error is GatewayError {
  return error instanceof Error && error.name === 'GatewayError';
}
