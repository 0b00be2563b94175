/** Reads `REDIS_URL` into what ioredis wants. Pure: it opens nothing. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

export interface RedisAddress {
  readonly kind: 'standalone' | 'sentinel' | 'cluster';
  readonly nodes: readonly RedisNode[];
  /** Sentinel only: the name of the master group. */
  readonly masterName?: string;
  readonly username?: string;
  readonly password?: string;
  readonly database?: number;
  readonly tls: boolean;
}

const FORM =
  /^(redis|rediss|redis\+sentinel|redis\+cluster|rediss\+sentinel|rediss\+cluster):\/\/(?:([^@/]*)@)?([^/?#]+)(?:\/([^?#]*))?$/;

/**
 * @param url `redis://`, `rediss://`, `redis+sentinel://h:p,h:p/master`, `redis+cluster://h:p,h:p`, with `user:password@`.
 *   User and password are percent-encoded.
 * @throws Error with a sentence that never contains the password.
 */
export function parseRedisAddress(url: string): RedisAddress {
  const match = FORM.exec(url);
  if (!match) throw new Error('REDIS_URL is not of a known form: redis://[user:password@]host:port[/database]');
  const [, scheme = '', userInfo, hosts = '', path = ''] = match;
  const kind = scheme.endsWith('sentinel') ? 'sentinel' : scheme.endsWith('cluster') ? 'cluster' : 'standalone';
  const nodes = hosts.split(',').map((host) => parseNode(host, kind === 'sentinel' ? 26379 : 6379));
  if (kind === 'standalone' && nodes.length > 1) {
    throw new Error('REDIS_URL names several hosts: use redis+sentinel:// or redis+cluster://');
  }
  if (kind === 'sentinel' && path === '') throw new Error('REDIS_URL names no master: redis+sentinel://h:p,h:p/master');
  return {
    kind,
    nodes,
    tls: scheme.startsWith('rediss'),
    ...(kind === 'sentinel' ? { masterName: decodeURIComponent(path) } : {}),
    ...(kind === 'standalone' && path !== '' ? { database: parseDatabase(path) } : {}),
    ...parseUserInfo(userInfo),
  };
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(text.trim());
  const port = Number(match?.[2] ?? defaultPort);
  if (!match?.[1] || port < 1 || port > 65535) throw new Error('REDIS_URL has a host that is not host:port');
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

function parseDatabase(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new Error('REDIS_URL has a database that is not a number');
  return Number(text);
}

function parseUserInfo(text: string | undefined): { username?: string; password?: string } {
  if (text === undefined || text === '') return {};
  const colon = text.indexOf(':');
  try {
    const username = decodeURIComponent(colon < 0 ? text : text.slice(0, colon));
    const password = colon < 0 ? '' : decodeURIComponent(text.slice(colon + 1));
    return { ...(username ? { username } : {}), ...(password ? { password } : {}) };
  } catch (cause) {
    throw new Error('REDIS_URL has a user or password that is not percent-encoded', { cause });
  }
}
