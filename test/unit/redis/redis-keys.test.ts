import { describe, expect, test } from '@jest/globals';
import {
  hashOfSessionKey,
  refreshLockKey,
  SESSION_KEY_PREFIX,
  sessionKey,
  THROTTLE_PREFIX,
  userSessionsKey,
} from '../../../src/redis/redis-keys.ts';
import { hashSessionId, newSessionId } from '../../../src/session/session-id.ts';

const HASH = hashSessionId(newSessionId());
/** What Redis Cluster hashes: the text between the first braces. */
const slotPart = (key: string) => /\{([^}]+)\}/.exec(key)?.[1];

describe('the keys', () => {
  test('of one session lie in one slot', () => {
    expect(slotPart(sessionKey(HASH))).toBe(HASH);
    expect(slotPart(refreshLockKey(HASH))).toBe(HASH);
    expect(sessionKey(HASH)).not.toBe(refreshLockKey(HASH));
  });

  test('of a user hold no part of the user’s id, and differ', () => {
    expect(userSessionsKey('user-1')).not.toContain('user-1');
    expect(userSessionsKey('user-1')).toBe(userSessionsKey('user-1'));
    expect(userSessionsKey('user-1')).not.toBe(userSessionsKey('user-2'));
    expect(slotPart(userSessionsKey('a}b{c'))).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  test('all begin with the gateway’s name', () => {
    for (const key of [sessionKey(HASH), refreshLockKey(HASH), userSessionsKey('u'), THROTTLE_PREFIX]) {
      expect(key).toMatch(/^finvera:/);
    }
  });

  test('of sessions are told from all others', () => {
    expect(sessionKey(HASH).startsWith(SESSION_KEY_PREFIX)).toBe(true);
    expect(hashOfSessionKey(sessionKey(HASH))).toBe(HASH);
    expect(hashOfSessionKey(refreshLockKey(HASH))).toBeUndefined();
    expect(hashOfSessionKey(userSessionsKey('u'))).toBeUndefined();
    expect(hashOfSessionKey(`x${sessionKey(HASH)}`)).toBeUndefined();
  });
});
