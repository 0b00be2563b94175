/** A 429 of Finvera's: learned from its answer, told to whoever asks for the same credential meanwhile. */
import { type CredentialTag, credentialTag, type UpstreamLimits } from '../cache/upstream-limits.ts';
import type { RouteSettings } from '../config/settings.ts';
import { parseRetryAfter } from '../finvera/retry-after.ts';
import type { HeaderList } from '../forwarding/header-policy.ts';
import type { RequestContext } from '../guards/request-context.ts';
import { GatewayError } from '../kernel/errors.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Session } from '../session/session.ts';

/** Undefined for public routes: nothing was sent that Finvera could limit but the gateway itself. */
export function limitTagOf(route: RouteSettings, session: Session | undefined): CredentialTag | undefined {
  if (route.credential === 'api-key') return credentialTag(undefined);
  return session && credentialTag(session.user.user_id);
}

/** @throws GatewayError `rate_limited`, with what is left: nothing, until then */
export function refuseWhileLimited(
  limits: UpstreamLimits,
  tag: CredentialTag | undefined,
  { answerHeaders }: RequestContext,
  metrics: Metrics,
): void {
  const waitMs = tag === undefined ? undefined : limits.waitMs(tag);
  if (waitMs === undefined) return;
  metrics.rateLimits.inc({ event: 'answered' });
  if (!answerHeaders.includes('RateLimit')) answerHeaders.push('RateLimit', rateLimitField(waitMs));
  throw new GatewayError('rate_limited', { retryAfterMs: waitMs });
}

/** The field of draft-ietf-httpapi-ratelimit-headers-11: nothing remains, and new quota comes not before Retry-After. */
function rateLimitField(waitMs: number): string {
  return `"finvera";r=0;t=${Math.max(1, Math.ceil(waitMs / 1_000))}`;
}

/** What the head of a 429 says of the limit. Without Retry-After nothing is known that could be told to others. */
export function learnLimit(
  limits: UpstreamLimits,
  tag: CredentialTag | undefined,
  headers: HeaderList,
  now: number,
  metrics: Metrics,
): void {
  if (tag === undefined) return;
  // A date is one of Finvera's clock: it is counted from the answer's own Date, where that bears one.
  const date = Date.parse(fieldOf(headers, 'date') ?? '');
  const forMs = parseRetryAfter(fieldOf(headers, 'retry-after'), Number.isNaN(date) ? now : date);
  if (forMs === undefined || forMs === 0) return;
  metrics.rateLimits.inc({ event: 'learned' });
  limits.learn(tag, forMs);
}

function fieldOf(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]?.toLowerCase() === name) return headers[i + 1];
  return undefined;
}
