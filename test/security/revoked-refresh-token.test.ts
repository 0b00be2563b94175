// A refresh token that Finvera takes no more: the session is over at once, everywhere, and nothing goes on with the old tokens.
import { describe, expect, test } from '@jest/globals';
import type { Reply } from '../support/http-client.ts';
import { arrangeScene, loggedIn } from '../support/scene.ts';
import { expectSessionExpired, expectSessionGone } from '../support/session-end.ts';
import type { Browser } from '../support/test-gateway.ts';

const EVENT = '/delivery/api/v1/events/evt-0001';
const EXPIRED = 3_601_000;
const KEYS = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };

const scene = arrangeScene({ redis: true, clock: true, env: { FINVERA_AUTH_TIMEOUT: '15s' } });

const refresh = (browser: Browser): Promise<Reply> => browser.fetch('/bff/refresh', { method: 'POST' });
const exchanges = (): number => scene.simulator.counters().refresh.received;

describe('a refresh token that is rejected', () => {
  test('ends the session of a request that needs it', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const { cookie } = browser;
    scene.simulator.revoke('refresh');
    scene.clock.advance(EXPIRED);
    const replies = await Promise.all([1, 2, 3].map(() => browser.fetch(EVENT, { headers: { Cookie: cookie ?? '' } })));
    for (const reply of replies) expectSessionExpired(reply);
    expect(scene.simulator.counters().data.received).toBe(0);
    await expectSessionGone(scene.redis, gateway, cookie, 'refresh_rejected');
  });

  test.each([400, 401, 403])('ends the session that asks for a refresh, whether Finvera says %d', async (status) => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const { cookie } = browser;
    scene.simulator.addFault({ fault: 'status', status, match: { call: 'refresh' } });
    expectSessionExpired(await refresh(browser));
    expect(exchanges()).toBe(1);
    await expectSessionGone(scene.redis, gateway, cookie, 'refresh_rejected');
    expect(await gateway.metrics()).toContain('finvera_gateway_refreshes_total{outcome="rejected",why="rejected"} 1');
  });

  test('ends the session where Finvera refused the access token first', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const { cookie } = browser;
    scene.simulator.revoke('all');
    expectSessionExpired(await browser.fetch(EVENT));
    expect(scene.simulator.requests('data')).toHaveLength(1);
    await expectSessionGone(scene.redis, gateway, cookie, 'refresh_rejected');
  });

  test('ends the session on the instance that did not ask, too, and Finvera is not asked again', async () => {
    const [one, two] = [await scene.start(KEYS), await scene.start(KEYS)];
    const browser = await loggedIn(one);
    const { cookie = '' } = browser;
    expect((await two.browser().fetch(EVENT, { headers: { Cookie: cookie } })).status).toBe(200);
    scene.simulator.revoke('refresh');
    scene.clock.advance(EXPIRED);
    expectSessionExpired(await browser.fetch(EVENT));
    const asked = scene.simulator.requests().length;
    for (const path of [EVENT, '/bff/session', '/bff/sessions', '/kms/api/v1/auth/validate'])
      expectSessionExpired(await two.browser().fetch(path, { headers: { Cookie: cookie } }));
    expect(scene.simulator.requests()).toHaveLength(asked);
  });
});
