// Shared answers of several instances on one Redis: one request for all, what lies in Redis, and a Redis that fails.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createCacheSeal } from '../../src/cache/cache-seal.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { createRedisConnection } from '../../src/redis/redis-client.ts';
import { cacheKeys } from '../../src/redis/redis-keys.ts';
import { cachedRoute, cacheSettings, ENTERPRISE, STANDARD } from '../support/cached-scene.ts';
import { operate } from '../support/operator.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { type Script, type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { type Browser, closeGateways, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const PATH = '/delivery/api/v1/events';
const KEYS = `k1:${Buffer.alloc(32, 1).toString('base64url')}`;
const RULES = { ttl: 60_000, staleWhileRevalidate: 0, staleIfError: 0, scope: 'tier' } as const;

let redis: TestRedis;
let upstream: ScriptedUpstream;

beforeEach(async () => {
  redis = await startRedis();
  upstream = await startScriptedUpstream({ rateLimit: 'off' });
});
afterEach(async () => {
  await closeGateways();
  await upstream.close();
  await redis.close();
});

const instance = (env: Record<string, string> = {}, rules: Partial<typeof RULES> = {}): Promise<TestGateway> =>
  startGateway(upstream.url, {
    env: { REDIS_URL: redis.url, SESSION_KEYS: KEYS, ...env },
    settings: { routes: [cachedRoute({ ...RULES, ...rules })], cache: cacheSettings({ compressFrom: 1_000 }) },
  });

async function userOf(gateways: readonly TestGateway[], email = ENTERPRISE): Promise<Browser[]> {
  const browser = gateways[0]?.browser() as Browser;
  expect((await browser.login(email)).status).toBe(200);
  return gateways.map((gateway) => {
    const there = gateway.browser();
    there.cookie = browser.cookie;
    return there;
  });
}

/** How often Finvera is asked is what is tested: a mistake of the script must not look like one request. */
const numbered: Script = (_request, count) => ({ headers: ['ETag', '"e"'], body: `answer ${count} `.repeat(500) });

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0x41;
  return copy;
}

const entries = async () => (await redis.client.keys('finvera:cache:*:entry:*')).length;

