/** The audit trail in the place that `AUDIT_LOG` names, with its checkpoints and its losses told to the log. */
import type { DestinationStream } from 'pino';
import type { Settings } from '../config/settings.ts';
import type { Clock } from '../kernel/clock.ts';
import { type Audit, type AuditSink, createAudit, openAuditFile, silentAudit } from './audit.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import { describe } from './request-log.ts';

export interface AuditTrailParts {
  readonly settings: Pick<Settings, 'auditLog' | 'sessionKeys'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Instead of standard output. */
  readonly destination?: DestinationStream | undefined;
}

/** @throws Error with a sentence that names the setting, where the file cannot be opened. */
export function createAuditTrail({ settings, clock, log, metrics, destination }: AuditTrailParts): Audit {
  const { auditLog, sessionKeys } = settings;
  const [key] = sessionKeys;
  if (auditLog === 'off' || !key) return silentAudit;
  const toStream: AuditSink = {
    write: (line) => void (destination ? destination.write(line) : log.auditLine(line)),
    close() {},
  };
  let isLosing = false;
  const sink = auditLog === '-' ? toStream : openNamed(auditLog);
  return createAudit({
    sink: {
      ...sink,
      write(line) {
        sink.write(line);
        isLosing = false;
      },
    },
    key,
    clock,
    onCheckpoint: (at) => log.info({ event: 'audit_checkpoint', ...at }, 'audit checkpoint'),
    onLost(error) {
      metrics.auditLinesLost.inc();
      // Once, until a line gets through again: a full disk must not fill the log too.
      if (!isLosing) log.error({ event: 'audit_lost', error: describe(error) }, 'audit lines cannot be written');
      isLosing = true;
    },
  });
}

function openNamed(path: string): AuditSink {
  try {
    return openAuditFile(path);
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    throw new Error(`AUDIT_LOG: the file ${path} cannot be opened for appending (${code})`, { cause });
  }
}
