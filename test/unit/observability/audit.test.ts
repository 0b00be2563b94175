import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { Secret } from '../../../src/kernel/secret.ts';
import { CHECKPOINT_LINES, createAudit, openAuditFile } from '../../../src/observability/audit.ts';
import type { AuditCheckpoint } from '../../../src/observability/audit-chain.ts';
import { createAuditTrail } from '../../../src/observability/audit-trail.ts';
import { createAuditVerification } from '../../../src/observability/audit-verification.ts';
import { createMetrics } from '../../../src/observability/metrics.ts';
import { createRecordedLog } from '../../support/recorded-log.ts';
import { createTestClock } from '../../support/test-clock.ts';

const KEY = { kid: 'k1', key: new Secret(Buffer.alloc(32, 1).toString('base64url')) };
const AT = Date.parse('2026-01-02T03:04:05.678Z');

function setUp() {
  const lines: string[] = [];
  const checkpoints: AuditCheckpoint[] = [];
  const lost: unknown[] = [];
  const state = { isFull: false };
  const audit = createAudit({
    sink: {
      write(line) {
        if (state.isFull) throw new Error('ENOSPC');
        lines.push(line);
      },
      close: () => lines.push('closed'),
    },
    key: KEY,
    clock: createTestClock(AT),
    onCheckpoint: (at) => checkpoints.push(at),
    onLost: (error) => lost.push(error),
  });
  const parsed = () => lines.filter((line) => line !== 'closed').map((line) => JSON.parse(line));
  return { audit, lines, parsed, checkpoints, lost, state };
}

const problemsOf = (lines: readonly string[], checkpoints: readonly AuditCheckpoint[] = []) => {
  const verification = createAuditVerification([KEY]);
  for (const [i, line] of lines.entries()) verification.add(line.trimEnd(), String(i + 1));
  return verification.end(checkpoints).problems;
};

describe('createAudit', () => {
  test('writes one line an event, with its time, its fields and its place in the chain', () => {
    const { audit, lines, parsed } = setUp();
    audit.record('session_ended', { session: 'h', user_id: 'u', ip: '192.0.2.1', reason: 'logout', by: 'user' });
    expect(lines.every((line) => line.endsWith('}\n') && line.indexOf('\n') === line.length - 1)).toBe(true);
    expect(parsed()[0]).toMatchObject({ log: 'audit', event: 'audit_started', kid: 'k1', seq: 1, prev: '' });
    expect(parsed()[1]).toEqual({
      level: 'info',
      time: '2026-01-02T03:04:05.678Z',
      log: 'audit',
      event: 'session_ended',
      session: 'h',
      user_id: 'u',
      ip: '192.0.2.1',
      reason: 'logout',
      by: 'user',
      chain: parsed()[0].chain,
      seq: 2,
      prev: expect.stringMatching(/^[\w-]{43}$/),
      mac: expect.stringMatching(/^[\w-]{43}$/),
    });
    audit.close();
  });

  test('bounds what a client can write into a line', () => {
    const { audit, parsed } = setUp();
    audit.record('origin_refused', { user_agent: 'x'.repeat(10_000), origin: 'y'.repeat(10_000) });
    expect([parsed()[1].user_agent.length, parsed()[1].origin.length]).toEqual([256, 256]);
    audit.close();
  });

  test('ends with a last line, once, and takes nothing after it', () => {
    const { audit, lines, parsed } = setUp();
    audit.close();
    audit.close();
    audit.record('login_accepted', {});
    expect(parsed().map(({ event }) => event)).toEqual(['audit_started', 'audit_stopped']);
    expect(lines.at(-1)).toBe('closed');
  });

  test('marks a checkpoint at its beginning, its end and each so many lines', () => {
    const { audit, lines, checkpoints } = setUp();
    for (let i = 0; i < CHECKPOINT_LINES; i += 1) audit.record('login_rejected', {});
    audit.close();
    expect(checkpoints.map(({ seq }) => seq)).toEqual([1, CHECKPOINT_LINES + 2, CHECKPOINT_LINES + 3]);
    const written = lines.filter((line) => line !== 'closed');
    expect(problemsOf(written, checkpoints)).toEqual([]);
    expect(problemsOf(written.slice(0, -1), checkpoints)).toHaveLength(1);
  });

  test('goes on where a line cannot be written, and leaves the gap to be found', () => {
    const { audit, lines, lost, state } = setUp();
    state.isFull = true;
    audit.record('login_rejected', {});
    state.isFull = false;
    audit.record('login_rejected', {});
    audit.close();
    expect(lost).toHaveLength(1);
    expect(problemsOf(lines.filter((line) => line !== 'closed'))).toEqual([
      { place: '2', what: 'comes after missing lines: 1, from 2 on' },
    ]);
  });

  test('knows an account by a keyed hash', () => {
    const [one, two] = [setUp().audit, setUp().audit];
    expect(one.pseudonym('demo@finvera.test')).toBe(two.pseudonym('demo@finvera.test'));
    expect(one.pseudonym('demo@finvera.test')).toMatch(/^[\w-]{22}$/);
    expect(one.pseudonym('other@finvera.test')).not.toBe(one.pseudonym('demo@finvera.test'));
    one.close();
    two.close();
  });
});

