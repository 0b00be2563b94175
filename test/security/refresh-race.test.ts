// Refreshes at the same time, and a logout between: a rotated token is spent once, and no session comes back.
import { describe, expect, test } from '@jest/globals';
import { arrangeScene, loggedIn } from '../support/scene.ts';
import { expectNothingTold } from '../support/secrets.ts';
import { expectSessionExpired, storedSessions } from '../support/session-end.ts';
import type { TestGateway } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const EXPIRED = 3_601_000;
const KEYS = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };

const scene = arrangeScene({ redis: true, clock: true, env: { FINVERA_AUTH_TIMEOUT: '15s' } });

const exchanges = (): number => scene.simulator.counters().refresh.received;
/** The bearers that data calls bore, in order. */
const bearers = () =>
  scene.simulator.requests('data').map(({ rawHeaders }) => rawHeaders.find((value) => value.startsWith('Bearer ')));

async function expectSessionGone(gateway: TestGateway, cookie: string): Promise<void> {
  expectSessionExpired(await gateway.browser().fetch('/bff/session', { headers: { Cookie: cookie } }));
  expect(await storedSessions(scene.redis)).toEqual([]);
}

describe('an expired token', () => {
  test('is renewed once for fifty requests at the same time', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    await browser.fetch(EVENT);
    scene.clock.advance(EXPIRED);
    const replies = await Promise.all(Array.from({ length: 50 }, () => browser.fetch(EVENT)));
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    expect(exchanges()).toBe(1);
    const [before, ...after] = bearers();
    expect(new Set(after).size).toBe(1);
    expect(after[0]).not.toBe(before);
    await expectNothingTold(gateway, scene.simulator);
  });

  test('is renewed once for fifty requests on three instances', async () => {
    const env = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };
    const gateways = [await scene.start(env), await scene.start(env), await scene.start(env)];
    const { cookie = '' } = await loggedIn(gateways[0] as TestGateway);
    scene.clock.advance(EXPIRED);
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) => gateways[i % 3]?.browser().fetch(EVENT, { headers: { Cookie: cookie } })),
    );
    expect(replies.map((reply) => reply?.status)).toEqual(replies.map(() => 200));
    expect(exchanges()).toBe(1);
  });
});

describe('a refresh', () => {
  test('loses to a logout while the exchange is under way', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const { cookie = '' } = browser;
    const hold = scene.simulator.addFault({ fault: 'hold', computed: true, match: { call: 'refresh' } });
    const refreshing = gateway.browser().fetch('/bff/refresh', { method: 'POST', headers: { Cookie: cookie } });
    await scene.simulator.waitForRequests('refresh', 1);
    expect((await browser.fetch('/bff/logout', { method: 'POST' })).status).toBe(204);
    hold.remove();
    expectSessionExpired(await refreshing);
    await expectSessionGone(gateway, cookie);
  });

  test.each([
    ['of all of the user’s sessions', 'DELETE', '/bff/sessions'],
    ['by a login in the same browser', 'POST', '/bff/login'],
  ])('on one instance loses to the end %s on another', async (_what, method, path) => {
    const [one, two] = [await scene.start(KEYS), await scene.start(KEYS)];
    const browser = await loggedIn(one);
    const { cookie = '' } = browser;
    scene.clock.advance(EXPIRED);
    const hold = scene.simulator.addFault({ fault: 'hold', computed: true, match: { call: 'refresh' } });
    const waiting = two.browser().fetch(EVENT, { headers: { Cookie: cookie } });
    await scene.simulator.waitForRequests('refresh', 1);
    const ended =
      path === '/bff/login'
        ? await Object.assign(one.browser(), { cookie }).login()
        : await one.browser().fetch(path, { method, headers: { Cookie: cookie } });
    expect([200, 204]).toContain(ended.status);
    hold.remove();
    expectSessionExpired(await waiting);
    expect(scene.simulator.counters().data.received).toBe(0);
    for (const gateway of [one, two])
      expectSessionExpired(await gateway.browser().fetch(EVENT, { headers: { Cookie: cookie } }));
  });
});
