// `doctor` and `keys new` against a real Redis and a Finvera that is there, or not.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { operate } from '../support/operator.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';

const newKey = (kid: string) => `${kid}:${randomBytes(32).toString('base64url')}`;

let redis: TestRedis;
let simulator: Simulator;
let env: Record<string, string>;

beforeAll(async () => {
  redis = await startRedis();
  simulator = await createSimulator();
  env = {
    NODE_ENV: 'production',
    PUBLIC_URL: 'https://app.example.com',
    TRUST_PROXY: '10.0.0.0/8',
    SESSION_KEYS: newKey('k1'),
    REDIS_URL: redis.url,
    FINVERA_URL: simulator.url,
  };
});
afterAll(async () => {
  await simulator.close();
  await redis.close();
});

interface Told {
  readonly area: string;
  readonly level: string;
  readonly says: string;
  readonly mend?: string;
}

async function examine(changes: Record<string, string> = {}) {
  const { code, stdout, stderr } = await operate('doctor --json', { ...env, ...changes });
  const { findings } = JSON.parse(stdout) as { findings: Told[] };
  return { code, stderr, findings, wrong: findings.filter(({ level }) => level === 'wrong') };
}

describe('doctor', () => {
  test('finds what a redis for trying out lacks, with the command that mends it', async () => {
    const { code, wrong } = await examine();
    expect(code).toBe(1);
    expect(wrong).toEqual([
      {
        area: 'redis',
        level: 'wrong',
        says: expect.stringContaining('no append-only file'),
        mend: expect.stringContaining('appendonly yes'),
      },
    ]);
  });

  test('finds nothing wrong once that is done', async () => {
    const good = await startRedis({
      args: ['--appendonly', 'yes', '--maxmemory', '64mb', '--maxmemory-policy', 'noeviction'],
    });
    const { code, findings, wrong } = await examine({ REDIS_URL: good.url });
    await good.close();
    expect({ code, wrong }).toEqual({ code: 0, wrong: [] });
    for (const says of [
      'The settings are valid.',
      /^Session keys: k1/,
      /^Redis 7\..* answers in/,
      /^Finvera at .* answers/,
      /^The clock of/,
      /^Finvera's clock agrees/,
    ]) {
      expect(findings).toContainEqual(expect.objectContaining({ level: 'ok', says: expect.stringMatching(says) }));
    }
  });

  test('finds an eviction policy that logs users out', async () => {
    const bad = await startRedis({ args: ['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru'] });
    const { wrong } = await examine({ REDIS_URL: bad.url });
    await bad.close();
    expect(wrong).toContainEqual(expect.objectContaining({ says: expect.stringContaining('allkeys-lru') }));
  });

  test('goes on where redis cannot be reached, and says what to look at', async () => {
    const { code, findings, wrong } = await examine({ REDIS_URL: `redis://:canary@127.0.0.1:${await freePort()}` });
    expect(code).toBe(1);
    expect(wrong).toEqual([
      expect.objectContaining({ area: 'redis', says: expect.stringMatching(/cannot be used \(.*ECONNREFUSED/) }),
    ]);
    expect(findings).toContainEqual(expect.objectContaining({ area: 'finvera', level: 'ok' }));
    expect(JSON.stringify(findings)).not.toContain('canary');
  });

  test('is content with a user that may do no more than the operations page gives it', async () => {
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    const [, rules = ''] = /ACL SETUSER gateway (on [\s\S]*?)\n```/.exec(page) ?? [];
    const words = rules.replace(/\\\n/g, ' ').replaceAll("'", '').split(/\s+/);
    await redis.client.call('ACL', 'SETUSER', 'gateway', ...words);
    const { findings } = await examine({ REDIS_URL: `redis://gateway:choose-one@127.0.0.1:${redis.port}` });
    expect(findings).toContainEqual(
      expect.objectContaining({ says: expect.stringMatching(/^Redis 7\..* answers in/) }),
    );
    expect(JSON.stringify(findings)).not.toContain('may not ask');
  });

  test('says where a password is refused', async () => {
    const locked = await startRedis({ password: 'right' });
    const { wrong } = await examine({ REDIS_URL: locked.url.replace('right', 'wrong') });
    await locked.close();
    expect(wrong[0]).toMatchObject({
      says: expect.stringContaining('WRONGPASS'),
      mend: expect.stringMatching(/user and password/),
    });
  });

  test('finds a finvera that does not answer, one that refuses, and one with another time', async () => {
    const refused = await examine({ FINVERA_URL: `http://127.0.0.1:${await freePort()}` });
    expect(refused.wrong).toContainEqual(
      expect.objectContaining({
        area: 'finvera',
        says: expect.stringContaining('ECONNREFUSED'),
        mend: expect.stringContaining('Nothing listens'),
      }),
    );
    const requests: unknown[] = [];
    const late = createServer((req, res) => {
      requests.push([req.method, req.url, req.headers.authorization, req.headers.cookie]);
      if (requests.length === 1) res.writeHead(404, { Date: new Date(Date.now() - 60_000).toUTCString() }).end();
    });
    const port = await freePort();
    await new Promise<void>((resolve) => late.listen(port, '127.0.0.1', resolve));
    const behind = await examine({ FINVERA_URL: `http://127.0.0.1:${port}` });
    expect(behind.findings).toContainEqual(
      expect.objectContaining({
        area: 'clock',
        level: 'advice',
        says: expect.stringMatching(/^Finvera's clock is 6\d s behind/),
      }),
    );
    expect(requests).toEqual([['HEAD', '/', undefined, undefined]]);
    const silent = await examine({
      FINVERA_URL: `http://127.0.0.1:${port}`,
      FINVERA_CONNECT_TIMEOUT: '50ms',
      FINVERA_AUTH_TIMEOUT: '50ms',
    });
    expect(silent.wrong).toContainEqual(
      expect.objectContaining({ area: 'finvera', says: expect.stringContaining('TIMEOUT') }),
    );
    late.closeAllConnections();
    await new Promise((resolve) => late.close(resolve));
  });

  test('names every problem of the settings, and stops there', async () => {
    const { code, findings } = await examine({ PORT: 'x', PUBLIC_URL: '' });
    expect(code).toBe(1);
    expect(findings.filter(({ level }) => level === 'wrong')).toHaveLength(2);
    expect(findings.some(({ area }) => area === 'redis')).toBe(false);
  });

  test('finds a file of keys that everybody may read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'finvera-doctor-'));
    const file = join(folder, 'keys');
    writeFileSync(file, newKey('k1'));
    const changes = { SESSION_KEYS: '', SESSION_KEYS_FILE: file };
    chmodSync(file, 0o644);
    expect((await examine(changes)).wrong).not.toContainEqual(expect.objectContaining({ area: 'keys' }));
    chmodSync(folder, 0o755); // until now nobody else could enter
    expect((await examine(changes)).wrong).toContainEqual(
      expect.objectContaining({ area: 'keys', mend: `chmod o-r ${file}` }),
    );
    chmodSync(file, 0o600);
    expect((await examine(changes)).wrong).not.toContainEqual(expect.objectContaining({ area: 'keys' }));
    rmSync(folder, { recursive: true });
  });

  test('prints lines for people, each mend below what it mends', async () => {
    const { stdout } = await operate('doctor', env);
    expect(stdout).toMatch(/^ok {6}process {3}Node 24\./);
    expect(stdout).toMatch(/^WRONG {3}redis {5}.*append-only.*\n {18}→ .*appendonly yes/m);
    expect(stdout).toMatch(/\n1 wrong, \d+ to think about\n$/);
  });
});

describe('keys new', () => {
  test('makes a key that the settings accept, named after those in force', async () => {
    const { code, stdout, stderr } = await operate('keys new', env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^k2:[\w-]{43}\n$/);
    expect(stderr).toMatch(/1\. Add it last, .*k1:…,k2:…\n[\s\S]*2\. .*k2:…,k1:…\n[\s\S]*3\. .*k2:…\n/);
    const changed = { ...env, SESSION_KEYS: `${env.SESSION_KEYS},${stdout.trim()}` };
    expect(await operate('--check-config', changed)).toMatchObject({ code: 0, stdout: 'ok\n' });
  });

  test('makes the first one too, where the settings are not right yet', async () => {
    const { code, stdout } = await operate('keys new --json', { NODE_ENV: 'production' });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      kid: 'k1',
      entry: expect.stringMatching(/^k1:[\w-]{43}$/),
      kids_in_force: [],
    });
  });

  test('makes another one each time', async () => {
    const [one, other] = [await operate('keys new', env), await operate('keys new', env)];
    expect(one.stdout).not.toBe(other.stdout);
  });
});
