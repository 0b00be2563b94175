// Sessions that are kept alive: no activity, refresh or poll makes one longer than its idle, absolute and refresh token's ends.
import { describe, expect, test } from '@jest/globals';
import { json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { arrangeScene, loggedIn } from '../support/scene.ts';

const CLEARED = '__Host-finvera_session=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0';
const EVENT = '/delivery/api/v1/events/evt-0001';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const scene = arrangeScene({ redis: true, clock: true });

function expectEnded(reply: Reply): void {
  expectProblem(reply, 401, 'session_expired');
  expect(reply.setCookies).toEqual([CLEARED]);
}

describe('the refresh token’s end', () => {
  test('is the end of cookie and session', async () => {
    scene.simulator.configure({ refreshTokenLifeS: 7_200 });
    const reply = await (await scene.start()).browser().login();
    expect(json(reply).session).toMatchObject({ expires_in: 7_200, idle_expires_in: 7_200 });
    expect(reply.setCookies[0]).toMatch(/; Max-Age=7200$/);
  });

  test('is not outlived by a session that is used', async () => {
    scene.simulator.configure({ refreshTokenLifeS: 2 * 3_600, rotation: false });
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.clock.advance(119 * MINUTE);
    expect((await browser.fetch('/bff/session?slide=false')).status).toBe(200);
    scene.clock.advance(MINUTE);
    expectEnded(await browser.fetch('/bff/session'));
  });

  test('is the end in the store too: nothing of the session is kept longer', async () => {
    scene.simulator.configure({ refreshTokenLifeS: 2 * 3_600 });
    await loggedIn(await scene.start());
    const kept = await scene.redis.client.keys('*session*');
    expect(kept.length).toBeGreaterThan(0);
    for (const name of kept) {
      const ttlMs = await scene.redis.client.pttl(name);
      expect([name, ttlMs > 0 && ttlMs <= 2 * HOUR + 2 * MINUTE]).toEqual([name, true]);
    }
  });
});

describe('the end on the server', () => {
  test('the idle end is moved by use, and no further', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    for (const path of ['/bff/session', EVENT, '/bff/sessions', EVENT]) {
      scene.clock.advance(11 * HOUR);
      expect((await browser.fetch(path)).status).toBe(200);
    }
    scene.clock.advance(12 * HOUR + 2 * MINUTE);
    expectEnded(await browser.fetch('/bff/session'));
    expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_ended', reason: 'idle' }));
    expect((await scene.redis.client.keys('*session*')).filter((name) => !name.includes('user'))).toEqual([]);
  });

  test('the absolute end is moved by no use', async () => {
    const gateway = await scene.start({ SESSION_IDLE_TIMEOUT: '90m', SESSION_ABSOLUTE_TIMEOUT: '2h' });
    const browser = await loggedIn(gateway);
    for (const left of [5_400, 3_600, 1_800]) {
      scene.clock.advance(30 * MINUTE);
      const { session } = json(await browser.fetch('/bff/session'));
      expect(session).toMatchObject({ expires_in: left, idle_expires_in: Math.min(left, 5_400) });
    }
    scene.clock.advance(30 * MINUTE);
    expectEnded(await browser.fetch('/bff/session'));
    expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_ended', reason: 'absolute' }));
  });

  test('neither is moved by a refresh, whatever life Finvera gives the new tokens, nor by what a client says', async () => {
    const gateway = await scene.start({ SESSION_IDLE_TIMEOUT: '90m', SESSION_ABSOLUTE_TIMEOUT: '2h' });
    const browser = await loggedIn(gateway);
    scene.simulator.configure({ refreshTokenLifeS: 10 * 24 * 3_600, accessTokenLifeS: 24 * 3_600 });
    scene.clock.advance(HOUR);
    const refreshed = await browser.fetch('/bff/refresh', { method: 'POST', body: '{"expires_in":999999}' });
    expect([refreshed.status, json(refreshed).session.expires_in]).toEqual([200, 3_600]);
    expect(refreshed.setCookies).toEqual([]);
    scene.clock.advance(59 * MINUTE);
    const headers = { Date: new Date(0).toUTCString(), 'X-Session-Activity': '99999', 'Keep-Alive': 'timeout=99999' };
    expect((await browser.fetch(EVENT, { headers })).status).toBe(200);
    scene.clock.advance(MINUTE);
    expectEnded(await browser.fetch(EVENT, { headers }));
  });

  test('both hold where nobody asks: what is in the store ends by itself', async () => {
    await loggedIn(await scene.start({ SESSION_IDLE_TIMEOUT: '90m', SESSION_ABSOLUTE_TIMEOUT: '2h' }));
    const kept = await scene.redis.client.keys('*session*');
    expect(kept.length).toBeGreaterThan(0);
    for (const name of kept) {
      const ttlMs = await scene.redis.client.pttl(name);
      expect([name, ttlMs > 0 && ttlMs <= 2 * HOUR + 2 * MINUTE]).toEqual([name, true]);
    }
  });
});
