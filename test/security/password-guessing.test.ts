// Guessing passwords and finding out accounts: bounded per account and per address, without locking the owner out, and the
// answers tell nothing but right or not right (ASVS 6.3.1, 6.3.8, OWASP Authentication).
import { afterEach, describe, expect, test } from '@jest/globals';
import { json, type Reply } from '../support/http-client.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { startRedis } from '../support/redis-server.ts';
import type { Browser } from '../support/test-gateway.ts';

const scenes: RawScene[] = [];
afterEach(async () => {
  await Promise.all(scenes.splice(0).map((each) => each.close()));
});

async function start(env: Record<string, string> = {}): Promise<RawScene> {
  const scene = await startRawScene({ env: { TRUST_PROXY: '127.0.0.1', ...env } });
  scenes.push(scene);
  return scene;
}

const attempt = (browser: Browser, email: string, password: string, ip = '192.0.2.1'): Promise<Reply> =>
  browser.fetch('/bff/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': ip },
    body: JSON.stringify({ email, password }),
  });

const loginsAtFinvera = ({ upstream }: RawScene): number =>
  upstream.allRequests().filter(({ target }) => target.endsWith('/auth/token')).length - 1; // the scene's own

const WRONG = 'wrong-password';
const RIGHT = 'demo-password';

test('guesses at one account from fifty addresses end at its limit, with Retry-After, and no password leaves any more', async () => {
  const scene = await start();
  const statuses: number[] = [];
  for (let i = 0; i < 50; i += 1) {
    const reply = await attempt(scene.gateway.browser(), 'victim@finvera.test', WRONG, `198.51.100.${i}`);
    statuses.push(reply.status);
    if (reply.status !== 429) continue;
    expect(json(reply).code).toBe('too_many_attempts');
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(800);
  }
  expect(statuses.filter((status) => status === 401)).toHaveLength(10);
  expect(loginsAtFinvera(scene)).toBe(10);
  // Nobody else is touched by it.
  expect((await attempt(scene.gateway.browser(), 'other@finvera.test', RIGHT, '198.51.100.7')).status).toBe(200);
});

test('attempts that are refused cost the store nothing', async () => {
  const redis = await startRedis();
  try {
    const scene = await start({ REDIS_URL: redis.url });
    const guess = () => attempt(scene.gateway.browser(), 'victim@finvera.test', WRONG);
    while ((await guess()).status !== 429);
    const commands = async () => {
      const stats = await redis.client.info('commandstats');
      const asked = stats.matchAll(/^cmdstat_(?:ping|eval|evalsha|incrby|set|get|pttl):calls=(\d+)/gm);
      return [...asked].reduce((sum, [, calls]) => sum + Number(calls), 0);
    };
    const before = await commands();
    const startedAt = performance.now();
    for (let i = 0; i < 100; i += 1) expect((await guess()).status).toBe(429);
    // Once a second it is asked whether the refusal still stands.
    const seconds = Math.ceil((performance.now() - startedAt) / 1_000);
    expect((await commands()) - before).toBeLessThanOrEqual(seconds * 12);
  } finally {
    await Promise.all(scenes.splice(0).map((each) => each.close()));
    await redis.close();
  }
}, 60_000);

test('one password tried on two hundred accounts from one address ends at the address’s limit', async () => {
  const scene = await start();
  const statuses: number[] = [];
  for (let i = 0; i < 200; i += 1) {
    statuses.push((await attempt(scene.gateway.browser(), `user-${i}@finvera.test`, WRONG)).status);
  }
  expect(statuses.filter((status) => status === 401)).toHaveLength(100);
  expect(statuses.slice(100).every((status) => status === 429)).toBe(true);
  expect(loginsAtFinvera(scene)).toBe(100);
  expect((await attempt(scene.gateway.browser(), 'user-1@finvera.test', RIGHT, '192.0.2.99')).status).toBe(200);
});

test('one address cannot lock an owner out who comes from elsewhere', async () => {
  const scene = await start();
  for (let i = 0; i < 30; i += 1) await attempt(scene.gateway.browser(), 'owner@finvera.test', WRONG, '192.0.2.66');
  expect((await attempt(scene.gateway.browser(), 'owner@finvera.test', RIGHT, '203.0.113.5')).status).toBe(200);
});

