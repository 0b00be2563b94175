// Ages and cache members that lie: what Finvera or a client says of them makes no answer younger than it is, and no field invalid.
import { afterEach, describe, expect, test } from '@jest/globals';
import { closeCachedScenes, PATH, startCachedScene, TTL_MS } from '../support/cached-scene.ts';
import type { Reply } from '../support/http-client.ts';

afterEach(closeCachedScenes);

/** A list of RFC 8941 whose members are tokens with parameters that have names of RFC 9211. */
const MEMBER =
  /^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*(?:; *(?:hit|stored|collapsed|(?:ttl|fwd-status)=-?\d{1,15}|(?:fwd|detail)=[a-z-]+))*$/;
const AGE = /^\d{1,10}$/;

const told = ({ text, headers }: Reply) => ({ text, age: headers.age, status: String(headers['cache-status']) });

describe('Age', () => {
  test.each([
    ['nothing', []],
    ['a negative one', ['Age', '-5']],
    ['words', ['Age', 'young']],
    ['a fraction', ['Age', '0.5']],
    ['an exponent', ['Age', '1e9']],
    ['two lines', ['Age', '0', 'Age', '1']],
    ['a list', ['Age', '0, 0']],
    ['a Date of tomorrow', ['Date', 'Wed, 25 Nov 2026 12:00:00 GMT']],
    ['a Date that is none', ['Date', 'tomorrow']],
    ['a member of Cache-Status', ['Cache-Status', 'finvera-gateway; hit; ttl=99999']],
  ])('is what was counted here, where Finvera says %s', async (_what, headers) => {
    const { clock, upstream, user } = await startCachedScene({ script: () => ({ headers }) });
    const browser = await user();
    expect((await browser.fetch(PATH)).status).toBe(200);
    clock.advance(4_000);
    const kept = told(await browser.fetch(PATH));
    if (kept.text === 'answer 1') {
      expect(kept.age).toMatch(AGE);
      expect(Number(kept.age)).toBeGreaterThanOrEqual(4);
      // Whoever's member it is, ours comes last and says no more than is left.
      const last = kept.status.split(', ').at(-1) ?? '';
      expect(last).toMatch(MEMBER);
      expect(Number(/^finvera-gateway; hit; ttl=(\d+)$/.exec(last)?.[1])).toBeLessThanOrEqual(6);
    }
    clock.advance(TTL_MS);
    const asked = upstream.requests.length;
    expect((await browser.fetch(PATH)).text).not.toBe('answer 1');
    expect(upstream.requests.length).toBe(asked + 1);
  });

  test.each(['99999999999999999999', '2147483648', '11'])('of %s makes an answer old at once', async (age) => {
    const { upstream, user } = await startCachedScene({ script: () => ({ headers: ['Age', age] }) });
    const browser = await user();
    for (let i = 1; i <= 2; i += 1) {
      const reply = await browser.fetch(PATH);
      expect([reply.status, reply.text]).toEqual([200, `answer ${i}`]);
    }
    expect(upstream.requests).toHaveLength(2);
  });
});

test('nothing that a client sends makes a kept answer younger, or its member another', async () => {
  const { clock, user } = await startCachedScene({ script: () => ({}) });
  const browser = await user();
  await browser.fetch(PATH);
  clock.advance(4_000);
  const headers = {
    Age: '0',
    'Cache-Status': 'finvera-gateway; hit; ttl=99999',
    Date: 'Wed, 25 Nov 2026 12:00:00 GMT',
    'X-Cache': 'HIT',
  };
  // A field that reaches Finvera may change its answer: whoever sends one has answers of their own.
  expect(told(await browser.fetch(PATH, { headers }))).toMatchObject({ text: 'answer 2', age: undefined });
  clock.advance(3_000);
  const kept = told(await browser.fetch(PATH, { headers }));
  expect(kept).toEqual({ text: 'answer 2', age: '3', status: 'finvera-gateway; hit; ttl=7' });
  expect(told(await browser.fetch(PATH))).toEqual({
    text: 'answer 1',
    age: '7',
    status: 'finvera-gateway; hit; ttl=3',
  });
});

test('the member says why Finvera was asked, each time, and that nothing was forwarded where nothing was', async () => {
  const { gateway, user } = await startCachedScene({ route: { methods: ['GET', 'HEAD'] }, script: () => ({}) });
  const browser = await user();
  const statusOf = async (...asked: Parameters<typeof browser.fetch>) => told(await browser.fetch(...asked)).status;
  expect(await statusOf(PATH)).toBe('finvera-gateway; fwd=uri-miss; stored');
  expect(await statusOf(PATH)).toBe('finvera-gateway; hit; ttl=10');
  expect(await statusOf(`${PATH}?new=1`, { headers: { 'Cache-Control': 'only-if-cached' } })).toBe(
    'finvera-gateway; detail=only-if-cached',
  );
  expect(await statusOf(PATH, { headers: { Range: 'bytes=0-1' } })).toBe('finvera-gateway; fwd=bypass');
  expect(await statusOf(PATH, { method: 'POST' })).toBe('finvera-gateway');
  expect(told(await gateway.browser().fetch(PATH)).status).toBe('finvera-gateway');
});
