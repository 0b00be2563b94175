/** Whether Finvera can be reached from here, and what its clock says. One request without credentials; whatever it answers is an answer. */
import type { Settings } from '../config/settings.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Finding } from './finding.ts';
import { seconds } from './judge-redis.ts';

/** Its clock is told in whole seconds, and the answer was under way. */
const CLOCK_TOLERANCE_MS = 5_000;

export async function askFinvera({
  finveraUrl,
  finveraConnectTimeout,
  finveraAuthTimeout,
}: Settings): Promise<readonly Finding[]> {
  const startedAt = performance.now();
  try {
    const { status, headers } = await fetch(finveraUrl, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(finveraConnectTimeout + finveraAuthTimeout),
    });
    const tookMs = performance.now() - startedAt;
    const says = `Finvera at ${finveraUrl} answers (${status}) in ${Math.round(tookMs)} ms.`;
    return [{ area: 'finvera', level: 'ok', says }, ...judgeDate(headers.get('date'))];
  } catch (error) {
    return [unreachable(finveraUrl, reasonOf(error))];
  }
}

function judgeDate(date: string | null): readonly Finding[] {
  const theirs = Date.parse(date ?? '');
  if (Number.isNaN(theirs)) return [];
  const aheadMs = theirs - systemClock.now();
  if (Math.abs(aheadMs) <= CLOCK_TOLERANCE_MS)
    return [{ area: 'clock', level: 'ok', says: "Finvera's clock agrees with this machine's." }];
  const says = `Finvera's clock is ${seconds(aheadMs)} this machine's.`;
  return [{ area: 'clock', level: 'advice', says, mend: "Let NTP set this machine's." }];
}

const MENDS: readonly (readonly [RegExp, string])[] = [
  [/ENOTFOUND|EAI_AGAIN/, 'Its name cannot be resolved: look at FINVERA_URL and at the DNS of this machine.'],
  [/ECONNREFUSED/, 'Nothing listens there: look at FINVERA_URL, host and port.'],
  [
    /CERT|SELF_SIGNED|UNABLE_TO|altname/i,
    'Its certificate is not trusted: name the CA in NODE_EXTRA_CA_CERTS, never turn the check off.',
  ],
  [
    /TIMEOUT|EHOSTUNREACH|ENETUNREACH/i,
    'No packet comes back: look at firewalls, network policies and egress proxies.',
  ],
];

function unreachable(url: string, reason: string): Finding {
  const mend = MENDS.find(([form]) => form.test(reason))?.[1] ?? 'Look at FINVERA_URL and the way there.';
  return { area: 'finvera', level: 'wrong', says: `Finvera at ${url} cannot be reached (${reason}).`, mend };
}

/** What lies below `fetch failed`. */
function reasonOf(error: unknown): string {
  const { cause, name, message } = error as { cause?: unknown; name?: string; message?: string };
  const { code } = (cause ?? error) as { code?: unknown };
  if (typeof code === 'string') return code;
  if (name === 'TimeoutError') return 'TIMEOUT';
  return (cause as { message?: string } | undefined)?.message ?? message ?? 'unknown reason';
}
