import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ROOT, readPackage, readProjectFile } from './files.ts';

test('.ci/run runs the test command of README.md and nothing else', () => {
  const command = /^(npm ci && npm run check)\b/m.exec(readProjectFile('README.md'))?.[1];
  const lines = readProjectFile('.ci/run').split('\n');
  const commands = lines.filter((line) => line.startsWith('npm'));
  expect(commands).toEqual([command]);
  expect(lines.filter((line) => line.trim() !== '').at(-1)).toBe(command);
  expect(statSync(`${ROOT}.ci/run`).mode & 0o100).not.toBe(0);
});

test('npm run check is .ci/check.ts', () => {
  expect(readPackage().scripts.check).toBe('node .ci/check.ts');
});

test('docs/configuration.md says what the settings are', () => {
  const { status, stderr } = spawnSync(process.execPath, ['.ci/docs.ts', '--check'], { cwd: ROOT, encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
