// How it shows that a session is over: to its cookie, in the store, in the log and in the metrics.
import { expect } from '@jest/globals';
import type { Reply } from './http-client.ts';
import { expectProblem } from './problem.ts';
import type { TestRedis } from './redis-server.ts';
import type { TestGateway } from './test-gateway.ts';

const CLEARED = '__Host-finvera_session=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0';

export function expectSessionExpired(reply: Reply): void {
  expectProblem(reply, 401, 'session_expired');
  expect(reply.setCookies).toEqual([CLEARED]);
}

/** The keys of sessions; counters of logins and the lists of users' sessions apart. */
export async function storedSessions({ client }: TestRedis): Promise<string[]> {
  return (await client.keys('*')).filter((key) => !key.includes('throttle') && !key.includes(':user:'));
}

/** The only session there was. */
export async function expectSessionGone(
  redis: TestRedis,
  gateway: TestGateway,
  cookie: string | undefined,
  reason: string,
): Promise<void> {
  const browser = gateway.browser();
  browser.cookie = cookie;
  expectSessionExpired(await browser.fetch('/bff/session'));
  expect(await storedSessions(redis)).toEqual([]);
  expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_ended', reason }));
  expect(await gateway.metrics()).toContain(`finvera_gateway_sessions_ended_total{reason="${reason}"} 1`);
}