describe('three instances', () => {
  test('ask once for three hundred that come at once, and not at all when it is kept', async () => {
    const gateways = await Promise.all([instance(), instance(), instance()]);
    upstream.script(async (request, count, response) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return numbered(request, count, response) as { body: string };
    });
    const browsers = await userOf(gateways);
    const round = (path: string) =>
      Promise.all(Array.from({ length: 300 }, (_, i) => (browsers[i % 3] as Browser).fetch(path)));
    let asked = 0;
    let path = '';
    // All of them share this one process and its machine: a Redis that gets no time for 5 ms is one nobody waits for.
    for (let attempt = 1; attempt <= 5 && asked !== 1; attempt += 1) {
      path = `${PATH}/${attempt}`;
      const before = upstream.requests.length;
      const cold = await round(path);
      asked = upstream.requests.length - before;
      expect(cold.every(({ status, text }) => status === 200 && text.startsWith('answer '))).toBe(true);
      expect(new Set(cold.map(({ text }) => text)).size).toBe(asked);
    }
    expect(asked).toBe(1);
    const before = upstream.requests.length;
    const warm = await round(path);
    expect(upstream.requests).toHaveLength(before);
    expect(warm.every(({ headers }) => String(headers['cache-status']).startsWith('finvera-gateway; hit'))).toBe(true);
  });

  test('that starts later finds what the others kept', async () => {
    upstream.script(numbered);
    const [first] = await userOf([await instance()]);
    await first?.fetch(PATH);
    await until('it is kept', async () => (await entries()) === 1, 10_000);
    const later = await instance();
    const browser = later.browser();
    browser.cookie = first?.cookie;
    const reply = await browser.fetch(PATH);
    expect([reply.text.slice(0, 8), reply.headers['cache-status']]).toEqual([
      'answer 1',
      expect.stringMatching(/^finvera-gateway; hit; ttl=(60|5\d)$/),
    ]);
  });

  test('hear of a purge within a second', async () => {
    upstream.script(numbered);
    const [a, b] = await userOf([await instance(), await instance()]);
    const first = async (browser: Browser | undefined, path: string) => (await browser?.fetch(path))?.text.slice(0, 8);
    for (const path of [PATH, '/delivery/other']) await first(a, path);
    await until('the other has it', async () => (await first(b, PATH)) === 'answer 1', 10_000);
    const { stdout, stderr } = await operate('cache purge --path /delivery/api/*', {
      REDIS_URL: redis.url,
      SESSION_KEYS: KEYS,
    });
    expect(stderr).toMatch(/"event":"cache_purged".*"purged":"\/delivery\/api\/\*"/);
    expect(stdout).toBe('/delivery/api/* is purged; every instance knows within 1 s\n');
    await until('both ask anew', async () => (await first(a, PATH)) !== 'answer 1', 10_000);
    await until('both ask anew', async () => (await first(b, PATH)) !== 'answer 1', 10_000);
    expect(await first(a, '/delivery/other')).toBe('answer 2');
    for (const [what, purged] of [
      ['--route /delivery', '/delivery'],
      ['--all', '*'],
    ] as const) {
      const before = await first(a, '/delivery/other');
      const { code, stdout: told } = await operate(`cache purge ${what} --json`, {
        REDIS_URL: redis.url,
        SESSION_KEYS: KEYS,
      });
      expect([code, JSON.parse(told)]).toEqual([0, { purged }]);
      await until('it is asked anew', async () => (await first(a, '/delivery/other')) !== before, 10_000);
    }
  });

  test('are not purged where nothing is shared through Redis, and it is said why', async () => {
    const { code, stderr } = await operate('cache purge --all', { SESSION_KEYS: KEYS });
    expect([code, stderr]).toEqual([1, expect.stringContaining('keep shared answers in the process alone')]);
  });

  test('hear of a change within a second', async () => {
    upstream.script(numbered);
    const [a, b] = await userOf([await instance(), await instance()]);
    await a?.fetch(PATH);
    await until('the other has it', async () => String((await b?.fetch(PATH))?.text).startsWith('answer 1'), 10_000);
    await a?.fetch(PATH, { method: 'POST', body: 'x' });
    await until(
      'the other asks anew',
      async () => !String((await b?.fetch(PATH))?.text).startsWith('answer 1'),
      10_000,
    );
  });

  test('of which one dies with the lock are held up no longer than its life', async () => {
    const [a, b] = [await instance(), await instance()];
    upstream.script(async (_request, count) => {
      if (count === 1) await new Promise(() => undefined);
      return { body: `answer ${count}` };
    });
    const browsers = await userOf([a, b]);
    const led = browsers[0]?.fetch(PATH).catch(() => undefined);
    await until('it is asked', () => upstream.requests.length === 1, 10_000);
    const followed = browsers[1]?.fetch(PATH);
    // The first one is gone without a word: nobody renews its lock.
    await redis.client.del(...(await redis.client.keys('finvera:cache:*:lock:*')));
    expect((await followed)?.text).toBe('answer 2');
    await a.gateway.close(0);
    await led;
  });
});

