// deploy/systemd by what the gateway knows of itself, and by systemd's own judgement where systemd is there.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { definitionOf, SETTING_NAMES } from '../../../src/config/schema.ts';
import { readProjectFile } from './files.ts';

const UNIT = readProjectFile('deploy/systemd/finvera-gateway.service');
const valuesOf = (key: string) => [...UNIT.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);
const environment = valuesOf('Environment').flatMap((line) => line.split(' '));
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

test('the unit sets variables that there are, its secrets as credentials', () => {
  const variables = SETTING_NAMES.map((name) => definitionOf(name));
  const known = new Set(variables.flatMap(({ variable, secret }) => (secret ? [`${variable}_FILE`] : [variable])));
  const names = environment.map((pair) => pair.split('=')[0] ?? '').filter((name) => name !== 'NODE_ENV');
  expect(names.filter((name) => !known.has(name))).toEqual([]);
  expect(environment).toContain('NODE_ENV=production');
  const credentials = valuesOf('LoadCredential').map((value) => value.split(':')[0]);
  const read = environment.flatMap((pair) => /=%d\/(.*)$/.exec(pair)?.[1] ?? []);
  expect(read.sort()).toEqual([...credentials].sort());
});

test('the unit lets the gateway drain before it is killed, and starts it only with settings that it takes', () => {
  const seconds = (['shutdownDelay', 'shutdownTimeout'] as const).map((name) =>
    Number.parseInt(definitionOf(name).byDefault ?? '', 10),
  );
  expect(Number(valuesOf('TimeoutStopSec')[0])).toBeGreaterThan(seconds.reduce((sum, each) => sum + each, 0));
  expect(valuesOf('ExecStartPre')).toEqual([`${valuesOf('ExecStart')[0]} --check-config`]);
});

test('the unit gives the process no rights', () => {
  for (const [key, value] of [
    ['DynamicUser', 'yes'],
    ['NoNewPrivileges', 'yes'],
    ['ProtectSystem', 'strict'],
    ['CapabilityBoundingSet', ''],
  ] as const) {
    expect([key, valuesOf(key)]).toEqual([key, [value]]);
  }
});

if (hasSystemd) {
  test('the unit is one by systemd', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gateway-unit-'));
    const verify = (text: string) => {
      const file = join(folder, 'finvera-gateway.service');
      // The Node of this machine: systemd looks whether the program is there.
      writeFileSync(file, text.replaceAll('/usr/bin/node', process.execPath));
      return spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    };
    try {
      expect(verify(UNIT)).toMatchObject({ status: 0, stderr: '' });
      expect(verify(UNIT.replace('ProtectSystem=', 'ProtectSytsem=')).stderr).toContain('ProtectSytsem');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
