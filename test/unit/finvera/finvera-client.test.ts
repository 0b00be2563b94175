import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type AuthBreaker,
  createFinveraClient,
  type FinveraClient,
  readLogin,
  readRefresh,
  readValidate,
} from '../../../src/finvera/finvera-client.ts';
import { Secret } from '../../../src/kernel/secret.ts';
import { freePort } from '../../support/redis-server.ts';
import { USER } from '../../support/session-fixtures.ts';
import { createTestClock } from '../../support/test-clock.ts';

const clock = createTestClock(1_800_000_000_000);
type Answered = Extract<Parameters<typeof readLogin>[0], { kind: 'answer' }>;
const answer = (status: number, changes: Partial<Answered> = {}): Answered => ({
  kind: 'answer',
  status,
  retryAfterMs: undefined,
  setCookies: [],
  body: undefined,
  whole: true,
  receivedAt: clock.now(),
  ...changes,
});
const TOKENS = { token: 'access', refresh_token: 'refresh', expires_in: 60 };

describe('reading an answer', () => {
  const readers = { login: readLogin, refresh: readRefresh, validate: readValidate };

  test.each([
    ['login', 400, 'rejected'],
    ['login', 401, 'rejected'],
    ['login', 403, 'rejected'],
    ['login', 422, 'rejected'],
    ['validate', 400, 'rejected'],
    ['validate', 401, 'rejected'],
    ['validate', 403, 'rejected'],
    ['validate', 422, 'rejected'],
    ['refresh', 400, 'rejected'],
    ['refresh', 401, 'rejected'],
    ['refresh', 403, 'rejected'],
    ['refresh', 422, 'unavailable'],
    ['login', 404, 'invalid'],
    ['login', 302, 'invalid'],
    ['login', 500, 'unavailable'],
    ['login', 503, 'unavailable'],
    ['login', 429, 'rate_limited'],
    ['validate', 429, 'rate_limited'],
    ['validate', 418, 'invalid'],
    ['refresh', 404, 'unavailable'],
    ['refresh', 409, 'unavailable'],
    ['refresh', 429, 'unavailable'],
    ['refresh', 500, 'unavailable'],
  ] as const)('of a %s with the status %i: %s', (call, status, kind) => {
    expect(readers[call](answer(status, { body: { ...TOKENS, ...USER } })).kind).toBe(kind);
  });

  test('with tokens is a grant, for login and refresh', () => {
    for (const read of [readLogin, readRefresh]) {
      const outcome = read(answer(200, { body: TOKENS }));
      if (outcome.kind !== 'granted') throw new Error(outcome.kind);
      expect(outcome.grant.access.reveal()).toBe('access');
      expect(outcome.grant.accessExpiresAt).toBe(clock.now() + 60_000);
    }
    expect(readLogin(answer(201, { body: TOKENS })).kind).toBe('granted');
    expect(readLogin(answer(299, { body: TOKENS })).kind).toBe('granted');
  });

  test('that is a success without tokens is invalid', () => {
    expect(readLogin(answer(200, { body: {} }))).toEqual({ kind: 'invalid' });
    expect(readRefresh(answer(200))).toEqual({ kind: 'unavailable', why: 'invalid', replyLost: false });
  });

  test('that was cut off is no login, but tokens in its cookies count for a refresh', () => {
    const cut = answer(200, { setCookies: ['DT_AUTH_TOKEN=access'], whole: false });
    expect(readLogin(cut)).toEqual({ kind: 'invalid' });
    expect(readRefresh(cut).kind).toBe('granted');
    expect(readRefresh(answer(200, { whole: false }))).toEqual({
      kind: 'unavailable',
      why: 'invalid',
      replyLost: true,
    });
  });

  test('passes on how long to wait', () => {
    const limited = answer(429, { retryAfterMs: 7_000 });
    expect(readLogin(limited)).toEqual({ kind: 'rate_limited', retryAfterMs: 7_000 });
    expect(readRefresh(limited)).toMatchObject({ why: 'rate_limited', retryAfterMs: 7_000 });
    expect(readLogin(answer(503, { retryAfterMs: 8_000 }))).toEqual({ kind: 'unavailable', retryAfterMs: 8_000 });
    expect(readRefresh(answer(503))).not.toHaveProperty('retryAfterMs');
  });

  test('that never came tells whether finvera may have acted on the request', () => {
    const cause = new Error('socket hang up');
    expect(readRefresh({ kind: 'timeout', connected: true })).toMatchObject({ why: 'timeout', replyLost: true });
    expect(readRefresh({ kind: 'timeout', connected: false })).toMatchObject({ why: 'timeout', replyLost: false });
    expect(readRefresh({ kind: 'broken', connected: true, cause })).toMatchObject({
      why: 'unavailable',
      replyLost: true,
    });
    expect(readRefresh({ kind: 'broken', connected: false, cause })).toMatchObject({ replyLost: false });
    expect(readRefresh({ kind: 'refused', retryAfterMs: 5 })).toEqual({
      kind: 'unavailable',
      why: 'unavailable',
      replyLost: false,
      retryAfterMs: 5,
    });
    expect(readLogin({ kind: 'broken', connected: true, cause })).toEqual({ kind: 'unavailable', cause });
    expect(readLogin({ kind: 'timeout', connected: true })).toEqual({ kind: 'timeout' });
  });

  test('of validate gives the identity and the body as it came', () => {
    const body = { ...USER, more: [1] };
    expect(readValidate(answer(200, { body }))).toEqual({ kind: 'identified', identity: USER, body });
  });

  test.each([
    ['is missing', undefined],
    ['is no object', 'user'],
    ['lacks the user’s id', { ...USER, user_id: undefined }],
    ['has an empty id', { ...USER, user_id: '' }],
    ['has an id that is no text', { ...USER, user_id: 7 }],
    ['has an endless email', { ...USER, email: 'x'.repeat(321) }],
  ])('of validate is invalid where the body %s', (_, body) => {
    expect(readValidate(answer(200, { body }))).toEqual({ kind: 'invalid' });
  });
});

