/** The audit trail of an operator's command, and who gave it. */
import { userInfo } from 'node:os';
import type { Settings } from '../config/settings.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Audit } from '../observability/audit.ts';
import { createAuditTrail } from '../observability/audit-trail.ts';
import { createLogger } from '../observability/logger.ts';
import { createMetrics } from '../observability/metrics.ts';
import type { CommandOptions } from './command-options.ts';

/** A chain of its own in the file of AUDIT_LOG; where that is standard output, on stderr, apart from the answer. */
export function openAudit(settings: Settings, { stderr }: CommandOptions): Audit {
  const toStderr = { write: (text: string) => void stderr.write(text) };
  return createAuditTrail({
    settings,
    clock: systemClock,
    log: createLogger({ level: 'error', destination: toStderr }),
    metrics: createMetrics({ withProcess: false }),
    destination: toStderr,
  });
}

/** The account on this machine. */
export function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown'; // a container's user need not have a name
  }
}
