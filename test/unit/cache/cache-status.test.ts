// The Cache-Status member as a structured field (RFC 8941): any parser reads it, and it says what RFC 9211 has names for.
import { describe, expect, test } from '@jest/globals';
import { type CacheStatus, type ForwardReason, formatCacheStatus } from '../../../src/cache/cache-status.ts';

const KEY = '[a-z*][a-z0-9_.*-]*';
const ITEM = `(?:-?\\d{1,15}|[A-Za-z*][!#$%&'*+.^_\`|~0-9A-Za-z:/-]*)`;
const MEMBER = new RegExp(`^[A-Za-z*][!#$%&'*+.^_\`|~0-9A-Za-z:/-]*(?:; *${KEY}(?:=${ITEM})?)*$`);
const PARAMETERS: readonly string[] = ['hit', 'fwd', 'fwd-status', 'ttl', 'stored', 'collapsed', 'detail'];
const REASONS: readonly ForwardReason[] = ['uri-miss', 'vary-miss', 'stale', 'request', 'method', 'bypass'];

const statuses: readonly CacheStatus[] = [
  { kind: 'hit', ttlMs: 5_999 },
  { kind: 'hit', ttlMs: -1, detail: 'stale-while-revalidate' },
  ...REASONS.map((reason) => ({ kind: 'forward', reason }) as const),
  { kind: 'forward', reason: 'uri-miss', stored: true, collapsed: true },
  { kind: 'forward', reason: 'stale', forwardedStatus: 503, detail: 'stale-if-error' },
  { kind: 'none' },
  { kind: 'none', detail: 'rate-limited' },
];

describe('the member', () => {
  test.each(statuses.map((status) => [formatCacheStatus(status)]))(
    '%s is a token with parameters of RFC 9211',
    (text) => {
      expect(text).toMatch(MEMBER);
      const [name, ...parameters] = text.split('; ').map((part) => part.split('=')[0]);
      expect(name).toBe('finvera-gateway');
      expect(parameters.filter((each) => !PARAMETERS.includes(each ?? ''))).toEqual([]);
      // §2: hit and fwd exclude each other; what follows from fwd needs it.
      expect(parameters.includes('hit') && parameters.includes('fwd')).toBe(false);
      if (['fwd-status', 'stored', 'collapsed'].some((each) => parameters.includes(each)))
        expect(parameters).toContain('fwd');
    },
  );

  test('counts the seconds down, below nought where it is stale', () => {
    expect(formatCacheStatus({ kind: 'hit', ttlMs: 5_999 })).toBe('finvera-gateway; hit; ttl=5');
    expect(formatCacheStatus({ kind: 'hit', ttlMs: -1 })).toBe('finvera-gateway; hit; ttl=-1');
  });
});
