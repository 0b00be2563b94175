// Everything that must never show: tokens as Finvera received them, passwords, the cookie's value.
import { expect } from '@jest/globals';
import type { Simulator } from '../../simulator/simulator.ts';
import type { TestGateway } from './test-gateway.ts';

/** The tokens that the simulator was shown so far. */
export function tokensSeen(simulator: Simulator): string[] {
  const tokens = simulator
    .requests()
    .flatMap(({ rawHeaders }) => [
      ...rawHeaders.flatMap((value) => /^Bearer (.+)$/.exec(value)?.[1] ?? []),
      ...rawHeaders.flatMap((value) => /^DT_\w+=(.+)$/.exec(value)?.[1] ?? []),
    ]);
  return [...new Set(tokens)];
}

/** Fails where the log (at its most talkative) or the metrics hold one of the secrets, or a password. */
export async function expectNothingTold(
  gateway: TestGateway,
  simulator: Simulator,
  further: readonly (string | undefined)[] = [],
): Promise<void> {
  const told = gateway.logText() + (await gateway.metrics());
  for (const secret of ['demo-password', ...tokensSeen(simulator), ...further]) {
    if (secret !== undefined) expect(told.includes(secret) ? secret : 'nothing').toBe('nothing');
  }
}
