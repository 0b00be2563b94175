// The keys that seal sessions change while two gateways run on one Redis: nobody is logged out, and afterwards the old key is not needed.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { createSimulator, type Simulator } from '../../simulator/simulator.ts';
import { expectProblem } from '../support/problem.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { expectNothingTold } from '../support/secrets.ts';
import { type Browser, closeGateways, createBrowser, startGateway, type TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const bytes = (n: number) => Buffer.alloc(32, n).toString('base64url');
const [K1, K2] = [`k1:${bytes(1)}`, `k2:${bytes(2)}`];

let redis: TestRedis;
let simulator: Simulator;
let folder: string;
let file: string;

beforeAll(async () => {
  redis = await startRedis();
});
beforeEach(async () => {
  simulator = await createSimulator();
  folder = mkdtempSync(join(tmpdir(), 'rotation-'));
  file = join(folder, 'session-keys');
  writeKeys(K1);
});
afterEach(async () => {
  await closeGateways();
  await simulator.close();
  await redis.client.flushall();
  rmSync(folder, { recursive: true });
});
afterAll(() => redis.close());

/** As an orchestrator does: the new file takes the old one's place in one step. */
function writeKeys(...keys: string[]): void {
  writeFileSync(`${file}.next`, keys.join(','));
  renameSync(`${file}.next`, file);
}

const start = () => startGateway(simulator, { env: { REDIS_URL: redis.url, SESSION_KEYS_FILE: file } });

const pickedUp = (gateways: readonly TestGateway[], kids: string) =>
  Promise.all(
    gateways.map((gateway) =>
      until(`the keys ${kids}`, () =>
        gateway.logLines().some((line) => line.event === 'session_keys_changed' && line.kids === kids),
      ),
    ),
  );

/** The names of the keys that Redis' seals are under. */
async function kidsInStore(): Promise<(string | undefined)[]> {
  const keys = (await redis.client.keys('*')).sort();
  const seals = await Promise.all(
    keys.map(async (key) => ((await redis.client.type(key)) === 'hash' ? await redis.client.hget(key, 's') : null)),
  );
  return seals.filter((seal) => seal !== null).map((seal) => decodeProtectedHeader(seal).kid);
}

/** Everybody can call, at every gateway. */
async function expectAllIn(browsers: readonly Browser[], gateways: readonly TestGateway[]): Promise<void> {
  for (const { cookie } of browsers) {
    for (const { url } of gateways) {
      const browser = createBrowser(url);
      browser.cookie = cookie;
      expect((await browser.fetch(EVENT)).status).toBe(200);
      expect(browser.cookie).toBe(cookie);
    }
  }
}

test('takes a new key in three steps without logging anybody out', async () => {
  const gateways = [await start(), await start()] as const;
  const [one, two] = [gateways[0].browser(), gateways[1].browser()];
  expect((await one.login()).status).toBe(200);
  expect((await two.login()).status).toBe(200);
  expect(await kidsInStore()).toEqual(['k1', 'k1']);

  // Added second: everybody can open what it seals, nobody seals with it.
  writeKeys(K1, K2);
  await pickedUp(gateways, 'k1,k2');
  await expectAllIn([one, two], gateways);
  expect(await kidsInStore()).toEqual(['k1', 'k1']);
  expect(await gateways[0].metrics()).toContain('finvera_gateway_session_keys{kid="k2"} 0');

  // Put first: new sessions are sealed with it, and those in use are sealed anew.
  writeKeys(K2, K1);
  await pickedUp(gateways, 'k2,k1');
  const three = gateways[0].browser();
  expect((await three.login()).status).toBe(200);
  await expectAllIn([one, two, three], gateways);
  await until('every seal is under the new key', async () => (await kidsInStore()).every((kid) => kid === 'k2'));
  expect(simulator.counters().refresh.received).toBe(0);
  expect((await one.fetch('/bff/refresh', { method: 'POST' })).status).toBe(200);
  expect(await gateways[0].metrics()).toContain('finvera_gateway_session_keys{kid="k2"} 1');

  // Taken out.
  writeKeys(K2);
  await pickedUp(gateways, 'k2');
  await expectAllIn([one, two, three], gateways);
  for (const gateway of gateways) {
    expect(gateway.auditLines().filter(({ event }) => event === 'session_keys_changed')).toHaveLength(3);
    await expectNothingTold(gateway, simulator, [bytes(1), bytes(2)]);
    expect(gateway.auditText()).not.toMatch(new RegExp(`${bytes(1)}|${bytes(2)}`));
  }
});

test('nobody is logged out while one gateway has the new key first and the other does not yet', async () => {
  const early = await start();
  const [one, two] = [early.browser(), early.browser()];
  await one.login();
  await two.login();
  writeKeys(K1, K2);
  await pickedUp([early], 'k1,k2');
  // Its own file stays as it is.
  const lateFile = join(folder, 'late');
  writeFileSync(lateFile, `${K1},${K2}`);
  const late = await startGateway(simulator, { env: { REDIS_URL: redis.url, SESSION_KEYS_FILE: lateFile } });
  writeKeys(K2, K1);
  await pickedUp([early], 'k2,k1');
  for (let i = 0; i < 3; i += 1) await expectAllIn([one, two], [early, late]);
  const three = late.browser();
  expect((await three.login()).status).toBe(200);
  await expectAllIn([three], [early]);
  await until('what is in use is under the new key', async () => {
    const kids = await kidsInStore();
    return kids.filter((kid) => kid === 'k2').length === 2 && kids.filter((kid) => kid === 'k1').length === 1;
  });
});

test('keeps the keys in force where the new file is broken, and says why without telling it', async () => {
  const gateway = await start();
  const browser = gateway.browser();
  await browser.login();
  writeKeys(`k2:${bytes(2).slice(0, 30)}`);
  await until('the refusal', () => gateway.logLines().some(({ event }) => event === 'session_keys_refused'));
  const [line] = gateway.logLines().filter(({ event }) => event === 'session_keys_refused');
  expect(line).toMatchObject({ level: 'error', error: expect.stringMatching(/^SESSION_KEYS_FILE must be kid:key/) });
  expect(gateway.logText()).not.toContain(bytes(2).slice(0, 30));
  await expectAllIn([browser], [gateway]);
});

test('ends the sessions of a key that was taken out at once, also those in the cache', async () => {
  const gateway = await start();
  const browser = gateway.browser();
  await browser.login();
  // Nothing is kept before the events of other instances are heard.
  await until('the session in the cache', async () => {
    expect((await browser.fetch(EVENT)).status).toBe(200);
    return /^finvera_gateway_cached_sessions 1$/m.test(await gateway.metrics());
  });
  writeKeys(K2);
  await pickedUp([gateway], 'k2');
  expectProblem(await browser.fetch(EVENT), 401, 'session_expired');
});