describe('a call', () => {
  let server: Server;
  let url: string;
  let handle: (req: IncomingMessage, res: ServerResponse) => void;
  const clients: FinveraClient[] = [];

  beforeEach(async () => {
    server = createServer((req, res) => handle(req, res));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  function createBreaker() {
    const told: string[] = [];
    const note = (what: string) => () => void told.push(what);
    const breaker: AuthBreaker = {
      enter: () => ({ kind: 'permit', succeed: note('succeed'), fail: note('fail'), abandon: note('abandon') }),
    };
    return { breaker, told };
  }

  function createClient(changes: Partial<Parameters<typeof createFinveraClient>[0]> = {}) {
    const client = createFinveraClient({
      url,
      connectTimeoutMs: 1_000,
      authTimeoutMs: 5_000,
      clock,
      breaker: createBreaker().breaker,
      ...changes,
    });
    clients.push(client);
    return client;
  }

  const json = (res: ServerResponse, status: number, body: unknown, headers = {}) => {
    res.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    res.end(JSON.stringify(body));
  };

  test('of login sends email and password as JSON, once, with who asks', async () => {
    const received: unknown[] = [];
    handle = (req, res) => {
      let body = '';
      req.on('data', (chunk) => {
        body += chunk;
      });
      req.on('end', () => {
        const { method, url: path, headers } = req;
        received.push({
          method,
          path,
          body: JSON.parse(body),
          type: headers['content-type'],
          ip: headers['x-forwarded-for'],
          id: headers['x-request-id'],
        });
        json(res, 200, TOKENS);
      });
    };
    const outcome = await createClient().login('a@x', 'p"ä', { requestId: 'r1', clientIp: '192.0.2.1' });
    expect(outcome.kind).toBe('granted');
    expect(received).toEqual([
      {
        method: 'POST',
        path: '/kms/api/v1/auth/token',
        body: { email: 'a@x', password: 'p"ä' },
        type: 'application/json',
        ip: '192.0.2.1',
        id: 'r1',
      },
    ]);
  });

  test('of refresh sends the refresh token as its cookie and nothing else', async () => {
    let headers: IncomingMessage['headers'] = {};
    let line = '';
    handle = (req, res) => {
      headers = req.headers;
      line = `${req.method} ${req.url}`;
      json(res, 200, {}, { 'Set-Cookie': ['DT_AUTH_TOKEN=access', 'DT_REFRESH_TOKEN=next'] });
    };
    const outcome = await createClient().refresh(new Secret('the-token'), {});
    expect(line).toBe('POST /kms/api/v1/auth/refresh');
    expect(headers.cookie).toBe('DT_REFRESH_TOKEN=the-token');
    expect(headers.authorization).toBeUndefined();
    expect(headers['x-forwarded-for']).toBeUndefined();
    expect(outcome).toMatchObject({ kind: 'granted' });
    if (outcome.kind === 'granted') expect(outcome.grant.refresh?.reveal()).toBe('next');
  });

  test('of validate sends the bearer', async () => {
    let line = '';
    handle = (req, res) => {
      line = `${req.method} ${req.url} ${req.headers.authorization} ${req.headers.cookie}`;
      json(res, 200, USER);
    };
    expect(await createClient().validate(new Secret('access'), {})).toMatchObject({
      kind: 'identified',
      identity: USER,
    });
    expect(line).toBe('GET /kms/api/v1/auth/validate Bearer access undefined');
  });

  test.each(['/base', '/base/'])('keeps the base path %s', async (path) => {
    let asked: string | undefined;
    handle = (req, res) => {
      asked = req.url;
      json(res, 200, USER);
    };
    await createClient({ url: url + path }).validate(new Secret('access'), {});
    expect(asked).toBe('/base/kms/api/v1/auth/validate');
  });

  test('follows no redirect', async () => {
    let count = 0;
    handle = (_req, res) => {
      count += 1;
      res.writeHead(302, { Location: '/elsewhere' });
      res.end();
    };
    expect(await createClient().login('a', 'b', {})).toEqual({ kind: 'invalid' });
    expect(count).toBe(1);
  });

  test('reads how long to wait', async () => {
    handle = (_req, res) => json(res, 429, {}, { 'Retry-After': '9' });
    expect(await createClient().login('a', 'b', {})).toEqual({ kind: 'rate_limited', retryAfterMs: 9_000 });
  });

  test('that is not answered in time is over, and its reply counts as lost', async () => {
    handle = () => undefined;
    const client = createClient({ authTimeoutMs: 100 });
    expect(await client.refresh(new Secret('t'), {})).toMatchObject({ why: 'timeout', replyLost: true });
    expect(await client.login('a', 'b', {})).toEqual({ kind: 'timeout' });
  });

  test('whose body does not end in time is over', async () => {
    handle = (_req, res) => {
      res.writeHead(200, { 'Content-Length': '10' });
      res.write('{');
    };
    expect(await createClient({ authTimeoutMs: 200 }).refresh(new Secret('t'), {})).toMatchObject({
      why: 'timeout',
      replyLost: true,
    });
  });

  test('that is reset is not sent again, and its reply counts as lost', async () => {
    let count = 0;
    handle = (req) => {
      count += 1;
      req.socket.destroy();
    };
    expect(await createClient().refresh(new Secret('t'), {})).toMatchObject({ why: 'unavailable', replyLost: true });
    expect(count).toBe(1);
  });

  test('whose body breaks off counts as cut, but for the tokens in its cookies', async () => {
    let cookies: string[] = [];
    handle = (_req, res) => {
      res.writeHead(200, { 'Content-Length': '100', 'Set-Cookie': cookies });
      res.write('{"expires_in": 5');
      res.socket?.end();
    };
    const client = createClient();
    expect(await client.refresh(new Secret('t'), {})).toMatchObject({ kind: 'unavailable', replyLost: true });
    cookies = ['DT_AUTH_TOKEN=access'];
    expect((await client.refresh(new Secret('t'), {})).kind).toBe('granted');
    expect((await client.login('a', 'b', {})).kind).toBe('invalid');
  });

  test('whose answer is too large is invalid', async () => {
    handle = (_req, res) => json(res, 200, { ...TOKENS, filler: 'x'.repeat(70_000) });
    expect((await createClient().login('a', 'b', {})).kind).toBe('invalid');
  });

  test('whose answer is no JSON is invalid', async () => {
    handle = (_req, res) => res.end('<html>');
    expect((await createClient().login('a', 'b', {})).kind).toBe('invalid');
  });

  test('whose answer is no HTTP is invalid', async () => {
    handle = (req) => req.socket.end('SSH-2.0-OpenSSH\r\n\r\n');
    expect((await createClient().login('a', 'b', {})).kind).toBe('invalid');
  });

  test('to where nobody listens is unavailable, and finvera did not get it', async () => {
    const client = createClient({ url: `http://127.0.0.1:${await freePort()}` });
    expect(await client.refresh(new Secret('t'), {})).toMatchObject({ why: 'unavailable', replyLost: false });
    expect((await client.login('a', 'b', {})).kind).toBe('unavailable');
  });

  test('tells the breaker how it went', async () => {
    const { breaker, told } = createBreaker();
    const client = createClient({ breaker, authTimeoutMs: 200 });
    for (const status of [200, 401, 429, 500, 503]) {
      handle = (_req, res) => json(res, status, {});
      await client.login('a', 'b', {});
    }
    handle = () => undefined;
    await client.login('a', 'b', {});
    handle = (req) => req.socket.destroy();
    await client.login('a', 'b', {});
    expect(told).toEqual(['succeed', 'succeed', 'succeed', 'fail', 'fail', 'fail', 'fail']);
  });

  test('is not sent while the breaker is open', async () => {
    let count = 0;
    handle = (_req, res) => {
      count += 1;
      json(res, 200, TOKENS);
    };
    const client = createClient({ breaker: { enter: () => ({ kind: 'open', retryAfterMs: 1_500 }) } });
    expect(await client.login('a', 'b', {})).toEqual({ kind: 'unavailable', retryAfterMs: 1_500 });
    expect(await client.refresh(new Secret('t'), {})).toMatchObject({ replyLost: false, retryAfterMs: 1_500 });
    expect(count).toBe(0);
  });
});
