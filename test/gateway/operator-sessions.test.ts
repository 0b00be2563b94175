// The operator's commands on sessions, against the Redis of gateways that run: what is seen, what ends, and who hears of it.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { operate } from '../support/operator.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis-server.ts';
import { type Browser, closeGateways, createBrowser, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const KEYS = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };
const EVENT = '/delivery/api/v1/events/evt-0001';

let redis: TestRedis;
let simulator: Simulator;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  simulator = await createSimulator();
  folder = mkdtempSync(join(tmpdir(), 'finvera-operator-'));
  env = { REDIS_URL: redis.url, AUDIT_LOG: join(folder, 'audit.log'), ...KEYS };
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
  await redis.client.flushall();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => redis.close());

const start = (): Promise<TestGateway> => startGateway(simulator, { env: { REDIS_URL: redis.url, ...KEYS } });

async function loggedIn(gateway: TestGateway, email = 'demo@finvera.test'): Promise<Browser> {
  const browser = gateway.browser();
  expect((await browser.login(email)).status).toBe(200);
  return browser;
}

/** The same cookie at another instance. */
function at(gateway: TestGateway, browser: Browser): Browser {
  return Object.assign(createBrowser(gateway.url), { cookie: browser.cookie });
}

const listed = async (command: string) => JSON.parse((await operate(`${command} --json`, env)).stdout);
const auditLines = () =>
  readFileSync(env.AUDIT_LOG ?? '', 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
const statusOf = async (browser: Browser) => (await browser.fetch(EVENT)).status;

describe('sessions list', () => {
  test('shows the sessions of a user from outside, and nobody else’s', async () => {
    const gateway = await start();
    await loggedIn(gateway);
    await loggedIn(gateway, 'enterprise@finvera.test');
    const [{ user_id: userId }] = (await listed('sessions list --all')).sessions;
    const { sessions, count } = await listed(`sessions list --user ${userId}`);
    expect({ count, length: sessions.length }).toEqual({ count: 1, length: 1 });
    expect(sessions[0]).toEqual({
      id: expect.stringMatching(/^[\w-]{16}$/),
      session: expect.stringMatching(/^[\w-]{43}$/),
      user_id: userId,
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      last_seen_at: expect.stringMatching(/^\d{4}-.*Z$/),
      ends_at: expect.stringMatching(/^\d{4}-.*Z$/),
      ip: '127.0.0.1',
      user_agent: expect.any(String),
    });
  });

  test('prints a table, with the number of sessions below', async () => {
    await loggedIn(await start());
    const { code, stdout, stderr } = await operate('sessions list --all', env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^ID +USER +BEGAN +LAST SEEN +ADDRESS +USER AGENT\n[\w-]{16} .* 127\.0\.0\.1.*\n1 session\n$/,
    );
  });

  test('is an empty document where there is no session', async () => {
    expect(await listed('sessions list --all')).toEqual({ sessions: [], count: 0 });
    expect(await listed('sessions list --user nobody')).toEqual({ sessions: [], count: 0 });
  });

  test('says how many it could not read', async () => {
    await loggedIn(await start());
    const [key = ''] = await redis.client.keys('finvera:{*}:session');
    await redis.client.hset(key, 'm', '{');
    const { code, stderr } = await operate('sessions list --all', env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'warning: 1 more ended meanwhile, or cannot be read\n' });
  });
});

describe('sessions show', () => {
  test.each(['id', 'session'])('finds a session by its %s and tells the key that seals it, no token', async (by) => {
    await loggedIn(await start());
    const [session] = (await listed('sessions list --all')).sessions;
    const shown = await listed(`sessions show ${session[by]}`);
    expect(shown).toEqual({
      ...session,
      sealed_with_key: 'k1',
      seal_bytes: expect.any(Number),
      tokens_written: 1,
    });
    const { stdout } = await operate(`sessions show ${session[by]}`, env);
    expect(stdout).toMatch(/^id +[\w-]{16}\n/);
    expect(stdout).toMatch(/^sealed_with_key +k1$/m);
  });

  test('says so where there is none', async () => {
    for (const id of ['unknown', 'A'.repeat(43)]) {
      const { code, stdout, stderr } = await operate(`sessions show ${id}`, env);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toBe('problem: there is no such session; it may have ended\n');
    }
  });
});

