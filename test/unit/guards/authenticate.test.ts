import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Request, Response } from 'express';
import { createAuthenticate } from '../../../src/guards/authenticate.ts';
import { contextOf, type RequestContext, setContext } from '../../../src/guards/request-context.ts';
import { type CookieReading, createSessionCookie } from '../../../src/session/session-cookie.ts';
import { newSessionId } from '../../../src/session/session-id.ts';
import { createTestSessions, MINUTE, type TestSessions, tokensNamed, USER } from '../../support/session-fixtures.ts';
import { createTestClock, type TestClock } from '../../support/test-clock.ts';

const cookie = createSessionCookie({ secure: true, sameSite: 'Strict' });
const CLEARED = ['Set-Cookie', cookie.clear()];

let clock: TestClock;
let parts: TestSessions;
beforeEach(() => {
  clock = createTestClock();
  parts = createTestSessions(clock);
});

const begin = () =>
  parts.sessions.begin({ user: USER, tokens: tokensNamed('0', clock.now()), ip: '192.0.2.1', userAgent: 'agent/1' });

/** @param parsed what cookie-parser made of it; by default the same. */
async function authenticate(
  cookieLine: string | undefined,
  options: { parsed?: object; headers?: object; slide?: boolean; reading?: CookieReading } = {},
) {
  const pairs = (cookieLine ?? '').split('; ').map((pair) => pair.split('='));
  const req = {
    rawHeaders: cookieLine === undefined ? [] : ['Cookie', cookieLine],
    cookies: options.parsed ?? Object.fromEntries(pairs),
    headers: options.headers ?? {},
  } as unknown as Request;
  const res = { locals: {} } as unknown as Response;
  setContext(res, { answerHeaders: [] as string[], cookie: options.reading } as unknown as RequestContext);
  const run = createAuthenticate(parts.sessions, cookie);
  const outcome = await (async () => run(req, res, options.slide === undefined ? {} : { slide: options.slide }))().then(
    (session) => ({ session, kind: 'found' }),
    (error) => ({ session: undefined, kind: error.kind as string }),
  );
  const { answerHeaders, session, userId } = contextOf(res);
  return { ...outcome, answerHeaders, noted: { session, userId } };
}

describe('createAuthenticate', () => {
  test('finds the session of a cookie and notes whose it is, by its hash', async () => {
    const { id, hash } = await begin();
    const outcome = await authenticate(`${cookie.name}=${id}`);
    expect(outcome.session).toMatchObject({ id, hash });
    expect(outcome.noted).toEqual({ session: hash, userId: 'user-1' });
    expect(outcome.answerHeaders).toEqual([]);
  });

  test('does not read the cookie lines again where somebody has', async () => {
    const { id } = await begin();
    const line = `${cookie.name}=${id}`;
    expect(await authenticate(line, { reading: { kind: 'absent' } })).toMatchObject({ kind: 'session_required' });
    expect(await authenticate(line, { reading: { kind: 'present', id } })).toMatchObject({ kind: 'found' });
  });

  test('wants a session where there is no cookie, clears nothing and looks nowhere', async () => {
    const outcome = await authenticate(undefined);
    expect(outcome).toMatchObject({ kind: 'session_required', answerHeaders: [] });
    expect(parts.store.calls).toEqual([]);
  });

  test.each([
    ['malformed', `${cookie.name}=abc`],
    ['there twice with different values', `${cookie.name}=${newSessionId()}; ${cookie.name}=${newSessionId()}`],
  ])('clears a cookie that is %s, without a look into the store', async (_, line) => {
    const outcome = await authenticate(line);
    expect(outcome).toMatchObject({ kind: 'session_required', answerHeaders: CLEARED });
    expect(parts.store.calls).toEqual([]);
  });

  test('believes no cookie on which two parsers differ', async () => {
    const { id } = await begin();
    parts.store.calls.length = 0;
    for (const parsed of [{}, { [cookie.name]: newSessionId() }]) {
      const outcome = await authenticate(`${cookie.name}=${id}`, { parsed });
      expect(outcome).toMatchObject({ kind: 'session_required', answerHeaders: CLEARED });
    }
    expect(parts.store.calls).toEqual([]);
  });

  test('says expired and clears the cookie where the store does not know it', async () => {
    const outcome = await authenticate(`${cookie.name}=${newSessionId()}`);
    expect(outcome).toMatchObject({ kind: 'session_expired', answerHeaders: CLEARED });
    expect(outcome.noted).toEqual({ session: undefined, userId: undefined });
  });

  test('keeps the cookie where the store does not answer', async () => {
    const { id } = await begin();
    parts.store.fail('read');
    const outcome = await authenticate(`${cookie.name}=${id}`);
    expect(outcome).toMatchObject({ kind: 'store_unavailable', answerHeaders: [] });
  });

  test('counts as activity, unless the request says that it is none', async () => {
    const { id } = await begin();
    const lastSeen = async (options: Parameters<typeof authenticate>[1]) => {
      clock.advance(MINUTE);
      const { session } = await authenticate(`${cookie.name}=${id}`, options);
      return clock.now() - (session?.lastSeenAt ?? 0);
    };
    expect(await lastSeen({ slide: false })).toBe(MINUTE);
    expect(await lastSeen({ headers: { 'x-session-activity': 'none' } })).toBe(2 * MINUTE);
    expect(await lastSeen({ headers: { 'x-session-activity': 'some' } })).toBe(0);
    expect(await lastSeen({ slide: true })).toBe(0);
    expect(await lastSeen({})).toBe(0);
  });
});
