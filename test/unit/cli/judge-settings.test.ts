import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { judgeSettings } from '../../../src/cli/judge-settings.ts';
import { loadSettings } from '../../../src/config/load.ts';
import { readFrom } from '../config/load-with.ts';

const key = (bytes: Buffer, kid = 'k1') => `${kid}:${bytes.toString('base64url')}`;
const GOOD = { SESSION_KEYS: key(randomBytes(32)), PUBLIC_URL: 'https://app.example.com', TRUST_PROXY: '10.0.0.0/8' };

function judge(env: Record<string, string>) {
  const loaded = loadSettings({ env, readFile: readFrom({ '/s': '' }), cwd: '/', shippedFile: '/s' });
  if (loaded.kind === 'invalid') throw new Error(loaded.problems.join('\n'));
  return judgeSettings(loaded.settings).map(({ level, says, mend }) => `${level}: ${says}${mend ? ` → ${mend}` : ''}`);
}

const PRODUCTION = { NODE_ENV: 'production', REDIS_URL: 'rediss://redis', ...GOOD };

describe('settings that are valid', () => {
  test('are praised where nothing is odd', () => {
    const findings = judge(PRODUCTION);
    expect(findings).toEqual([
      'ok: Session keys: k1; the first seals.',
      'ok: Pages of https://app.example.com fit the cookie.',
    ]);
  });

  test.each([
    ['readable text', Buffer.from('correct horse battery staple 123')],
    ['zeros', Buffer.alloc(32)],
    ['a repeated pattern', Buffer.from('00112233445566778899aabbccddeeff'.repeat(2), 'hex')],
  ])('are wrong with a key that is %s', (_what, bytes) => {
    expect(judge({ ...PRODUCTION, SESSION_KEYS: `${key(randomBytes(32), 'good')},${key(bytes, 'bad')}` })[0]).toMatch(
      /^wrong: The key bad does not look random.*→ Make one with `keys new`/,
    );
  });

  test('never take a random key for a weak one', () => {
    for (let i = 0; i < 500; i += 1)
      expect(judge({ ...PRODUCTION, SESSION_KEYS: key(randomBytes(32)) })[0]).toMatch(/^ok/);
  });

  test.each([
    [{ TRUST_PROXY: '' }, /^wrong: PUBLIC_URL is https, so a proxy ends TLS.*→ Set TRUST_PROXY/],
    [{ TRUST_PROXY: '0.0.0.0/0' }, /^wrong: TRUST_PROXY trusts every address/],
    [{ COOKIE_SAMESITE: 'None' }, /^advice: COOKIE_SAMESITE=None, and no other origin/],
    [{ NODE_ENV: '', COOKIE_SECURE: 'false' }, /^wrong: PUBLIC_URL is https, and the cookie is not Secure/],
    [{ NODE_ENV: '' }, /^advice: The checks for production are off/],
    [{ NODE_ENV: '', PUBLIC_URL: '' }, /^advice: PUBLIC_URL is not set/],
    [{ NODE_ENV: '', SESSION_KEYS: '' }, /^advice: SESSION_KEYS is not set/],
    [{ MANAGEMENT_HOST: '0.0.0.0' }, /^advice: The management listener is open on 0\.0\.0\.0/],
    [{ MANAGEMENT_PORT: '0' }, /^advice: The management listener is off/],
    [
      { SESSION_KEYS: Array.from({ length: 5 }, (_, i) => key(randomBytes(32), `k${i}`)).join(',') },
      /^advice: There are 5 session keys/,
    ],
  ])('with %j are odd', (changes, expected) => {
    const findings = judge({ ...PRODUCTION, ...changes } as Record<string, string>);
    expect(findings).toContainEqual(expect.stringMatching(expected));
  });

  test('tell no key', () => {
    const secret = key(Buffer.alloc(32, 7));
    expect(judge({ ...PRODUCTION, SESSION_KEYS: secret }).join('\n')).not.toContain(secret.split(':')[1]);
  });
});
