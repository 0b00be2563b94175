import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { readCommandLine, usage } from '../../simulator/command-line.ts';
import { call, closeAll, json, start } from './client.ts';

const MAIN = fileURLToPath(new URL('../../simulator/main.ts', import.meta.url));
const children = new Set<ChildProcess>();

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  await closeAll();
});

function run(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    output.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.err += chunk;
  });
  return { child, output, exited: once(child, 'close') };
}

describe('the process', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'prints its address, serves with its options, and exits 0 on %s',
    async (signal) => {
      const { child, exited } = run(
        '--port',
        '0',
        '--token-in',
        'json',
        '--access-token-life',
        '7',
        '--user',
        'a@b.test:pw:gold',
      );
      const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
      const body = JSON.stringify({ email: 'a@b.test', password: 'pw' });
      const reply = await call(`${url}/kms/api/v1/auth/token`, { method: 'POST', body });
      expect(json(reply)).toMatchObject({ expires_in: 7, token: expect.any(String) });
      expect(reply.setCookies).toEqual([]);
      child.kill(signal);
      expect((await exited)[0]).toBe(0);
    },
  );

  it('prints the usage on --help', async () => {
    const { output, exited } = run('--help');
    expect((await exited)[0]).toBe(0);
    expect(output.out).toContain('--token-in cookies|json|both');
  });

  it('prints the mistake and the usage, and exits 2', async () => {
    const { output, exited } = run('--nonsense');
    expect((await exited)[0]).toBe(2);
    expect(output.err).toContain('--nonsense');
    expect(output.err).toContain('usage: ');
  });

  it('exits 1 with a sentence where the port is taken', async () => {
    const { port } = await start();
    const { output, exited } = run('--port', String(port));
    expect((await exited)[0]).toBe(1);
    expect(output.err).toContain('EADDRINUSE');
  });
});

describe('the command line', () => {
  it('listens on port 4000 unless told otherwise', () => {
    expect(readCommandLine([])).toEqual({ kind: 'start', options: { port: 4000 } });
  });

  it('sets every option', () => {
    const line =
      '--port 1 --host ::1 --token-in both --token-format opaque --token-sizes 900,700 --access-token-life 1 --refresh-token-life 2 ' +
      '--expires-in off --cookie-max-age off --clock-skew=-5 --rotation off --reuse-detection off --reuse-grace 3 ' +
      '--repeat-refresh-token on --revoke-old-access on --login-rejected-status 403 --refresh-rejected-status 400 --rate-limit off ' +
      '--enterprise-rate-limit 9 --api-key k --any-user on --any-user-tier gold --record off ' +
      '--stream-credential bearer --stream-protocols a,b --stream-symbols 9 --quote-rate 0.5 --quote-seed 7 --news-rate 1 ' +
      '--transcript-rate 2 --stream-padding 3 --stream-reply-delay 4 --stream-silent on --stream-drop-after 5';
    expect(readCommandLine(line.split(' '))).toEqual({
      kind: 'start',
      options: {
        port: 1,
        host: '::1',
        tokenIn: 'both',
        tokenFormat: 'opaque',
        tokenSizes: { access: 900, refresh: 700 },
        accessTokenLifeS: 1,
        refreshTokenLifeS: 2,
        expiresIn: false,
        cookieMaxAge: false,
        clockSkewS: -5,
        rotation: false,
        reuseDetection: false,
        reuseGraceMs: 3,
        repeatRefreshToken: true,
        revokeOldAccess: true,
        loginRejectedStatus: 403,
        refreshRejectedStatus: 400,
        rateLimit: 'off',
        enterpriseRateLimit: 9,
        apiKey: 'k',
        anyUser: true,
        anyUserTier: 'gold',
        record: false,
        streamCredential: 'bearer',
        streamProtocols: ['a', 'b'],
        streamSymbols: 9,
        quoteRate: 0.5,
        quoteSeed: 7,
        newsRate: 1,
        transcriptRate: 2,
        streamPaddingBytes: 3,
        streamReplyDelayMs: 4,
        streamSilent: true,
        streamDropAfter: 5,
      },
    });
    for (const flag of line.match(/--[a-z-]+/g) ?? []) expect(usage()).toContain(flag);
  });

  it.each([
    ['--port x', '--port: '],
    ['--port 70000', '--port: '],
    ['--token-in header', '--token-in: '],
    ['--token-sizes 900', '--token-sizes: '],
    ['--token-sizes 9,7', '--token-sizes: '],
    ['--rotation maybe', '--rotation: '],
    ['--rate-limit 0', '--rate-limit: '],
    ['--user nobody', '--user: '],
    ['--quote-rate fast', '--quote-rate: '],
    ['--stream-drop-after 0', '--stream-drop-after: '],
    ['--port', '--port'],
    ['stray', 'stray'],
  ])('names the mistake in %s', (line, named) => {
    expect(readCommandLine(line.split(' '))).toEqual({ kind: 'mistake', message: expect.stringContaining(named) });
  });
});
