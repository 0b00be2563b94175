// GET /bff/session and what a cookie is worth: activity, timeouts, and values that are no session's.
import { describe, expect, test } from '@jest/globals';
import { json, type Reply } from '../support/http-client.ts';
import { expectProblem } from '../support/problem.ts';
import { exchangeRaw, rawRequest, rawStatus } from '../support/raw-http.ts';
import { arrangeScene, loggedIn } from '../support/scene.ts';
import { expectNothingTold } from '../support/secrets.ts';
import { lookUps } from '../support/store-look-ups.ts';

const COOKIE = '__Host-finvera_session';
const CLEARED = `${COOKIE}=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0`;
const UNKNOWN_ID = `${'B'.repeat(42)}A`;
const EVENT = '/delivery/api/v1/events/evt-0001';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const key = (kid: string, byte: number) => `${kid}:${Buffer.alloc(32, byte).toString('base64url')}`;

const scene = arrangeScene({ redis: true, clock: true });

function expectEnded(reply: Reply): void {
  expectProblem(reply, 401, 'session_expired');
  expect(reply.setCookies).toEqual([CLEARED]);
}

const idle = (reply: Reply): number => json(reply).session.idle_expires_in;

describe('the session of a browser', () => {
  test('is told with user and times, and asks Finvera for nothing', async () => {
    const gateway = await scene.start();
    const browser = gateway.browser();
    const login = await browser.login();
    const createdAt = new Date(scene.clock.now()).toISOString();
    scene.clock.advance(10 * MINUTE);
    const asked = scene.simulator.requests().length;

    const reply = await browser.fetch('/bff/session');
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(reply.setCookies).toEqual([]);
    expect(json(reply)).toEqual({
      user: json(login).user,
      session: {
        created_at: createdAt,
        expires_in: 30 * 24 * 3_600 - 600,
        idle_expires_in: 12 * 3_600,
        access_token_expires_in: 3_000,
      },
    });
    expect(scene.simulator.requests()).toHaveLength(asked);
    await expectNothingTold(gateway, scene.simulator, [browser.cookie?.split('=')[1]]);
  });

  test('is none without a cookie: 401, and none is cleared', async () => {
    const gateway = await scene.start();
    for (const path of ['/bff/session', '/bff/sessions', EVENT]) {
      const reply = await gateway.browser().fetch(path);
      expectProblem(reply, 401, 'session_required');
      expect(reply.setCookies).toEqual([]);
    }
    expect(scene.simulator.requests()).toEqual([]);
  });

  test('answers HEAD, and 405 with Allow to other methods', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    const head = await browser.fetch('/bff/session', { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
    const post = await browser.fetch('/bff/session', { method: 'POST' });
    expectProblem(post, 405, 'method_not_allowed');
    expect(post.headers.allow).toBe('GET, HEAD');
  });

  test('is the same on every instance that shares store and keys', async () => {
    const env = { SESSION_KEYS: key('k1', 1) };
    const [one, two] = [await scene.start(env), await scene.start(env)];
    const browser = await loggedIn(one);
    const reply = await two.browser().fetch('/bff/session', { headers: { Cookie: browser.cookie ?? '' } });
    expect(reply.status).toBe(200);
    expect(json(reply).user.email).toBe('demo@finvera.test');
  });

  test('opens under an older key that is still listed', async () => {
    const browser = await loggedIn(await scene.start({ SESSION_KEYS: key('old', 1) }));
    const rotated = await scene.start({ SESSION_KEYS: `${key('new', 2)},${key('old', 1)}` });
    const headers = { Cookie: browser.cookie ?? '' };
    expect((await rotated.browser().fetch('/bff/session', { headers })).status).toBe(200);
    expect((await rotated.browser().fetch(EVENT, { headers })).status).toBe(200);
  });

  test('is over where the key that sealed it is gone', async () => {
    const browser = await loggedIn(await scene.start({ SESSION_KEYS: key('old', 1) }));
    const without = await scene.start({ SESSION_KEYS: key('new', 2) });
    const headers = { Cookie: browser.cookie ?? '' };
    expectEnded(await without.browser().fetch('/bff/session', { headers }));
    expectEnded(await without.browser().fetch(EVENT, { headers }));
  });

  test('is over after Redis was emptied', async () => {
    const gateway = await scene.start({ SESSION_KEYS: key('k1', 1) });
    const browser = await loggedIn(gateway);
    await scene.redis.client.flushall();
    const other = await scene.start({ SESSION_KEYS: key('k1', 1) });
    expectEnded(await other.browser().fetch('/bff/session', { headers: { Cookie: browser.cookie ?? '' } }));
  });
});

describe('activity', () => {
  test.each([
    ['/bff/session?slide=false', {}],
    ['/bff/session', { 'X-Session-Activity': 'none' }],
    ['/bff/sessions', { 'X-Session-Activity': 'none' }],
    [EVENT, { 'X-Session-Activity': 'none' }],
  ])('is not what %s with %j is', async (path, headers: Record<string, string>) => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    for (let i = 0; i < 3; i += 1) {
      scene.clock.advance(3 * HOUR);
      expect((await browser.fetch(path, { headers })).status).toBe(200);
    }
    expect(idle(await browser.fetch('/bff/session?slide=false'))).toBe(3 * 3_600);
    scene.clock.advance(3 * HOUR + 2 * MINUTE);
    expectEnded(await browser.fetch(path, { headers }));
  });

  test('is told in the times at once', async () => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    scene.clock.advance(100_000);
    expect(idle(await browser.fetch('/bff/session?slide=false'))).toBe(12 * 3_600 - 100);
    expect(idle(await browser.fetch('/bff/session'))).toBe(12 * 3_600);
    expect(idle(await browser.fetch('/bff/session?slide=false'))).toBe(12 * 3_600);
  });
});

