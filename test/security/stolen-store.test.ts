// Somebody reads or writes the store: what is in it opens nothing, and what is moved within it is refused (RFC 10017
// §6.1.3.7). Values that nobody wrote make no process fall (ATK-K5).
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { json } from '../support/http-client.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { tokensSeen } from '../support/secrets.ts';
import { type Browser, closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const KEYS = `k1:${Buffer.alloc(32, 7).toString('base64url')}`;

let redis: TestRedis;
let simulator: Simulator;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.close());
beforeEach(async () => {
  await redis.client.flushall();
  simulator = await createSimulator({ anyUser: true });
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
});

const start = (): Promise<TestGateway> =>
  startGateway(simulator, { env: { REDIS_URL: redis.url, SESSION_KEYS: KEYS } });

const sessionKeys = (): Promise<string[]> => redis.client.keys('*:session');

async function loggedIn(gateway: TestGateway, email: string): Promise<Browser> {
  const browser = gateway.browser();
  expect((await browser.login(email)).status).toBe(200);
  return browser;
}

test('a dump of the store holds no token, no piece of one, and no cookie', async () => {
  const gateway = await start();
  const browser = await loggedIn(gateway, 'a@finvera.test');
  await browser.fetch(EVENT);
  await browser.fetch('/bff/refresh', { method: 'POST' });
  const dump = await redis.dump();
  expect(dump).not.toBe('');
  const decoded = dump.replace(/[\w-]{20,}/g, (text) => `${text} ${Buffer.from(text, 'base64url').toString('latin1')}`);
  for (const secret of [...tokensSeen(simulator), browser.cookie?.split('=')[1] ?? '']) {
    for (let at = 0; at + 20 <= secret.length; at += 1) expect(decoded.includes(secret.slice(at, at + 20))).toBe(false);
  }
  expect(decoded).not.toContain('demo-password');
});

test('a dump of the store opens no session: neither a key, nor a value, nor a hash is a cookie', async () => {
  const gateway = await start();
  await loggedIn(gateway, 'a@finvera.test');
  const texts = new Set((await redis.dump()).match(/[A-Za-z0-9_-]{43}/g));
  expect(texts.size).toBeGreaterThan(0);
  for (const text of [...texts].slice(0, 40)) {
    const reply = await gateway.browser().fetch(EVENT, { headers: { Cookie: `__Host-finvera_session=${text}` } });
    expect(reply.status).toBe(401);
  }
});

test('a session moved to another’s place in the store is refused, both ways', async () => {
  const gateway = await start();
  const alice = await loggedIn(gateway, 'alice@finvera.test');
  const [aliceKey = ''] = await sessionKeys();
  const mallory = await loggedIn(gateway, 'mallory@finvera.test');
  const malloryKey = (await sessionKeys()).find((key) => key !== aliceKey) ?? '';
  expect([aliceKey, malloryKey]).not.toContain('');
  const [ofAlice, ofMallory] = [await redis.client.hgetall(aliceKey), await redis.client.hgetall(malloryKey)];
  await redis.client.hset(malloryKey, ofAlice);
  await redis.client.hset(aliceKey, ofMallory);
  const other = await start(); // without what the first one remembers
  for (const { cookie = '' } of [alice, mallory]) {
    const before = simulator.requests('data').length;
    const reply = await other.browser().fetch(EVENT, { headers: { Cookie: cookie } });
    expect([reply.status, json(reply).code]).toEqual([401, 'session_expired']);
    expect(simulator.requests('data')).toHaveLength(before);
  }
});

test('a seal that was changed by a single character is refused', async () => {
  const gateway = await start();
  const { cookie = '' } = await loggedIn(gateway, 'a@finvera.test');
  const [key = ''] = await sessionKeys();
  const seal = (await redis.client.hget(key, 's')) ?? '';
  const other = await start();
  for (const at of [2, Math.floor(seal.length / 2), seal.length - 3]) {
    const changed = seal.slice(0, at) + (seal[at] === 'A' ? 'B' : 'A') + seal.slice(at + 1);
    await redis.client.hset(key, 's', changed);
    const reply = await other.browser().fetch(EVENT, { headers: { Cookie: cookie } });
    expect([at, reply.status]).toEqual([at, 401]);
  }
  await redis.client.hset(key, 's', seal);
  expect((await other.browser().fetch(EVENT, { headers: { Cookie: cookie } })).status).toBe(200);
});

describe('a value that nobody wrote', () => {
  test.each<[string, (key: string) => Promise<unknown>]>([
    ['no seal', (key) => redis.client.hdel(key, 's')],
    ['an empty seal', (key) => redis.client.hset(key, 's', '')],
    ['a seal of another format', (key) => redis.client.hset(key, 's', '{"__proto__":{"admin":true}}')],
    ['a very long seal', (key) => redis.client.hset(key, 's', 'A'.repeat(1_000_000))],
    ['a description that is no JSON', (key) => redis.client.hset(key, 'm', '{')],
    ['a description of other things', (key) => redis.client.hset(key, 'm', '{"__proto__":{"u":1},"u":[],"c":"x"}')],
    ['a version that is no number', (key) => redis.client.hset(key, 'v', 'x')],
    ['times that are no numbers', (key) => redis.client.hset(key, 'l', 'x', 'x', 'NaN')],
    ['a text instead of a hash', (key) => redis.client.set(key, 'x')],
    ['a list instead of a hash', (key) => redis.client.multi().del(key).rpush(key, 'x').exec()],
    ['an empty hash of other fields', (key) => redis.client.multi().del(key).hset(key, '__proto__', 'x').exec()],
  ])('%s is 401 or 503, never 500, and the process lives on', async (_what, spoil) => {
    const gateway = await start();
    const { cookie = '' } = await loggedIn(gateway, 'a@finvera.test');
    const [key = ''] = await sessionKeys();
    expect(key).not.toBe('');
    await spoil(key);
    const other = await start();
    for (const path of [EVENT, '/bff/session', '/bff/sessions']) {
      const reply = await other.browser().fetch(path, { headers: { Cookie: cookie } });
      expect([401, 503]).toContain(reply.status);
    }
    expect((await loggedIn(other, 'b@finvera.test')).cookie).toBeDefined();
    expect(simulator.requests('data')).toEqual([]);
  });
});
