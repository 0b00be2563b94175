/** Whether a browser counts two origins as one site, as far as that is known without the public-suffix list. Nothing is enforced by it: it finds settings that cannot work. */
import { isIP } from 'node:net';

/** Second-level labels under which registries of two-letter domains sell names: `example.co.uk`, not `co.uk`. */
const SHARED_SECOND_LEVELS: ReadonlySet<string> = new Set('ac co com edu go gob gouv gov ne net or org'.split(' '));

/**
 * Same scheme and same registrable domain (HTML, "schemefully same site"); ports do not count.
 * Without the public-suffix list: addresses and names of one label must be equal; of other names the last two labels
 * count, or three where the second-last is such as `co` under a two-letter domain. It errs towards "same": under a
 * suffix it does not know (`a.github.io`, `b.github.io`) two sites pass for one.
 */
export function isSameSite(a: string, b: string): boolean {
  const [first, second] = [new URL(a), new URL(b)];
  return first.protocol === second.protocol && siteOf(first.hostname) === siteOf(second.hostname);
}

function siteOf(host: string): string {
  if (host.startsWith('[') || isIP(host) > 0) return host;
  const labels = host.replace(/\.$/, '').split('.');
  const [secondLast = '', last = ''] = labels.slice(-2);
  const isShared = labels.length > 2 && last.length === 2 && SHARED_SECOND_LEVELS.has(secondLast);
  return labels.slice(isShared ? -3 : -2).join('.');
}

/** Whether the origin is of this machine, where browsers treat plain http as secure. */
export function isLoopback(address: string): boolean {
  const { hostname } = new URL(address);
  return /^(localhost|.+\.localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}