describe('what lies in Redis', () => {
  test('is sealed: no token, no user, no path, no word of the body', async () => {
    upstream.script(({ headers }) => ({ body: `secret of ${String(headers.authorization).slice(-10)}` }));
    const [browser] = await userOf([await instance()]);
    await browser?.fetch(`${PATH}?who=me`);
    await until('it is kept', async () => (await entries()) === 1, 10_000);
    const everything: string[] = [];
    for (const key of await redis.client.keys('finvera:cache:*')) {
      everything.push(key);
      if (key.includes(':entry:')) everything.push((await redis.client.getBuffer(key))?.toString('latin1') ?? '');
    }
    const text = everything.join('\n');
    const token = String(upstream.requests[0]?.headers.authorization).slice('Bearer '.length);
    for (const piece of ['secret of', 'enterprise', 'events', 'who=me', token, token.slice(0, 20), token.slice(-20)])
      expect(text).not.toContain(piece);
  });

  test('that somebody else wrote or moved there is not shown', async () => {
    upstream.script((_request, count) => ({ body: `answer ${count}` }));
    const [browser] = await userOf([await instance()]);
    for (const path of ['/1', '/2']) await browser?.fetch(PATH + path);
    await until('both are kept', async () => (await entries()) === 2, 10_000);
    const [one = '', two = ''] = (await redis.client.keys('finvera:cache:*:entry:*')).sort();
    const [first, second] = [await redis.client.getBuffer(one), await redis.client.getBuffer(two)];
    if (!first || !second) throw new Error('nothing is kept');
    await redis.client.set(one, second);
    await redis.client.set(two, Buffer.from('{"status":200,"body":"evil"}'));
    const later = (await instance()).browser();
    later.cookie = browser?.cookie;
    const texts = [(await later.fetch(`${PATH}/1`)).text, (await later.fetch(`${PATH}/2`)).text];
    expect(texts).toEqual(['answer 3', 'answer 4']);
  });

  test('that is garbled, cut, of another version or of another kind is as if it were not there', async () => {
    upstream.script((_request, count) => ({ body: `answer ${count}` }));
    const [browser] = await userOf([await instance()]);
    const seal = createCacheSeal([{ kid: 'k1', key: new Secret(Buffer.alloc(32, 1).toString('base64url')) }]);
    const spoil: readonly ((bytes: Buffer, name: string) => Buffer | 'list')[] = [
      () => Buffer.alloc(0),
      () => Buffer.from([0]),
      () => Buffer.from([1, 255]),
      () => Buffer.alloc(5_000, 1),
      (bytes) => bytes.subarray(0, bytes.length - 1),
      (bytes) => bytes.subarray(0, 20),
      (bytes) => Buffer.concat([bytes, Buffer.from([0])]),
      (bytes) => flipped(bytes, 0),
      (bytes) => flipped(bytes, 1),
      (bytes) => flipped(bytes, 8),
      (bytes) => flipped(bytes, bytes.length - 1),
      // By the right key: what another version of the gateway may have written.
      (_bytes, name) => seal.seal(name, Buffer.alloc(0)),
      (_bytes, name) => seal.seal(name, Buffer.from([255, 255, 255, 255, 0])),
      (_bytes, name) => seal.seal(name, Buffer.from('\0\0\0\x02{}body')),
      (_bytes, name) => seal.seal(name, Buffer.from('\0\0\0\x04nullbody')),
      () => 'list',
    ];
    const seen = new Set<string>();
    for (const [i, spoilt] of spoil.entries()) {
      await browser?.fetch(`${PATH}/${i}`);
      await until('it is kept', async () => (await entries()) === i + 1, 10_000);
      const [key = ''] = (await redis.client.keys('finvera:cache:*:entry:*')).filter((each) => !seen.has(each));
      seen.add(key);
      const bytes = spoilt((await redis.client.getBuffer(key)) ?? Buffer.alloc(0), key.slice(key.lastIndexOf(':') + 1));
      await redis.client.del(key);
      if (bytes === 'list') await redis.client.rpush(key, 'x');
      else await redis.client.set(key, bytes);
    }
    const before = upstream.requests.length;
    const later = (await instance()).browser();
    later.cookie = browser?.cookie;
    for (const i of spoil.keys()) {
      const reply = await later.fetch(`${PATH}/${i}`);
      expect([reply.status, reply.text]).toEqual([200, `answer ${before + i + 1}`]);
    }
    // An instance that Redis answers late asks Finvera, and keeps that: another one, which has kept nothing yet, is asked then.
    await until(
      'what is right has taken its place',
      async () => {
        const again = (await instance()).browser();
        again.cookie = browser?.cookie;
        const reply = await again.fetch(`${PATH}/0`);
        expect([reply.status, reply.text]).toEqual([200, expect.stringMatching(/^answer \d+$/)]);
        return String(reply.headers['cache-status']).startsWith('finvera-gateway; hit');
      },
      10_000,
    );
  });

  test('is compressed where it is large, and bounded by the budget', async () => {
    upstream.script((_request, count) => ({ body: `${count} `.repeat(20_000) }));
    const [browser] = await userOf([await instance()]);
    await browser?.fetch(PATH);
    await until('it is kept', async () => (await entries()) === 1, 10_000);
    const [key = ''] = await redis.client.keys('finvera:cache:*:entry:*');
    expect(await redis.client.strlen(key)).toBeLessThan(2_000);
  });

  test('leaves by its end, and by the budget what ends soonest', async () => {
    const names = Array.from({ length: 2_000 }, (_, i) => `n${i}`).filter(
      (name) => cacheKeys(name).prefix === cacheKeys('n1').prefix,
    );
    const gateway = await instance();
    expect(gateway.settings.cache.redisMaxBytes).toBeGreaterThan(0);
    const connection = createRedisConnection(new Secret(redis.url), gateway.gateway.log);
    await until('it is connected', () => connection.status === 'ready', 10_000);
    const now = systemClock.now();
    for (const [i, name] of names.slice(0, 10).entries()) {
      const keys = cacheKeys(name);
      const value = Buffer.alloc(100);
      const total = await connection.keepShared(
        keys.entry,
        keys.ends,
        keys.sizes,
        value,
        name,
        60_000 + i,
        now,
        450,
        keys.prefix,
      );
      expect(total).toBe(Math.min(i + 1, 4) * 100);
    }
    const left = await Promise.all(names.slice(0, 10).map((name) => redis.client.exists(cacheKeys(name).entry)));
    expect(left).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    connection.disconnect();
  });
});