describe('the place of the trail', () => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  const path = join(folder, 'audit.log');
  afterEach(() => rmSync(path, { force: true }));
  afterAll(() => rmSync(folder, { recursive: true }));

  const trail = (auditLog: string) => {
    const { log, lines } = createRecordedLog();
    const metrics = createMetrics({ withProcess: false });
    const audit = createAuditTrail({
      settings: { auditLog, sessionKeys: [KEY] },
      clock: createTestClock(),
      log,
      metrics,
    });
    return { audit, lines, metrics };
  };
  const read = () => readFileSync(path, 'utf8').split('\n').slice(0, -1);

  test('a file is appended to, chain after chain, and only its owner reads it', () => {
    for (const user_id of ['one', 'two']) {
      const { audit } = trail(path);
      audit.record('login_accepted', { user_id });
      audit.close();
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(read()).toHaveLength(6);
    expect(problemsOf(read())).toEqual([]);
  });

  test('a file that is moved away, as log rotation does, is followed by a new one in the same chain', () => {
    const { audit } = trail(path);
    audit.record('login_accepted', { user_id: 'one' });
    renameSync(path, `${path}.1`);
    audit.record('login_accepted', { user_id: 'two' });
    audit.close();
    const older = readFileSync(`${path}.1`, 'utf8').split('\n').slice(0, -1);
    expect([older.length, read().length]).toEqual([2, 2]);
    expect(problemsOf([...older, ...read()])).toEqual([]);
    expect(problemsOf(read())).toHaveLength(1);
  });

  test('half of a line that a crash left does not swallow the next one', () => {
    appendFileSync(path, '{"log":"audit","event":"login_acc');
    const { audit } = trail(path);
    audit.close();
    expect(problemsOf(read())).toEqual([{ place: '1', what: 'is no whole audit line' }]);
  });

  test('a file that cannot be opened is a sentence that names the setting', () => {
    expect(() => trail(join(folder, 'none', 'audit.log'))).toThrow(/^AUDIT_LOG: the file .* \(ENOENT\)$/);
  });

  test('checkpoints go to the log too', () => {
    const { audit, lines } = trail(path);
    audit.close();
    const marks = read().map((line) => JSON.parse(line));
    expect(lines().map(({ event, chain, seq, mac }) => ({ event, chain, seq, mac }))).toEqual(
      marks.map(({ chain, seq, mac }) => ({ event: 'audit_checkpoint', chain, seq, mac })),
    );
  });

  test('off writes nothing', () => {
    const { audit, lines } = trail('off');
    audit.record('login_accepted', {});
    audit.close();
    expect(lines()).toEqual([]);
  });

  test('lines that are lost are counted, and told once', async () => {
    const { log, lines } = createRecordedLog();
    const metrics = createMetrics({ withProcess: false });
    const destination = {
      write() {
        throw new Error('EIO');
      },
    };
    const settings = { auditLog: '-', sessionKeys: [KEY] };
    const audit = createAuditTrail({ settings, clock: createTestClock(), log, metrics, destination });
    audit.record('login_accepted', {});
    audit.close();
    expect(lines().filter(({ event }) => event === 'audit_lost')).toHaveLength(1);
    expect(await metrics.text()).toContain('finvera_gateway_audit_lines_lost_total 3');
  });

  test('a disk that is full is a loss, not an exception', () => {
    const sink = openAuditFile('/dev/full');
    expect(() => sink.write('x\n')).toThrow('ENOSPC');
    sink.close();
    expect(() => trail('/dev/full').audit.close()).not.toThrow();
  });
});
