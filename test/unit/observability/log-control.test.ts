import { describe, expect, test } from '@jest/globals';
import type { LogLevel } from '../../../src/config/settings.ts';
import { createLogControl } from '../../../src/observability/log-control.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';

function setUp(level: LogLevel = 'info', sampling = 0.5) {
  const { log, lines } = createRecordedLog(level);
  const audited: unknown[] = [];
  const audit = { record: (event: string, fields: object) => void audited.push({ event, ...fields }) };
  return { log, lines, audited, control: createLogControl({ log, audit, configured: { level, sampling } }) };
}

describe('createLogControl', () => {
  test('changes what is named and keeps the rest', () => {
    const { control, log } = setUp();
    control.change({ level: 'debug' });
    expect(control.current()).toEqual({ level: 'debug', sampling: 0.5 });
    expect(log.isEnabled('debug')).toBe(true);
    control.change({ sampling: 1 });
    expect(control.current()).toEqual({ level: 'debug', sampling: 1 });
    control.change({ level: 'warn' });
    expect(log.isEnabled('info')).toBe(false);
  });

  test.each([
    ['silent', 'info'],
    ['info', 'silent'],
    ['trace', 'fatal'],
    ['fatal', 'trace'],
  ] as const)('from %s to %s says so in the log', (from, to) => {
    const { control, lines } = setUp(from);
    control.change({ level: to });
    expect(lines()).toEqual([
      expect.objectContaining({ event: 'log_changed', level: 'warn', log_level: to, sampling: 0.5 }),
    ]);
  });

  test('tells the audit trail who asked, and nothing where nothing changes', () => {
    const { control, audited, lines } = setUp();
    control.change({ level: 'info', sampling: 0.5 });
    expect([audited, lines()]).toEqual([[], []]);
    control.change({ level: 'silent' }, { clientIp: '127.0.0.1' });
    expect(audited).toEqual([
      expect.objectContaining({ event: 'log_changed', log_level: 'silent', by: 'operator', ip: '127.0.0.1' }),
    ]);
  });

  test('shows everything from debug on where it is asked to, and then goes back to the settings', () => {
    const { control } = setUp('warn', 0.1);
    control.toggleDebug();
    expect(control.current()).toEqual({ level: 'debug', sampling: 1 });
    control.toggleDebug();
    expect(control.current()).toEqual({ level: 'warn', sampling: 0.1 });
  });
});
