// Session fixation: an id that somebody planted or kept is never a session after a login, by whatever way it was offered.
import { describe, expect, test } from '@jest/globals';
import { type CallOptions, cookieIn, json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { arrangeScene } from '../support/scene.ts';
import type { Browser, TestGateway } from '../support/test-gateway.ts';

const COOKIE = '__Host-finvera_session';
const CREDENTIALS = { email: 'demo@finvera.test', password: 'demo-password' };
const OTHERS_ID = 'A'.repeat(43);

const scene = arrangeScene({ redis: true });

const storedKeys = async () => (await scene.redis.client.keys('*')).filter((key) => !key.includes('throttle'));

function logIn(browser: Browser, headers: Record<string, string> = {}, path = '/bff/login', more = {}): Promise<Reply> {
  return browser.fetch(path, {
    method: 'POST',
    body: JSON.stringify({ ...CREDENTIALS, ...more }),
    headers: { 'Content-Type': 'application/json', ...headers },
  } satisfies CallOptions);
}

async function expectNobodys(gateway: TestGateway, id: string): Promise<void> {
  const asked = await gateway.browser().fetch('/bff/session', { headers: { Cookie: `${COOKIE}=${id}` } });
  expectProblem(asked, 401, 'session_expired');
}

describe('an id from before the login', () => {
  test('ends the earlier session of this browser and always makes a new id', async () => {
    const gateway = await scene.start();
    const browser = gateway.browser();
    await browser.login();
    const first = browser.cookie;
    await browser.login('second@finvera.test');
    expect(browser.cookie).not.toBe(first);
    expect((await browser.fetch('/bff/session')).status).toBe(200);

    const old = await gateway.browser().fetch('/bff/session', { headers: { Cookie: first ?? '' } });
    expectProblem(old, 401, 'session_expired');
    expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_ended', reason: 'replaced' }));
    expect(await storedKeys()).toHaveLength(2);
  });

  test.each([OTHERS_ID, 'not-an-id', ''])('never adopts the id %j that the browser offers', async (offered) => {
    const gateway = await scene.start();
    const reply = await logIn(gateway.browser(), { Cookie: `${COOKIE}=${offered}` });
    expect(reply.status).toBe(200);
    expect(reply.setCookies).toEqual([expect.stringMatching(/^__Host-finvera_session=[\w-]{43}; .*Max-Age=2\d+$/)]);
    expect(cookieIn(reply, COOKIE)).not.toBe(offered);
    const asked = await gateway.browser().fetch('/bff/session', { headers: { Cookie: `${COOKIE}=${OTHERS_ID}` } });
    expectProblem(asked, 401, 'session_expired');
  });

  test('is adopted by no other way: no header, query, member of the body or cookie of another name', async () => {
    const gateway = await scene.start();
    const value = `finvera_session=${OTHERS_ID}`;
    const headers = {
      Authorization: `Bearer ${OTHERS_ID}`,
      'X-Session-Id': OTHERS_ID,
      'Set-Cookie': `${COOKIE}=${OTHERS_ID}`,
      Cookie: `${value}; __host-${value}; __Secure-${value}; JSESSIONID=${OTHERS_ID}`,
    };
    const query = `/bff/login?id=${OTHERS_ID}&session=${OTHERS_ID}&${COOKIE}=${OTHERS_ID}`;
    const members = { id: OTHERS_ID, session: OTHERS_ID, session_id: OTHERS_ID, [COOKIE]: OTHERS_ID };
    for (const reply of [
      await logIn(gateway.browser(), headers),
      await logIn(gateway.browser(), {}, query),
      await logIn(gateway.browser(), {}, '/bff/login', members),
    ]) {
      expect([reply.status, reply.setCookies.length]).toEqual([200, 1]);
      expect(JSON.stringify([reply.headers, json(reply), reply.setCookies])).not.toContain(OTHERS_ID);
    }
    await expectNobodys(gateway, OTHERS_ID);
  });

  test('is not set by Finvera either, in its answer to the login', async () => {
    const planted = `${COOKIE}=${OTHERS_ID}; Path=/; Secure; HttpOnly`;
    scene.simulator.addFault({
      fault: 'headers',
      headers: { 'Set-Cookie': planted },
      times: 1,
      match: { call: 'validate' },
    });
    const gateway = await scene.start();
    const reply = await logIn(gateway.browser());
    expect([reply.status, reply.setCookies.length]).toEqual([200, 1]);
    expect(reply.setCookies[0]).not.toContain(OTHERS_ID);
    await expectNobodys(gateway, OTHERS_ID);
  });

  test('that an attacker is logged in with does not become the session of who logs in behind it', async () => {
    const gateway = await scene.start();
    const attacker = gateway.browser();
    expect((await logIn(attacker)).status).toBe(200);
    const planted = attacker.cookie ?? '';
    const victim = gateway.browser();
    victim.cookie = planted;
    expect((await victim.login('second@finvera.test')).status).toBe(200);
    expect(victim.cookie).not.toBe(planted);
    expectProblem(await attacker.fetch('/bff/session', { headers: { Cookie: planted } }), 401, 'session_expired');
    expect(json(await victim.fetch('/bff/session')).user.email).toBe('second@finvera.test');
  });

  test('is replaced in each of two logins at once, and ends', async () => {
    const gateway = await scene.start();
    const browser = gateway.browser();
    await logIn(browser);
    const before = browser.cookie ?? '';
    const replies = await Promise.all([1, 2].map(() => logIn(gateway.browser(), { Cookie: before })));
    const ids = replies.map((reply) => cookieIn(reply, COOKIE));
    expect(replies.map(({ status }) => status)).toEqual([200, 200]);
    expect(new Set([...ids, before.split('=')[1]]).size).toBe(3);
    expectProblem(
      await gateway.browser().fetch('/bff/session', { headers: { Cookie: before } }),
      401,
      'session_expired',
    );
  });
});
