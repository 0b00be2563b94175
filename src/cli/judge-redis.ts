/** What is wrong with a Redis for sessions: eviction, persistence, memory, version, clock. Pure. */
import type { RedisFacts } from '../redis/redis-facts.ts';
import type { Finding } from './finding.ts';

const LEAST_MAJOR = 6;
const TESTED_MAJOR = 7;
const FULL = 0.8;
const SLOW_MS = 20;
const CLOCK_TOLERANCE_MS = 2_000;

export function judgeRedis(facts: RedisFacts): readonly Finding[] {
  const { place, version, roundTripMs } = facts;
  const answered = `Redis ${version ?? '(version unknown)'} at ${place} answers in ${roundTripMs.toFixed(1)} ms.`;
  const findings = [...judgeInfo(facts), ...judgeClock(facts)];
  if (roundTripMs > SLOW_MS)
    findings.push(redis('advice', answered, 'Bring it nearer: a request that is not in the cache waits for it.'));
  else findings.unshift(redis('ok', answered));
  return findings;
}

function judgeInfo(facts: RedisFacts): Finding[] {
  const { place, version, maxmemoryPolicy, maxBytes = 0, usedBytes = 0, replicas = 0 } = facts;
  if (version === undefined) {
    return [redis('advice', `The user may not ask ${place} for INFO: its settings are unknown.`, 'Allow +info.')];
  }
  const findings: Finding[] = [];
  const major = Number(version.split('.')[0]);
  if (major < LEAST_MAJOR) {
    findings.push(redis('wrong', `Redis ${version} at ${place} is too old.`, `Use Redis ${TESTED_MAJOR} or newer.`));
  } else if (major < TESTED_MAJOR) {
    findings.push(
      redis('advice', `Redis ${version} at ${place} is older than what is tested.`, `Use ${TESTED_MAJOR} or newer.`),
    );
  }
  if (maxmemoryPolicy !== 'noeviction') {
    const says = `maxmemory-policy of ${place} is ${maxmemoryPolicy}: a full Redis would log users out.`;
    findings.push(redis('wrong', says, 'redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf.'));
  }
  if (maxBytes === 0) {
    const says = `maxmemory of ${place} is not set: it grows until the machine ends it.`;
    findings.push(
      redis('advice', says, 'redis-cli CONFIG SET maxmemory with what the machine can spare, and in redis.conf.'),
    );
  } else if (usedBytes > maxBytes * FULL) {
    const says = `${place} uses ${Math.round((usedBytes / maxBytes) * 100)} % of its maxmemory.`;
    findings.push(redis('wrong', says, 'Raise maxmemory: a full one refuses logins and refreshes.'));
  }
  return [...findings, ...judgeDisk(facts), ...judgeReplicas(place, replicas)];
}

function judgeDisk({ place, appendOnly, lastWriteToDiskWorked }: RedisFacts): Finding[] {
  if (lastWriteToDiskWorked === false) {
    return [
      redis(
        'wrong',
        `${place} could not write to its disk the last time.`,
        'Look at its log and the room on the disk.',
      ),
    ];
  }
  if (appendOnly) return [];
  const says = `${place} keeps no append-only file: a restart loses the sessions since its last snapshot, or all.`;
  return [redis('wrong', says, 'redis-cli CONFIG SET appendonly yes, and in redis.conf.')];
}

function judgeReplicas(place: string, replicas: number): Finding[] {
  if (replicas > 0) return [];
  return [redis('advice', `${place} has no replica: while it is away nobody is served.`, 'Use Sentinel or a Cluster.')];
}

function judgeClock({ place, clockAheadMs }: RedisFacts): Finding[] {
  if (clockAheadMs === undefined) {
    const says = `The user may not ask ${place} for its TIME.`;
    return [{ area: 'clock', level: 'advice', says, mend: 'Allow +time.' }];
  }
  if (Math.abs(clockAheadMs) <= CLOCK_TOLERANCE_MS) {
    return [{ area: 'clock', level: 'ok', says: `The clock of ${place} agrees with this machine's.` }];
  }
  const says = `The clock of ${place} is ${seconds(clockAheadMs)} this machine's.`;
  return [
    {
      area: 'clock',
      level: 'advice',
      says,
      mend: 'Let NTP set both: idle and absolute ends of sessions go by the clocks of instances.',
    },
  ];
}

/** `3 s ahead of`, `3 s behind`. */
export function seconds(aheadMs: number): string {
  return `${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
}

function redis(level: Finding['level'], says: string, mend?: string): Finding {
  return { area: 'redis', level, says, ...(mend === undefined ? {} : { mend }) };
}
