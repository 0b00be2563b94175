// Logging out, and a user's sessions on all devices. Through supertest, straight at the server's own object.
import { describe, expect, test } from '@jest/globals';
import supertest from 'supertest';
import { arrangeScene } from '../support/scene.ts';
import { expectNothingTold } from '../support/secrets.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const COOKIE = '__Host-finvera_session';
const CLEARED = `${COOKIE}=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0`;
const EVENT = '/delivery/api/v1/events/evt-0001';
const KEYS = { SESSION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64url')}` };

const scene = arrangeScene({ redis: true, clock: true, env: KEYS });

/** supertest's agent drops Secure cookies over http: each call is handed its cookie. */
const as = (gateway: TestGateway, cookie?: string) => {
  const send = (method: 'get' | 'post' | 'delete' | 'put', path: string) => {
    const request = supertest(gateway.gateway.server)[method](path).set('Sec-Fetch-Site', 'same-origin');
    return cookie ? request.set('Cookie', cookie) : request;
  };
  return {
    get: (path: string) => send('get', path),
    post: (path: string) => send('post', path),
    put: (path: string) => send('put', path),
    delete: (path: string) => send('delete', path),
  };
};

interface Device {
  readonly email?: string;
  readonly agent?: string;
  readonly ip?: string;
}

async function login(gateway: TestGateway, { email = 'demo@finvera.test', agent = 'test', ip }: Device = {}) {
  const request = as(gateway).post('/bff/login').set('User-Agent', agent).send({ email, password: 'demo-password' });
  const reply = await (ip ? request.set('X-Forwarded-For', ip) : request).expect(200);
  return String(reply.get('Set-Cookie')?.[0]?.split(';')[0]);
}

const cookiesOf = (reply: supertest.Response): readonly string[] => reply.get('Set-Cookie') ?? [];

async function expectOver(gateway: TestGateway, cookie: string): Promise<void> {
  for (const path of ['/bff/session', EVENT]) {
    const reply = await as(gateway, cookie).get(path);
    expect([reply.status, reply.body.code, cookiesOf(reply)]).toEqual([401, 'session_expired', [CLEARED]]);
  }
}
const expectAlive = async (gateway: TestGateway, cookie: string) => {
  await as(gateway, cookie).get('/bff/session?slide=false').expect(200);
};
const storedKeys = async () => (await scene.redis.client.keys('*')).filter((key) => !key.includes('throttle'));

describe('POST /bff/logout', () => {
  test('ends the session everywhere, clears the cookie and asks Finvera for nothing', async () => {
    const gateway = await scene.start();
    const cookie = await login(gateway);
    const asked = scene.simulator.requests().length;
    const reply = await as(gateway, cookie).post('/bff/logout').expect(204);
    expect(reply.text).toBe('');
    expect(reply.get('Cache-Control')).toBe('no-store');
    expect(cookiesOf(reply)).toEqual([CLEARED]);
    expect(await storedKeys()).toEqual([]);
    await expectOver(gateway, cookie);
    expect(scene.simulator.requests()).toHaveLength(asked);
    expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_ended', reason: 'logout' }));
    expect(await gateway.metrics()).toContain('finvera_gateway_sessions_ended_total{reason="logout"} 1');
    await expectNothingTold(gateway, scene.simulator, [cookie.split('=')[1]]);
  });

  test.each([
    ['no cookie', undefined, []],
    ['a malformed one', `${COOKIE}=x`, [CLEARED]],
    ['an unknown one', `${COOKIE}=${'A'.repeat(43)}`, [CLEARED]],
  ])('is 204 with %s too', async (_what, cookie, expected) => {
    const gateway = await scene.start();
    const reply = await as(gateway, cookie).post('/bff/logout').expect(204);
    expect(cookiesOf(reply)).toEqual(expected);
  });

  test('can be repeated', async () => {
    const gateway = await scene.start();
    const cookie = await login(gateway);
    await as(gateway, cookie).post('/bff/logout').expect(204);
    const again = await as(gateway, cookie).post('/bff/logout').expect(204);
    expect(cookiesOf(again)).toEqual([CLEARED]);
  });

  test('leaves the user’s other sessions alone', async () => {
    const gateway = await scene.start();
    const [one, two] = [await login(gateway), await login(gateway)];
    await as(gateway, one).post('/bff/logout').expect(204);
    await expectOver(gateway, one);
    await expectAlive(gateway, two);
  });

  test('ends a session whose seal no key opens any more', async () => {
    const cookie = await login(await scene.start());
    const other = await scene.start({ SESSION_KEYS: `k2:${Buffer.alloc(32, 2).toString('base64url')}` });
    await as(other, cookie).post('/bff/logout').expect(204);
    expect(await storedKeys()).toEqual([]);
  });

  test('takes no other method', async () => {
    const gateway = await scene.start();
    const cookie = await login(gateway);
    const reply = await as(gateway, cookie).get('/bff/logout').expect(405);
    expect([reply.body.code, reply.get('Allow')]).toEqual(['method_not_allowed', 'POST']);
    await expectAlive(gateway, cookie);
  });
});

describe('GET /bff/sessions', () => {
  test('lists the user’s sessions, and nobody else’s, without anything that opens one', async () => {
    const gateway = await scene.start({ TRUST_PROXY: '127.0.0.1' });
    const begun = new Date(scene.clock.now()).toISOString();
    const laptop = await login(gateway, { agent: 'Laptop/1', ip: '192.0.2.1' });
    scene.clock.advance(3_600_000);
    const later = new Date(scene.clock.now()).toISOString();
    const phone = await login(gateway, { agent: 'Phone/2', ip: '2001:db8::7' });
    await login(gateway, { email: 'second@finvera.test' });
    scene.clock.advance(600_000);

    const reply = await as(gateway, phone).get('/bff/sessions').expect(200);
    expect(reply.get('Cache-Control')).toBe('no-store');
    const byAgent = (agent: string) =>
      reply.body.sessions.find(({ user_agent }: { user_agent: string }) => user_agent === agent);
    expect(reply.body).toEqual({ sessions: [expect.anything(), expect.anything()] });
    expect(byAgent('Laptop/1')).toEqual({
      id: expect.any(String),
      current: false,
      created_at: begun,
      last_seen_at: begun,
      ip: '192.0.2.1',
      user_agent: 'Laptop/1',
    });
    expect(byAgent('Phone/2')).toEqual({
      id: expect.any(String),
      current: true,
      created_at: later,
      last_seen_at: new Date(scene.clock.now()).toISOString(),
      ip: '2001:db8::7',
      user_agent: 'Phone/2',
    });
    for (const cookie of [laptop, phone]) expect(reply.text).not.toContain(cookie.split('=')[1]);
    for (const { id } of reply.body.sessions) {
      await as(gateway, `${COOKIE}=${id}`).get('/bff/session').expect(401);
      expect((await scene.redis.client.keys('*')).join()).not.toContain(id);
    }
  });

  test('lists no session that is over', async () => {
    const gateway = await scene.start();
    const [one, two] = [await login(gateway), await login(gateway)];
    await as(gateway, one).post('/bff/logout').expect(204);
    const reply = await as(gateway, two).get('/bff/sessions').expect(200);
    expect(reply.body.sessions).toHaveLength(1);
  });

  test('needs a session', async () => {
    const gateway = await scene.start();
    for (const method of ['get', 'delete'] as const) {
      const reply = await as(gateway)[method]('/bff/sessions').expect(401);
      expect([reply.body.code, cookiesOf(reply)]).toEqual(['session_required', []]);
    }
    await as(gateway).delete('/bff/sessions/abc').expect(401);
  });

  test('takes no other method', async () => {
    const gateway = await scene.start();
    const cookie = await login(gateway);
    const list = await as(gateway, cookie).put('/bff/sessions').expect(405);
    expect(String(list.get('Allow')).split(', ').sort()).toEqual(['DELETE', 'GET', 'HEAD']);
    const one = await as(gateway, cookie).get('/bff/sessions/abc').expect(405);
    expect(one.get('Allow')).toBe('DELETE');
  });
});

describe('DELETE /bff/sessions', () => {
  const idOf = async (gateway: TestGateway, cookie: string, current: boolean): Promise<string> => {
    const { body } = await as(gateway, cookie).get('/bff/sessions').expect(200);
    return body.sessions.find((session: { current: boolean }) => session.current === current).id;
  };

  test('/:id ends that one, on every instance', async () => {
    const [gateway, other] = [await scene.start(), await scene.start()];
    const [mine, lost] = [await login(gateway), await login(gateway)];
    await as(other, lost).get(EVENT).expect(200);
    const reply = await as(gateway, mine)
      .delete(`/bff/sessions/${await idOf(gateway, mine, false)}`)
      .expect(204);
    expect(cookiesOf(reply)).toEqual([]);
    await until('the other instance knowing it', async () => (await as(other, lost).get(EVENT)).status === 401, 1_000);
    await expectOver(gateway, lost);
    await expectAlive(gateway, mine);
    expect(gateway.logLines()).toContainEqual(
      expect.objectContaining({ event: 'session_ended', reason: 'ended_by_user' }),
    );
  });

  test('/:id of the current one clears the cookie', async () => {
    const gateway = await scene.start();
    const mine = await login(gateway);
    const reply = await as(gateway, mine)
      .delete(`/bff/sessions/${await idOf(gateway, mine, true)}`)
      .expect(204);
    expect(cookiesOf(reply)).toEqual([CLEARED]);
    await expectOver(gateway, mine);
  });

  test('/:id is 404 for what is not there, and for another user’s', async () => {
    const gateway = await scene.start();
    const mine = await login(gateway);
    const theirs = await login(gateway, { email: 'second@finvera.test' });
    for (const id of ['abc', 'current', '%00', '..%2f', await idOf(gateway, theirs, true)]) {
      const reply = await as(gateway, mine).delete(`/bff/sessions/${id}`);
      expect([id, [400, 404].includes(reply.status)]).toEqual([id, true]);
    }
    const reply = await as(gateway, mine)
      .delete(`/bff/sessions/${await idOf(gateway, theirs, true)}`)
      .expect(404);
    expect(reply.body.code).toBe('not_found');
    await expectAlive(gateway, theirs);
    await expectAlive(gateway, mine);
  });

  test('ends all of the user’s, and no one else’s', async () => {
    const gateway = await scene.start();
    const mine = [await login(gateway), await login(gateway), await login(gateway)];
    const theirs = await login(gateway, { email: 'second@finvera.test' });
    const reply = await as(gateway, mine[0]).delete('/bff/sessions').expect(204);
    expect(cookiesOf(reply)).toEqual([CLEARED]);
    for (const cookie of mine) await expectOver(gateway, cookie);
    await expectAlive(gateway, theirs);
  });

  test('?except=current keeps the one that asks', async () => {
    const gateway = await scene.start();
    const [mine, ...others] = [await login(gateway), await login(gateway), await login(gateway)];
    const reply = await as(gateway, mine).delete('/bff/sessions?except=current').expect(204);
    expect(cookiesOf(reply)).toEqual([]);
    for (const cookie of others) await expectOver(gateway, cookie);
    await expectAlive(gateway, mine as string);
  });

  test('with an exception nobody knows ends none', async () => {
    const gateway = await scene.start();
    const [mine, other] = [await login(gateway), await login(gateway)];
    const reply = await as(gateway, mine).delete('/bff/sessions?except=others').expect(400);
    expect(reply.body.code).toBe('invalid_request');
    await expectAlive(gateway, mine);
    await expectAlive(gateway, other);
  });
});

test('the oldest session ends when one more begins than SESSION_MAX_PER_USER', async () => {
  const gateway = await scene.start({ SESSION_MAX_PER_USER: '2' });
  const cookies: string[] = [];
  for (let i = 0; i < 3; i += 1) {
    scene.clock.advance(1_000);
    cookies.push(await login(gateway));
  }
  const other = await login(gateway, { email: 'second@finvera.test' });
  await expectOver(gateway, cookies[0] as string);
  await expectAlive(gateway, cookies[1] as string);
  await expectAlive(gateway, cookies[2] as string);
  await expectAlive(gateway, other);
  expect(gateway.logLines()).toContainEqual(expect.objectContaining({ event: 'session_ended', reason: 'limit' }));
});