test('what rotates with every attempt evades no limit: ports, spellings, cookies, agents, query', async () => {
  const scene = await start();
  const names = [
    'victim@finvera.test',
    'VICTIM@finvera.test',
    ' victim@finvera.test',
    'victim@FINVERA.test ',
    '\uff56ictim@finvera.test',
    'Victim@Finvera.Test',
  ];
  const statuses: number[] = [];
  for (let i = 0; i < 18; i += 1) {
    const reply = await scene.gateway
      .browser()
      .fetch(`${['/bff/login', '/api/v1/auth/token', '/kms/api/v1/auth/token'][i % 3]}?x=${i}`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          'X-Forwarded-For': `10.9.${i}.1, 192.0.2.1${i % 2 ? `:${40_000 + i}` : ''}`,
          'User-Agent': `agent/${i}`,
          Cookie: `visit=${i}`,
          'X-Request-Id': `id-${i}`,
        },
        body: JSON.stringify({ email: names[i % names.length], password: WRONG }),
      });
    statuses.push(reply.status);
  }
  // Half of the account's ten, for one address.
  expect(statuses.filter((status) => status === 401)).toHaveLength(5);
  expect(statuses.slice(5)).toEqual(Array.from({ length: 13 }, () => 429));
});

describe('accounts cannot be told apart', () => {
  /** All of an answer that could differ, without what differs in every answer. */
  const shapeOf = ({ status, headers, text, setCookies }: Reply) => ({
    status,
    headers: Object.entries(headers).filter(([name]) => !['date', 'x-request-id'].includes(name)),
    text: text.replaceAll(String(headers['x-request-id']), ''),
    setCookies,
  });

  test('by status, header, body or length: wrong password, no such account, disabled or locked at Finvera', async () => {
    const scene = await start();
    const shapes: unknown[] = [];
    for (const email of ['demo@finvera.test', 'nobody@finvera.test', 'x', `${'a'.repeat(300)}@finvera.test`]) {
      shapes.push(shapeOf(await attempt(scene.gateway.browser(), email, WRONG)));
    }
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
  });

  test('by being throttled: an account that does not exist is throttled like any other', async () => {
    const scene = await start({ LOGIN_LIMIT_ACCOUNT: '4/15m' });
    const shapes: unknown[] = [];
    for (const email of ['demo@finvera.test', 'nobody@finvera.test']) {
      for (let i = 0; i < 2; i += 1) await attempt(scene.gateway.browser(), email, WRONG);
      const shape = shapeOf(await attempt(scene.gateway.browser(), email, RIGHT));
      shapes.push({ ...shape, headers: shape.headers.filter(([name]) => name !== 'retry-after') });
    }
    expect(shapes[0]).toMatchObject({ status: 429 });
    expect(shapes[1]).toEqual(shapes[0]);
  });

  test('by time: the gateway takes as long for the one as for the other', async () => {
    const scene = await start({ LOGIN_LIMIT_ACCOUNT: 'off', LOGIN_LIMIT_ADDRESS: 'off' });
    const times: Record<string, number[]> = { 'demo@finvera.test': [], 'nobody@finvera.test': [] };
    for (let i = 0; i < 40; i += 1) {
      for (const [email, list] of Object.entries(times)) {
        const startedAt = performance.now();
        await attempt(scene.gateway.browser(), email, WRONG);
        list.push(performance.now() - startedAt);
      }
    }
    const [known = 0, unknown = 0] = Object.values(times).map((list) => list.sort((a, b) => a - b)[20] ?? 0);
    expect(Math.abs(known - unknown)).toBeLessThan(Math.max(5, known / 2));
  });
});

test('a password arrives exactly as it was typed, and is never in an answer', async () => {
  const scene = await start({ LOGIN_LIMIT_ACCOUNT: 'off' });
  for (const password of [
    'x'.repeat(128),
    ' blank at both ends ',
    'p\u00e4\u00df\u{1f511}\u200d',
    '"\\/\b\f\n\r\t',
    '%0d%0aX: 1',
    '\u2028',
    '__proto__',
  ]) {
    const reply = await attempt(scene.gateway.browser(), 'a@finvera.test', password);
    expect(reply.status).toBe(401);
    const last = scene.upstream
      .allRequests()
      .filter(({ target }) => target.endsWith('/token'))
      .at(-1);
    expect(JSON.parse(Buffer.from(last?.body ?? '', 'latin1').toString('utf8'))).toEqual({
      email: 'a@finvera.test',
      password,
    });
    expect(last?.values('content-length')).toEqual([String(last?.body.length)]);
    expect(reply.text + JSON.stringify(reply.headers)).not.toContain(JSON.stringify(password).slice(1, -1));
  }
});