describe('a Redis of its own for shared answers', () => {
  test('stalled or gone adds little and no error; when it is back it is used again', async () => {
    const own = await startRedis();
    try {
      upstream.script((_request, count) => ({ body: `answer ${count}` }));
      const gateway = await instance({ CACHE_REDIS_URL: own.url });
      const [browser] = await userOf([gateway]);
      await browser?.fetch(`${PATH}/warm`);
      const kept = async () => (await own.client.keys('finvera:cache:*:entry:*')).length;
      await until('it is kept there', async () => (await kept()) === 1, 10_000);
      expect(await entries()).toBe(0);
      own.pause();
      const times: number[] = [];
      for (let i = 0; i < 20; i += 1) {
        const startedAt = performance.now();
        expect((await browser?.fetch(`${PATH}/stalled-${i}`))?.status).toBe(200);
        times.push(performance.now() - startedAt);
      }
      // Generous: a busy machine. What it costs is measured by the laboratory.
      expect(times.sort((x, y) => x - y)[10]).toBeLessThan(100);
      expect(await gateway.metrics()).toMatch(/^finvera_gateway_cache_redis_usable 0$/m);
      own.resume();
      await until(
        'it is used',
        async () => /^finvera_gateway_cache_redis_usable 1$/m.test(await gateway.metrics()),
        10_000,
      );
      await browser?.fetch(`${PATH}/again`);
      await until('it keeps again', async () => (await kept()) >= 2, 10_000);
      await own.stop();
      for (let i = 0; i < 5; i += 1) expect((await browser?.fetch(`${PATH}/gone-${i}`))?.status).toBe(200);
    } finally {
      await own.close();
    }
  });
});

test('tiers stay apart in Redis, too', async () => {
  upstream.script((_request, count) => ({ body: `answer ${count}` }));
  const gateways = [await instance(), await instance()];
  const [a] = await userOf(gateways);
  const [, b] = await userOf(gateways, STANDARD);
  expect((await a?.fetch(PATH))?.text).toBe('answer 1');
  expect((await b?.fetch(PATH))?.text).toBe('answer 2');
});
