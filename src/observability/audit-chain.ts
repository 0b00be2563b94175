/**
 * The form of an audit line, and the chain that joins the lines of one process: each holds its number, a hash of the line
 * before and a MAC. Who has no session key can drop, change, move or add nothing unseen, save at the end (see checkpoints
 * in `audit.ts`). Pure; what reads lines back is `audit-verification.ts`.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { SessionKey } from '../config/settings.ts';
import { inert } from './inert-text.ts';

const LABEL = 'finvera-gateway/audit-chain/v1\0';
const CHAIN_ID_BYTES = 12;

/** What stands in for the hash of the line before, in a chain's first line. */
export const NO_LINE = '';

/** A place in a chain, for comparison with the file later. */
export interface AuditCheckpoint {
  readonly chain: string;
  readonly seq: number;
  readonly mac: string;
}

export interface AuditChain {
  readonly id: string;
  /** The next line, without its line break. `members` come first in it, in their order. */
  append(members: Readonly<Record<string, unknown>>): { readonly line: string; readonly at: AuditCheckpoint };
}

export function createAuditChain(key: SessionKey, id = randomBytes(CHAIN_ID_BYTES).toString('base64url')): AuditChain {
  const chainKey = auditChainKey(key, id);
  let seq = 0;
  let previous = NO_LINE;
  return {
    id,
    append(members) {
      seq += 1;
      const body = inert(JSON.stringify({ ...members, chain: id, seq, prev: previous })).slice(0, -1);
      const mac = macOf(chainKey, body);
      const line = `${body},"mac":"${mac}"}`;
      previous = hashOf(line);
      return { line, at: { chain: id, seq, mac } };
    },
  };
}

/** A key of the chain's own: what is found out about one chain says nothing of another, nor of the seals of sessions. */
export function auditChainKey({ key }: SessionKey, chainId: string): Buffer {
  return createHmac('sha256', Buffer.from(key.reveal(), 'base64url')).update(LABEL).update(chainId).digest();
}

/** @param body the line up to its MAC, without the closing brace. */
export function macOf(chainKey: Buffer, body: string): string {
  return createHmac('sha256', chainKey).update(body).digest('base64url');
}

export function hashOf(line: string): string {
  return createHash('sha256').update(line).digest('base64url');
}
