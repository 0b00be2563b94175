/** `cache purge`: no instance uses what it covers of the shared answers any more. */
import { type PurgeTarget, tellPurge } from '../cache/invalidation-feed.ts';
import { systemClock } from '../kernel/clock.ts';
import { type CommandOptions, DONE } from './command-options.ts';
import { openConnection, placeOf, validSettings } from './open-store.ts';
import { accountName, openAudit } from './operator-audit.ts';
import type { OperatorArguments } from './parse-operator-command.ts';

/** How soon each instance that reaches Redis has heard of it. */
const HEARD_WITHIN = '1 s';

/** @throws Error with a sentence, where there is no Redis that instances share answers through, or it does not answer. */
export async function purgeCache({ route, path, json }: OperatorArguments, options: CommandOptions): Promise<number> {
  const { settings } = validSettings(options);
  const { cache, cacheRedisUrl, redisUrl, sessionStore, routes } = settings;
  const url = cache.redis === 'off' ? undefined : (cacheRedisUrl ?? (sessionStore === 'redis' ? redisUrl : undefined));
  if (url === undefined)
    throw new Error(
      'the settings keep shared answers in the process alone: restart it to empty them, or set REDIS_URL or CACHE_REDIS_URL as the gateway has it.',
    );
  if (route !== undefined && !routes.some((each) => each.path === route && each.cache))
    options.stderr.write(`warning: the settings have no route ${route} with a cache\n`);
  const connection = openConnection(url);
  try {
    const why = await connection.whenUsable();
    if (why !== undefined) throw new Error(`Redis at ${placeOf(url)} cannot be reached (${why}).`);
    await tellPurge(connection.redis, targetOf(route, path), systemClock.now());
  } finally {
    connection.redis.disconnect();
  }
  const what = route ?? path ?? '*';
  const audit = openAudit(settings, options);
  audit.record('cache_purged', { purged: what, by: 'operator', operator: accountName() });
  audit.close();
  options.stdout.write(
    json ? `${JSON.stringify({ purged: what })}\n` : `${what} is purged; every instance knows within ${HEARD_WITHIN}\n`,
  );
  return DONE;
}

function targetOf(route: string | undefined, path: string | undefined): PurgeTarget {
  return route === undefined ? { kind: 'pattern', pattern: path ?? '*' } : { kind: 'route', route };
}