describe('a cookie that is no session’s', () => {
  test.each([
    ['in one line, the right one first', (good: string) => [`Cookie: ${good}; ${COOKIE}=${UNKNOWN_ID}`]],
    ['in one line, the right one last', (good: string) => [`Cookie: ${COOKIE}=${UNKNOWN_ID}; ${good}`]],
    ['in two lines, the right one first', (good: string) => [`Cookie: ${good}`, `Cookie: ${COOKIE}=${UNKNOWN_ID}`]],
    ['in two lines, the right one last', (good: string) => [`Cookie: ${COOKIE}=${UNKNOWN_ID}`, `cookie: ${good}`]],
    ['a malformed one first', (good: string) => [`Cookie: ${COOKIE}=x; ${good}`]],
    ['an empty one last', (good: string) => [`Cookie: ${good}; ${COOKIE}=`]],
    ['around others', (good: string) => [`Cookie: a=b; ${good}; c=d; ${COOKIE}=${UNKNOWN_ID}; e=f`]],
  ])('believes none of two: %s', async (_how, lines) => {
    const gateway = await scene.start();
    const browser = await loggedIn(gateway);
    await scene.redis.client.config('RESETSTAT');
    const answer = await exchangeRaw(gateway.port, rawRequest('GET', '/bff/session', lines(browser.cookie ?? '')));
    expect(rawStatus(answer)).toBe(401);
    expect(answer).toContain('"code":"session_required"');
    expect(answer.match(/^Set-Cookie: .*$/gim)).toEqual([`Set-Cookie: ${CLEARED}`]);
    expect(await lookUps(scene.redis)).toBe(0);
    expect((await browser.fetch('/bff/session')).status).toBe(200);
  });

  test('takes the same one twice, and one among others', async () => {
    const gateway = await scene.start();
    const { cookie = '' } = await loggedIn(gateway);
    for (const line of [`${cookie}; ${cookie}`, `a=b; ${cookie}; theme=dark`, `__host-finvera_session=x; ${cookie}`]) {
      const answer = await exchangeRaw(gateway.port, rawRequest('GET', '/bff/session', [`Cookie: ${line}`]));
      expect(rawStatus(answer)).toBe(200);
    }
  });

  test('is not looked for under the other name', async () => {
    const gateway = await scene.start();
    const { cookie = '' } = await loggedIn(gateway);
    const value = cookie.split('=')[1];
    const reply = await gateway.browser().fetch('/bff/session', { headers: { Cookie: `finvera_session=${value}` } });
    expectProblem(reply, 401, 'session_required');
    expect(reply.setCookies).toEqual([]);
  });
});

test('answers 404 not_found below /bff/ and where no route leads', async () => {
  const gateway = await scene.start();
  for (const path of [
    '/bff',
    '/bff/',
    '/bff/nothing',
    '/bff/session/',
    '/bff/Session',
    '/bff/login/x',
    '/nothing',
    '/',
  ]) {
    const reply = await gateway.browser().fetch(path);
    expectProblem(reply, 404, 'not_found');
  }
  expect(scene.simulator.requests()).toEqual([]);
});

test('serves the browser client, which may be kept, and the description of the endpoints', async () => {
  const gateway = await scene.start();
  const module = await gateway.browser().fetch('/bff/client.js');
  expect(module.status).toBe(200);
  expect(module.headers['content-type']).toMatch(/^text\/javascript/);
  expect(module.headers['cache-control']).not.toContain('no-store');
  expect(module.text).toMatch(/export\s*\{[^}]*createGatewayClient/);
  const again = await gateway
    .browser()
    .fetch('/bff/client.js', { headers: { 'If-None-Match': String(module.headers.etag) } });
  expect(again.status).toBe(304);

  const described = await gateway.browser().fetch('/bff/openapi.json');
  expect(described.headers['cache-control']).toBe('no-store');
  expect(Object.keys(json(described).paths)).toEqual(
    expect.arrayContaining(['/bff/login', '/bff/session', '/bff/refresh', '/bff/logout', '/bff/sessions']),
  );
});
