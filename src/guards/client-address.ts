/** Which address a client has, and the key under which it is counted. Pure. */
import { isIP, isIPv6 } from 'node:net';

/**
 * The address in what a proxy forwarded. Some add the port: with it, each connection would count as another client.
 * @param peer who is on the other side of the socket: the answer where it is no address.
 */
export function clientAddress(forwarded: string, peer: string): string {
  const address = /^\[(.+)\](?::\d+)?$/.exec(forwarded)?.[1] ?? /^([\d.]+):\d+$/.exec(forwarded)?.[1] ?? forwarded;
  if (isIP(address) === 0) return peer;
  return address.replace(/^::ffff:(?=\d+\.[\d.]+$)/i, '');
}

/**
 * IPv4-mapped IPv6 is the IPv4 address; other IPv6 counts by its /64, since one customer commands all of it.
 */
export function addressKey(ip: string): string {
  const address = ip.split('%')[0] ?? '';
  if (!isIPv6(address)) return ip;
  const groups = expand(address);
  return mappedIpv4(groups) ?? `${groups.slice(0, 4).join(':')}::/64`;
}

/** The eight groups of an IPv6 address, in lower case without leading zeros. */
function expand(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':').flatMap(embeddedIpv4));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  return [...first, ...zeros, ...last].map((group) => Number.parseInt(group, 16).toString(16));
}

/** In whatever spelling: `::ffff:192.0.2.1` and `::ffff:c000:201` are one address. */
function mappedIpv4(groups: readonly string[]): string | undefined {
  if (groups.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return undefined;
  const [high = 0, low = 0] = groups.slice(6).map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function embeddedIpv4(group: string): string[] {
  if (!group.includes('.')) return [group];
  const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
  return [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)];
}
