/** `doctor`: looks at settings, Redis, clocks and Finvera, and prints what it found and how it is mended. It changes nothing. */
import { type LoadedSettings, loadSettings } from '../config/load.ts';
import type { Settings } from '../config/settings.ts';
import { systemClock } from '../kernel/clock.ts';
import { readRedisFacts } from '../redis/redis-facts.ts';
import { askFinvera } from './ask-finvera.ts';
import { type CommandOptions, DONE, NOT_DONE } from './command-options.ts';
import type { Finding } from './finding.ts';
import { judgeKeysFile } from './judge-keys-file.ts';
import { judgeRedis } from './judge-redis.ts';
import { judgeSettings } from './judge-settings.ts';
import { openConnection, placeOf } from './open-store.ts';
import type { OperatorArguments } from './parse-operator-command.ts';

export async function runDoctor({ json }: OperatorArguments, options: CommandOptions): Promise<number> {
  const loaded = loadSettings(options);
  const findings = [
    { area: 'process', level: 'ok', says: `Node ${process.versions.node}.` } as const,
    ...findingsOf(loaded),
    ...(loaded.kind === 'ok' ? await look(loaded.settings) : []),
  ];
  const wrong = findings.filter(({ level }) => level === 'wrong').length;
  const advice = findings.filter(({ level }) => level === 'advice').length;
  options.stdout.write(
    json
      ? `${JSON.stringify({ findings, wrong, advice }, null, 2)}\n`
      : `${findings.map(lines).join('')}\n${wrong} wrong, ${advice} to think about\n`,
  );
  return wrong > 0 ? NOT_DONE : DONE;
}

async function look(settings: Settings): Promise<readonly Finding[]> {
  const [redis, finvera] = await Promise.all([askRedis(settings), askFinvera(settings)]);
  return [...judgeSettings(settings), ...judgeKeysFile(settings.sessionKeysFile), ...redis, ...finvera];
}

function findingsOf(loaded: LoadedSettings): readonly Finding[] {
  const of = (level: Finding['level']) => (says: string) => ({ area: 'settings', level, says }) as const;
  if (loaded.kind === 'ok') return [of('ok')('The settings are valid.'), ...loaded.warnings.map(of('advice'))];
  const mend = 'Each is described in docs/configuration.md; what else there is can be looked at once they are valid.';
  return [...loaded.problems.map((says) => ({ ...of('wrong')(says), mend })), ...loaded.warnings.map(of('advice'))];
}

async function askRedis({ sessionStore, redisUrl, production }: Settings): Promise<readonly Finding[]> {
  if (sessionStore === 'memory' || redisUrl === undefined) {
    const says =
      'Sessions are kept in the memory of one process: they end with it, and a second instance knows none of them.';
    return [{ area: 'redis', level: 'advice', says, mend: 'Set REDIS_URL.' }];
  }
  const { redis, whenUsable } = openConnection(redisUrl);
  try {
    const why = await whenUsable();
    if (why !== undefined) return [unreachable(placeOf(redisUrl), why)];
    const facts = await readRedisFacts(redis, systemClock);
    return facts.flatMap(judgeRedis).map((each) => softened(each, production));
  } catch (error) {
    return [unreachable(placeOf(redisUrl), error instanceof Error ? error.message : 'unknown reason')];
  } finally {
    redis.disconnect();
  }
}

/** A Redis for development may be as it is. */
function softened(finding: Finding, production: boolean): Finding {
  return production || finding.level !== 'wrong' ? finding : { ...finding, level: 'advice' };
}

function unreachable(place: string, why: string): Finding {
  const isRefused = /WRONGPASS|NOAUTH|NOPERM|invalid username/i.test(why);
  const mend = isRefused
    ? 'Look at user and password in REDIS_URL, and at the ACL in docs/operations.md.'
    : 'Look at REDIS_URL (scheme, host, port; rediss:// for TLS), at Redis itself and at the way there.';
  return { area: 'redis', level: 'wrong', says: `Redis at ${place} cannot be used (${why}).`, mend };
}

const MARKS = { ok: 'ok    ', advice: 'advice', wrong: 'WRONG ' } as const;

function lines({ area, level, says, mend }: Finding): string {
  const head = `${MARKS[level]}  ${area.padEnd(8)}  ${says}\n`;
  return mend === undefined ? head : `${head}${' '.repeat(18)}→ ${mend}\n`;
}