describe('sessions end', () => {
  test('ends one session, and every instance refuses its cookie within a second', async () => {
    const [one, other] = [await start(), await start()];
    const [ended, kept] = [await loggedIn(one), await loggedIn(one)];
    const elsewhere = at(other, ended);
    expect([await statusOf(ended), await statusOf(elsewhere), await statusOf(kept)]).toEqual([200, 200, 200]);
    const { sessions } = await listed('sessions list --all');
    const hashes = one.logLines().filter(({ event }) => event === 'session_started');
    const { id } = sessions.find(({ session }: { session: string }) => session === hashes[0]?.session);
    const { code, stdout } = await operate(`sessions end ${id}`, env);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '1 session ended\n' });
    await until(
      'both refuse',
      async () => (await statusOf(ended)) === 401 && (await statusOf(elsewhere)) === 401,
      1_000,
    );
    expect(await statusOf(kept)).toBe(200);
  });

  test('writes who ended it to the audit trail, in a chain that verifies', async () => {
    await loggedIn(await start());
    const [{ session, user_id }] = (await listed('sessions list --all')).sessions;
    await operate(`sessions end ${session}`, env);
    expect(auditLines()).toMatchObject([
      { event: 'audit_started' },
      { event: 'session_ended', session, user_id, reason: 'operator', by: 'operator', operator: expect.any(String) },
      { event: 'audit_stopped' },
    ]);
    expect(await operate(`audit verify ${env.AUDIT_LOG}`, env)).toMatchObject({ code: 0 });
  });

  test('keeps its answer apart from an audit trail on standard output', async () => {
    await loggedIn(await start());
    const { stdout, stderr } = await operate('sessions end --all --yes --json', { ...env, AUDIT_LOG: '-' });
    expect(JSON.parse(stdout)).toEqual({ ended: 1 });
    expect(stderr).toMatch(/"event":"session_ended".*"by":"operator"/);
  });

  test('ends those of one user', async () => {
    const gateway = await start();
    const [mine, mineToo, others] = [
      await loggedIn(gateway),
      await loggedIn(gateway),
      await loggedIn(gateway, 'enterprise@finvera.test'),
    ];
    const started = gateway.logLines().find(({ event }) => event === 'session_started');
    const { code, stdout } = await operate(`sessions end --user ${started?.user_id} --json`, env);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '{"ended":2}\n' });
    await until('both ended', async () => (await statusOf(mine)) === 401 && (await statusOf(mineToo)) === 401, 1_000);
    expect(await statusOf(others)).toBe(200);
  });

  test('ends all, spoilt ones too, once that is confirmed', async () => {
    const gateway = await start();
    const browser = await loggedIn(gateway);
    await loggedIn(gateway, 'enterprise@finvera.test');
    await redis.client.hset(`finvera:{${'A'.repeat(43)}}:session`, 'm', '{');
    const questions: string[] = [];
    const answer = (yes: boolean) => (question: string) => {
      questions.push(question);
      return yes;
    };
    expect(await operate('sessions end --all', env, answer(false))).toMatchObject({
      code: 1,
      stderr: 'Nothing was ended.\n',
    });
    expect(await statusOf(browser)).toBe(200);
    expect(await operate('sessions end --all', env, answer(true))).toMatchObject({
      code: 0,
      stdout: '3 sessions ended\n',
    });
    expect(questions).toEqual(
      Array(2).fill(expect.stringMatching(/^End every session in the Redis at 127\.0\.0\.1:\d+\?/)),
    );
    await until('ended', async () => (await statusOf(browser)) === 401, 1_000);
    expect(await redis.client.keys('finvera:{*')).toEqual([]);
  });

  test('refuses --all where nobody can be asked and --yes is not given', async () => {
    const browser = await loggedIn(await start());
    const { code, stdout, stderr } = await operate('sessions end --all', env);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^problem: --all .* needs --yes\n$/);
    expect(await statusOf(browser)).toBe(200);
  });

  test('says so where there was none', async () => {
    expect(await operate('sessions end unknown', env)).toMatchObject({
      code: 1,
      stdout: '0 sessions ended\n',
      stderr: 'problem: there is no such session; it may have ended already\n',
    });
    expect(await operate('sessions end --user nobody', env)).toMatchObject({ code: 0, stdout: '0 sessions ended\n' });
  });
});

describe('a command that needs the store', () => {
  test('says in one sentence that redis is away, exit 1', async () => {
    const url = `redis://:canary@127.0.0.1:${await freePort()}`;
    const commands = ['sessions list --all', 'sessions show x', 'sessions end --all --yes'];
    const ends = await Promise.all(commands.map((command) => operate(command, { ...env, REDIS_URL: url })));
    for (const { code, stdout, stderr } of ends) {
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^problem: Redis at 127\.0\.0\.1:\d+ cannot be reached \(.*ECONNREFUSED.*\): .*\n$/);
      expect(stderr).not.toMatch(/canary|\n {4}at /);
    }
  });

  test('says why a password is refused', async () => {
    const locked = await startRedis({ password: 'right' });
    const { code, stderr } = await operate('sessions list --all', {
      ...env,
      REDIS_URL: locked.url.replace('right', 'wrong'),
    });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/^problem: .*WRONGPASS/) });
    await locked.close();
  });

  test('says so where redis stops answering', async () => {
    const own = await startRedis();
    own.pause();
    const { code, stderr } = await operate('sessions list --all', { ...env, REDIS_URL: own.url });
    own.resume();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^problem: Redis at .* cannot be reached/);
    await own.close();
  });

  test('says that sessions in memory cannot be seen', async () => {
    const { code, stderr } = await operate('sessions list --all', KEYS);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/memory of the gateway.*Set REDIS_URL/),
    });
  });

  test('names every problem of the settings', async () => {
    const { code, stderr } = await operate('sessions list --all', { ...env, PORT: 'x', LOG_LEVEL: 'y' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^problem: the settings cannot be used:\n {2}PORT must be.*\n {2}LOG_LEVEL must be/);
  });
});
