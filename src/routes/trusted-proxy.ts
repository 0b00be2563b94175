/** Whether a request comes from a proxy of `TRUST_PROXY`: what it says of others is then believed. */
import type { Request } from 'express';

export function isFromTrustedProxy(req: Request): boolean {
  const trust = req.app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  return trust(req.socket.remoteAddress ?? '', 0);
}
