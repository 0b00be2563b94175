// Guessing session ids: what is no id costs the store nothing, what is one cannot be foreseen.
import { describe, expect, test } from '@jest/globals';
import { cookieIn } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { arrangeScene } from '../support/scene.ts';
import { lookUps } from '../support/store-look-ups.ts';

const COOKIE = '__Host-finvera_session';
const CLEARED = `${COOKIE}=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0`;
const UNKNOWN_ID = `${'B'.repeat(42)}A`;
const GOOD = 'C'.repeat(42);
const EVENT = '/delivery/api/v1/events/evt-0001';

const scene = arrangeScene({ redis: true });

describe('a guess', () => {
  test.each([
    ['nothing', ''],
    ['a character too few', 'A'.repeat(42)],
    ['a character too many', 'A'.repeat(44)],
    ['a foreign character', `${GOOD}!`],
    ['standard base64', `${GOOD.slice(1)}+/`],
    ['bits beyond 32 bytes', 'B'.repeat(43)],
    ['padding', `${GOOD}=`],
    ['quotes', `"${UNKNOWN_ID}"`],
    ['an escape', `%41${'A'.repeat(42)}`],
    ['a JSON cookie', `j:{"a":1}${'A'.repeat(34)}`],
    ['very much', 'A'.repeat(4_000)],
  ])('answers 401 session_required to %s, clears it and looks nothing up', async (_what, value) => {
    const gateway = await scene.start();
    await scene.redis.client.config('RESETSTAT');
    for (const path of ['/bff/session', EVENT, '/bff/sessions']) {
      const reply = await gateway.browser().fetch(path, { headers: { Cookie: `${COOKIE}=${value}` } });
      expectProblem(reply, 401, 'session_required');
      expect(reply.setCookies).toEqual([CLEARED]);
    }
    expect(await lookUps(scene.redis)).toBe(0);
    expect(scene.simulator.requests()).toEqual([]);
  });

  test('looks a well-formed one up, which shows that look-ups are counted', async () => {
    const gateway = await scene.start();
    await scene.redis.client.config('RESETSTAT');
    const reply = await gateway.browser().fetch(EVENT, { headers: { Cookie: `${COOKIE}=${UNKNOWN_ID}` } });
    expectProblem(reply, 401, 'session_expired');
    expect(reply.setCookies).toEqual([CLEARED]);
    expect(await lookUps(scene.redis)).toBeGreaterThan(0);
    expect(scene.simulator.requests()).toEqual([]);
  });

  test('of an id that is listed, of its hash or of a user’s id opens nothing', async () => {
    const gateway = await scene.start();
    const browser = gateway.browser();
    await browser.login();
    const { sessions } = JSON.parse((await browser.fetch('/bff/sessions')).text);
    const stored = (await scene.redis.client.keys('*session*')).flatMap((key) => /\{([\w-]+)\}/.exec(key)?.[1] ?? []);
    expect(stored.length).toBeGreaterThan(0);
    const userId = JSON.parse((await browser.fetch('/bff/session')).text).user.user_id;
    for (const guess of [sessions[0].id, userId, ...stored]) {
      const reply = await gateway.browser().fetch(EVENT, { headers: { Cookie: `${COOKIE}=${guess}` } });
      expect([guess, reply.status]).toEqual([guess, 401]);
    }
  });
});

test('ids of logins are 256 bits without a pattern: none is repeated, none has a counter or clock, every bit is even', async () => {
  const gateway = await scene.start({
    LOGIN_LIMIT_ACCOUNT: 'off',
    LOGIN_LIMIT_ADDRESS: 'off',
    SESSION_MAX_PER_USER: '1000',
  });
  const ids: Buffer[] = [];
  for (let i = 0; i < 8; i += 1) {
    const replies = await Promise.all(Array.from({ length: 25 }, () => gateway.browser().login()));
    for (const reply of replies) ids.push(Buffer.from(cookieIn(reply, COOKIE) ?? '', 'base64url'));
  }
  expect(ids.map(({ length }) => length)).toEqual(ids.map(() => 32));
  // No part of 4 bytes is seen twice at its place: with 200 ids chance alone does that once in 25,000 runs.
  for (let at = 0; at < 32; at += 4)
    expect(new Set(ids.map((id) => id.toString('hex', at, at + 4))).size).toBe(ids.length);
  // Each bit is set in 100 of 200, give or take 7; beyond 6 of those it is no chance any more.
  for (let bit = 0; bit < 256; bit += 1) {
    const set = ids.filter((id) => ((id[bit >> 3] ?? 0) >> (bit & 7)) & 1).length;
    expect([bit, set > 57 && set < 143]).toEqual([bit, true]);
  }
}, 60_000);
