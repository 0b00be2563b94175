import { afterEach, describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { userIdOf } from '../../simulator/users.ts';
import {
  call,
  closeAll,
  cookieIn,
  json,
  login,
  sendLogin,
  sendRefresh,
  sendValidate,
  start,
  tokensIn,
} from './client.ts';

afterEach(closeAll);

describe('login', () => {
  it('answers as documented, with both tokens in secure HTTP-only cookies', async () => {
    const simulator = await start();
    const reply = await sendLogin(simulator);
    expect(reply.status).toBe(200);
    expect(json(reply)).toEqual({ message: 'Authentication successful', expires_in: 3600 });
    expect(reply.setCookies).toEqual([
      expect.stringMatching(/^DT_AUTH_TOKEN=[\w.-]+; Path=\/; HttpOnly; Secure; Max-Age=3600$/),
      expect.stringMatching(/^DT_REFRESH_TOKEN=[\w.-]+; Path=\/; HttpOnly; Secure; Max-Age=2592000$/),
    ]);
  });

  it('hands out JWTs whose claims tell the life of each token', async () => {
    const now = Date.UTC(2026, 5, 1);
    const simulator = await start({ now: () => now, accessTokenLifeS: 90, refreshTokenLifeS: 900 });
    const { access, refresh } = await login(simulator);
    const issuedAt = now / 1000;
    expect(decodeProtectedHeader(access)).toEqual({ alg: 'HS256', typ: 'JWT' });
    expect(decodeJwt(access)).toMatchObject({ iat: issuedAt, exp: issuedAt + 90, sub: userIdOf('demo@finvera.test') });
    expect(decodeJwt(refresh)).toMatchObject({ iat: issuedAt, exp: issuedAt + 900 });
    expect(decodeJwt(access).jti).not.toBe(decodeJwt(refresh).jti);
  });

  it.each([
    ['json', 0, true],
    ['both', 2, true],
    ['cookies', 2, false],
  ] as const)('delivers tokens in %s', async (tokenIn, cookies, inBody) => {
    const simulator = await start({ tokenIn });
    const reply = await sendLogin(simulator);
    expect(reply.setCookies).toHaveLength(cookies);
    expect('token' in json(reply)).toBe(inBody);
    expect('refresh_token' in json(reply)).toBe(inBody);
    const { access, refresh } = tokensIn(reply);
    expect((await sendValidate(simulator, access)).status).toBe(200);
    expect((await sendRefresh(simulator, refresh)).status).toBe(200);
  });

  it('leaves out expires_in and Max-Age where told to', async () => {
    const simulator = await start({ expiresIn: false, cookieMaxAge: false });
    const reply = await sendLogin(simulator);
    expect(json(reply)).toEqual({ message: 'Authentication successful' });
    expect(reply.setCookies.join()).not.toContain('Max-Age');
  });

  it('hands out opaque tokens that work like any other', async () => {
    const simulator = await start({ tokenFormat: 'opaque' });
    const { access } = await login(simulator);
    expect(access).not.toContain('.');
    expect((await sendValidate(simulator, access)).status).toBe(200);
  });

  it.each([
    { access: 900, refresh: 700 },
    { access: 901, refresh: 702 },
    { access: 450, refresh: 1603 },
  ])('pads tokens to exactly $access and $refresh characters', async (tokenSizes) => {
    for (const tokenFormat of ['jwt', 'opaque'] as const) {
      const simulator = await start({ tokenSizes, tokenFormat });
      const { access, refresh } = await login(simulator);
      expect([access.length, refresh.length]).toEqual([tokenSizes.access, tokenSizes.refresh]);
      if (tokenFormat === 'jwt') expect(decodeJwt(access).sub).toBe(userIdOf('demo@finvera.test'));
    }
  });

  it('shifts the claims, not the life, with a skewed clock', async () => {
    const now = Date.UTC(2026, 5, 1);
    const simulator = await start({ now: () => now, clockSkewS: -7200 });
    const { access } = await login(simulator);
    expect(decodeJwt(access).exp).toBe(now / 1000 - 3600);
    expect((await sendValidate(simulator, access)).status).toBe(200);
  });

  it('answers wrong credentials alike whatever was wrong', async () => {
    const simulator = await start();
    const wrongPassword = await sendLogin(simulator, 'demo@finvera.test', 'wrong');
    const unknownUser = await sendLogin(simulator, 'nobody@finvera.test');
    expect(wrongPassword.status).toBe(401);
    expect(json(wrongPassword)).toEqual({
      error: { code: 401, message: 'Authentication failed', details: 'Invalid email or password' },
    });
    expect(unknownUser.text).toBe(wrongPassword.text);
    expect(wrongPassword.setCookies).toEqual([]);
  });

  it('rejects with the status it was told', async () => {
    const simulator = await start({ loginRejectedStatus: 422, refreshRejectedStatus: 400 });
    expect((await sendLogin(simulator, 'demo@finvera.test', 'wrong')).status).toBe(422);
    expect((await sendRefresh(simulator, 'unknown')).status).toBe(400);
  });

  it.each(['', 'not json', '[]', 'null', '{"email":"demo@finvera.test"}', '{"email":1,"password":2}'])(
    'answers 400 to the body %j',
    async (body) => {
      const simulator = await start();
      const reply = await call(`${simulator.url}/kms/api/v1/auth/token`, { method: 'POST', body });
      expect(reply.status).toBe(400);
      expect(json(reply).error.code).toBe(400);
    },
  );

  it('knows the users it was given instead of the default ones', async () => {
    const simulator = await start({ users: [{ email: 'a@b.test', password: 'x', userId: 'u-1', username: 'A' }] });
    const { access } = tokensIn(await sendLogin(simulator, 'A@b.test', 'x'));
    expect(json(await sendValidate(simulator, access))).toEqual({
      user_id: 'u-1',
      email: 'a@b.test',
      username: 'A',
      licensing_tier_id: 'standard',
    });
    expect((await sendLogin(simulator)).status).toBe(401);
  });

  it('lets anyone in with anyUser, under the same user id each time', async () => {
    const simulator = await start({ anyUser: true });
    const ids = [];
    for (const email of ['load-1@x.test', 'load-1@x.test', 'load-2@x.test']) {
      ids.push(json(await sendValidate(simulator, (await login(simulator, email)).access)).user_id);
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
    expect((await sendLogin(simulator, 'load-1@x.test', 'wrong')).status).toBe(401);
  });
});

describe('validate', () => {
  it('answers whom the access token stands for', async () => {
    const simulator = await start();
    const { access } = await login(simulator);
    const reply = await sendValidate(simulator, access);
    expect(json(reply)).toEqual({
      user_id: userIdOf('demo@finvera.test'),
      email: 'demo@finvera.test',
      username: 'demo',
      licensing_tier_id: 'enterprise',
    });
  });

  it('refuses a missing, unknown, foreign, expired or refresh token', async () => {
    const simulator = await start({ accessTokenLifeS: 60 });
    const other = await start();
    const { access, refresh } = await login(simulator);
    expect((await call(`${simulator.url}/kms/api/v1/auth/validate`)).status).toBe(401);
    for (const token of ['unknown', refresh, (await login(other)).access, `${access}x`]) {
      expect((await sendValidate(simulator, token)).status).toBe(401);
    }
    simulator.advanceClock(59_000);
    expect((await sendValidate(simulator, access)).status).toBe(200);
    simulator.advanceClock(1_001);
    const reply = await sendValidate(simulator, access);
    expect(reply.status).toBe(401);
    expect(json(reply)).toEqual({ error: { code: 401, message: 'Unauthorized', details: 'Access token expired' } });
  });
});

describe('refresh', () => {
  it('answers as documented, with new tokens in cookies', async () => {
    const simulator = await start();
    const before = await login(simulator);
    const reply = await sendRefresh(simulator, before.refresh);
    expect(json(reply)).toEqual({ message: 'Token refreshed successfully', expires_in: 3600 });
    const after = tokensIn(reply);
    expect(after.access).not.toBe(before.access);
    expect(after.refresh).not.toBe(before.refresh);
    expect((await sendValidate(simulator, after.access)).status).toBe(200);
    expect((await sendRefresh(simulator, after.refresh)).status).toBe(200);
  });

  it('finds its cookie among others', async () => {
    const simulator = await start();
    const { refresh } = await login(simulator);
    const headers = { Cookie: `a=1; DT_REFRESH_TOKEN=${refresh}; b=2` };
    const reply = await call(`${simulator.url}/kms/api/v1/auth/refresh`, { method: 'POST', headers });
    expect(reply.status).toBe(200);
  });

  it('refuses a missing, unknown, expired or access token', async () => {
    const simulator = await start({ refreshTokenLifeS: 100 });
    const { access, refresh } = await login(simulator);
    expect((await call(`${simulator.url}/kms/api/v1/auth/refresh`, { method: 'POST' })).status).toBe(401);
    expect((await sendRefresh(simulator, 'unknown')).status).toBe(401);
    expect((await sendRefresh(simulator, access)).status).toBe(401);
    simulator.advanceClock(100_001);
    expect((await sendRefresh(simulator, refresh)).status).toBe(401);
  });

  it('leaves the refresh token alone without rotation', async () => {
    const simulator = await start({ rotation: false });
    const { refresh } = await login(simulator);
    for (let count = 0; count < 3; count++) {
      const reply = await sendRefresh(simulator, refresh);
      expect(reply.status).toBe(200);
      expect(cookieIn(reply, 'DT_AUTH_TOKEN')).toBeDefined();
      expect(cookieIn(reply, 'DT_REFRESH_TOKEN')).toBeUndefined();
    }
    simulator.configure({ repeatRefreshToken: true });
    expect(cookieIn(await sendRefresh(simulator, refresh), 'DT_REFRESH_TOKEN')).toBe(refresh);
  });

  it('revokes the whole family, access tokens too, when a spent refresh token is shown again', async () => {
    const simulator = await start();
    const bystander = await login(simulator);
    const first = await login(simulator);
    const second = tokensIn(await sendRefresh(simulator, first.refresh));
    expect((await sendRefresh(simulator, first.refresh)).status).toBe(401);
    for (const { access } of [first, second]) expect((await sendValidate(simulator, access)).status).toBe(401);
    expect((await sendRefresh(simulator, second.refresh)).status).toBe(401);
    expect((await sendValidate(simulator, bystander.access)).status).toBe(200);
  });

  it('only refuses the spent refresh token without reuse detection', async () => {
    const simulator = await start({ reuseDetection: false });
    const first = await login(simulator);
    const second = tokensIn(await sendRefresh(simulator, first.refresh));
    expect((await sendRefresh(simulator, first.refresh)).status).toBe(401);
    expect((await sendValidate(simulator, second.access)).status).toBe(200);
    expect((await sendRefresh(simulator, second.refresh)).status).toBe(200);
  });

  it('accepts a spent refresh token inside the grace, and detects it after', async () => {
    const simulator = await start({ reuseGraceMs: 10_000 });
    const first = await login(simulator);
    await sendRefresh(simulator, first.refresh);
    simulator.advanceClock(9_000);
    expect((await sendRefresh(simulator, first.refresh)).status).toBe(200);
    simulator.advanceClock(2_000);
    expect((await sendRefresh(simulator, first.refresh)).status).toBe(401);
  });

  it('lets earlier access tokens live, unless told to revoke them', async () => {
    const simulator = await start();
    const first = await login(simulator);
    const second = tokensIn(await sendRefresh(simulator, first.refresh));
    expect((await sendValidate(simulator, first.access)).status).toBe(200);
    simulator.configure({ revokeOldAccess: true });
    const third = tokensIn(await sendRefresh(simulator, second.refresh));
    expect((await sendValidate(simulator, first.access)).status).toBe(401);
    expect((await sendValidate(simulator, second.access)).status).toBe(401);
    expect((await sendValidate(simulator, third.access)).status).toBe(200);
  });

  it.each([['json', 0] as const, ['both', 2] as const])('delivers new tokens in %s', async (tokenIn, cookies) => {
    const simulator = await start({ tokenIn });
    const reply = await sendRefresh(simulator, (await login(simulator)).refresh);
    expect(reply.setCookies).toHaveLength(cookies);
    expect(json(reply)).toMatchObject({ token: expect.any(String), refresh_token: expect.any(String) });
  });
});
