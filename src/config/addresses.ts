/** How addresses are written and read: listen hosts, URLs, origins, proxies' CIDRs. No look-up, no connection, no file. */
import { isIP } from 'node:net';
import { Secret } from '../kernel/secret.ts';
import type { Settings } from './settings.ts';
import { refuse, textKind, type ValueKind } from './values.ts';

/** A host to listen on. */
export const listenHost: ValueKind<string> = textKind(
  'a host name or address without port, such as 127.0.0.1',
  (text) => (isIP(text) > 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$/.test(text) ? text : undefined),
);

/** A base address: scheme, host, port, path; without user info, query, fragment and trailing slash. */
export function baseUrl(schemes: readonly string[], example: string): ValueKind<string> {
  const form = `an address such as ${example} (${schemes.map((scheme) => `${scheme}://`).join(' or ')}, without user, query and fragment)`;
  return textKind(form, (text) => readBaseUrl(text, schemes));
}

function readBaseUrl(text: string, schemes: readonly string[]): string | undefined {
  // The URL parser repairs what an operator would want to hear about (`http:host`, backslashes, blanks): decide before it.
  if (!/^[a-z]+:\/\/[^\s\\@?#]+$/i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!schemes.includes(url.protocol.slice(0, -1)) || url.hostname === '') return undefined;
  return `${url.protocol}//${url.host}${url.pathname}`.replace(/\/+$/, '');
}

/** An origin exactly as a browser sends it, because it is compared as text. */
export const origin: ValueKind<string> = textKind('an origin such as https://app.example.com', (text, context) => {
  if (text === '*' || text === 'null' || text.includes('*')) {
    return refuse(context, 'must be exact: neither a wildcard nor null, but an origin such as https://app.example.com');
  }
  if (!/^https?:/i.test(text) || !URL.canParse(text)) return undefined;
  const normal = new URL(text).origin;
  if (normal === text) return text;
  return refuse(
    context,
    `must be written as a browser sends it, lower-case and without path, trailing slash and default port: ${normal}`,
  );
});

/** A proxy's address or CIDR, IPv4 or IPv6. */
export const proxyAddress: ValueKind<string> = textKind(
  'an address or CIDR such as 10.0.0.0/8, 192.0.2.7 or fd00::/8',
  (text) => {
    const [address = '', bits, ...more] = text.split('/');
    const family = address.includes('%') ? 0 : isIP(address);
    if (family === 0 || more.length > 0) return undefined;
    if (bits === undefined) return text;
    return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128) ? text : undefined;
  },
);

/** A folder (whether it exists is for `load.ts` to see), or an `http://` address. */
export const frontend: ValueKind<NonNullable<Settings['frontend']>> = textKind(
  'a folder with an index.html, or an http:// address without user, query and fragment',
  (text) => {
    if (!/^[a-z][a-z0-9+.-]+:/i.test(text)) return text.trim() === '' ? undefined : { kind: 'folder', path: text };
    const url = readBaseUrl(text, ['http']);
    return url === undefined ? undefined : { kind: 'proxy', url };
  },
  (value) => (value.kind === 'folder' ? value.path : value.url),
);

const REDIS_URL =
  /^(?<scheme>rediss?(?:\+sentinel|\+cluster)?):\/\/(?:(?<user>[^@/?#\s]*)@)?(?<hosts>[^@/?#\s]+)(?:\/(?<path>[^/?#\s]*))?$/;
const REDIS_HOST = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;
const REDIS_FORM =
  'redis://, rediss://, redis+sentinel://host:port,host:port/master or redis+cluster://host:port,host:port; user and password percent-encoded';

/** Where Redis is. A secret as a whole, because it may hold a password. */
export const redisUrl: ValueKind<Secret> = textKind(
  REDIS_FORM,
  (text) => (isRedisUrl(text) ? new Secret(text) : undefined),
  (url) => withoutUserInfo(url.reveal()),
);

function isRedisUrl(text: string): boolean {
  const { scheme, user = '', hosts = '', path = '' } = REDIS_URL.exec(text)?.groups ?? {};
  if (scheme === undefined || !isPercentEncoded(user) || !isPercentEncoded(path)) return false;
  const nodes = hosts.split(',').map((host) => REDIS_HOST.exec(host));
  if (!nodes.every((node) => node && (node[2] === undefined || (+node[2] > 0 && +node[2] < 65_536)))) return false;
  if (scheme.endsWith('+sentinel')) return path !== '';
  return scheme.endsWith('+cluster') ? path === '' : nodes.length === 1 && /^\d{0,5}$/.test(path);
}

/** Whether user info stands in the address: such a one must not lie in a file of settings. */
export function hasUserInfo(url: string): boolean {
  return url.includes('@');
}

function withoutUserInfo(url: string): string {
  return url.replace(/\/\/.*@/, '//[redacted]@');
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
