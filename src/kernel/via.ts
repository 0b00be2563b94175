/**
 * The gateway's name in Via, Cache-Status and Proxy-Status: a pseudonym, not a host (RFC 9110 §7.6.3). The same on all instances, so that a loop shows
 * whichever of them it goes through.
 */
export const PSEUDONYM = 'finvera-gateway';

/** What the gateway adds to each request it forwards, whatever version the client spoke. */
export const VIA = `1.1 ${PSEUDONYM}`;

/** True where a Via says that the request has been through this gateway, or one of its instances, before. */
export function hasBeenHere(via: string): boolean {
  return via.split(',').some((hop) => hop.trim().split(/\s+/)[1]?.toLowerCase() === PSEUDONYM);
}
