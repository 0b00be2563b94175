/**
 * The audit trail: who did what to logins and sessions, one JSON line each, chained so that tampering shows
 * (`audit-chain.ts`). Apart from the log: it has no level, a closed set of fields, and a place of its own. It never holds
 * a token, a cookie, a password or a plain email address (ASVS 16.2.5).
 */
import { createHmac } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import type { SessionKey } from '../config/settings.ts';
import type { Clock } from '../kernel/clock.ts';
import { type AuditCheckpoint, createAuditChain } from './audit-chain.ts';

export type AuditEvent =
  | 'login_accepted'
  /** By Finvera, whatever was wrong. */
  | 'login_rejected'
  /** By a limit of the gateway's. */
  | 'login_throttled'
  /** Neither accepted nor rejected: Finvera or the store did not do its part. */
  | 'login_failed'
  | 'login_stuffing_suspected'
  | 'session_started'
  | 'session_refreshed'
  | 'session_refresh_refused'
  | 'session_ended'
  | 'session_cookie_refused'
  | 'origin_refused'
  /** The user's licence does not cover streams. */
  | 'stream_refused'
  | 'session_keys_changed'
  /** Which log lines are written. */
  | 'log_changed'
  /** Shared answers are not used any more: `purged` says which. */
  | 'cache_purged';

/** Every field an audit line may hold; strings are cut at 256 characters. */
export interface AuditFields {
  /** The hash under which the store keeps it. */
  readonly session?: string | undefined;
  readonly user_id?: string | undefined;
  /** As `pseudonym` makes it, where nobody knows yet whether there is such a user. */
  readonly account?: string | undefined;
  readonly ip?: string | undefined;
  readonly request_id?: string | undefined;
  readonly user_agent?: string | undefined;
  readonly reason?: string | undefined;
  /** Who brought it about: user, gateway, finvera or operator. */
  readonly by?: string | undefined;
  readonly origin?: string | undefined;
  readonly count?: number | undefined;
  readonly kids?: string | undefined;
  readonly log_level?: string | undefined;
  readonly sampling?: number | undefined;
  /** A route, or a pattern of paths. */
  readonly purged?: string | undefined;
  /** The account on the machine that an operator's command ran under. */
  readonly operator?: string | undefined;
}

export interface Audit {
  /** Never throws and is never waited for: a trail that cannot be written is told by `onLost`, and requests go on. */
  record(event: AuditEvent, fields: AuditFields): void;
  /** The same text for the same account while the newest session key is the same; nobody without it can try out names. */
  pseudonym(account: string): string;
  /** Ends the chain with a last line. */
  close(): void;
}

/** Takes whole lines, line break included. May throw. */
export interface AuditSink {
  write(line: string): void;
  close(): void;
}

export interface AuditOptions {
  readonly sink: AuditSink;
  /** The newest session key at start: keys of the trail are derived from it. */
  readonly key: SessionKey;
  readonly clock: Clock;
  /** Places to be kept elsewhere: only they show that the end of a file was cut off. */
  readonly onCheckpoint: (checkpoint: AuditCheckpoint) => void;
  readonly onLost: (error: unknown) => void;
}

export const CHECKPOINT_LINES = 500;
const CHECKPOINT_MS = 5 * 60_000;
const MAX_CHARS = 256;
const ACCOUNT_LABEL = 'finvera-gateway/audit-account/v1\0';
const ACCOUNT_CHARS = 22;

export function createAudit({ sink, key, clock, onCheckpoint, onLost }: AuditOptions): Audit {
  const chain = createAuditChain(key);
  const accountKey = createHmac('sha256', Buffer.from(key.key.reveal(), 'base64url')).update(ACCOUNT_LABEL).digest();
  let sinceCheckpoint = 0;
  let closed = false;

  const write = (event: string, fields: AuditFields & { readonly kid?: string }): AuditCheckpoint => {
    const time = new Date(clock.now()).toISOString();
    const { line, at } = chain.append({ level: 'info', time, log: 'audit', event, ...bounded(fields) });
    sinceCheckpoint += 1;
    try {
      sink.write(`${line}\n`);
    } catch (error) {
      onLost(error); // its number is used up: the gap will show
    }
    return at;
  };
  const mark = (event: 'audit_started' | 'checkpoint' | 'audit_stopped') => {
    const at = write(event, event === 'audit_started' ? { kid: key.kid } : {});
    sinceCheckpoint = 0;
    onCheckpoint(at);
  };

  mark('audit_started');
  const timer = setInterval(() => sinceCheckpoint > 0 && mark('checkpoint'), CHECKPOINT_MS).unref();
  return {
    record(event, fields) {
      if (closed) return;
      write(event, fields);
      if (sinceCheckpoint >= CHECKPOINT_LINES) mark('checkpoint');
    },
    pseudonym: (account) =>
      createHmac('sha256', accountKey).update(account).digest('base64url').slice(0, ACCOUNT_CHARS),
    close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      mark('audit_stopped');
      sink.close();
    },
  };
}

/** For `AUDIT_LOG=off`. */
export const silentAudit: Audit = { record() {}, pseudonym: () => '', close() {} };

/**
 * A file that is only ever appended to, readable by its owner alone. Lines are written at once: a trail that waits in
 * memory is lost with the process, in the very moment it is needed for. A file that was moved away, as log rotation does,
 * is followed by a new one.
 * @throws where it cannot be opened
 */
export function openAuditFile(path: string): AuditSink {
  let file = openForAppending(path);
  return {
    write(line) {
      if (isMoved(file, path)) {
        const next = openForAppending(path);
        closeSync(file);
        file = next;
      }
      const bytes = Buffer.from(line);
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    },
    close: () => closeSync(file),
  };
}

function openForAppending(path: string): number {
  const file = openSync(path, 'a+', 0o600);
  // What a crash left half written must not swallow the next line.
  if (!endsWithLineBreak(file)) writeSync(file, '\n');
  return file;
}

function isMoved(file: number, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  const open = fstatSync(file);
  return there?.ino !== open.ino || there.dev !== open.dev;
}

function endsWithLineBreak(file: number): boolean {
  const found = fstatSync(file);
  if (!found.isFile() || found.size === 0) return true;
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, found.size - 1);
  return last.toString() === '\n';
}

function bounded(fields: AuditFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'string' ? value.slice(0, MAX_CHARS) : value,
    ]),
  );
}
