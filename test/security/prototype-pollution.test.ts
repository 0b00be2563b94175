// Names of object members as input: they stay text, in bodies, queries, headers, cookies and tokens' answers, and what comes
// after them is as it was before (ASVS 15.3.5 to 15.3.7, ATK-J, ATK-D5).
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';

const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '__defineGetter__',
  'then',
];

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene({ env: { LOGIN_LIMIT_ADDRESS: 'off', LOGIN_LIMIT_ACCOUNT: 'off' } });
});
afterAll(() => scene.close());
afterEach(async () => {
  const plain = {} as Record<string, unknown>;
  expect([plain.polluted, plain.isAdmin, plain.email, Object.keys(Object.prototype)]).toEqual([
    undefined,
    undefined,
    undefined,
    [],
  ]);
  expect((await scene.browser.fetch('/bff/session')).status).toBe(200);
});

const login = (body: string | Buffer, type = 'application/json', more: readonly string[] = []) =>
  scene.exchange(
    Buffer.concat([
      Buffer.from(
        scene.request('POST', '/bff/login', [
          `Content-Type: ${type}`,
          `Content-Length: ${Buffer.byteLength(body)}`,
          ...more,
        ]),
      ),
      Buffer.from(body),
    ]),
  );

const attemptsAtFinvera = (): number =>
  scene.upstream.allRequests().filter(({ target }) => target.endsWith('/token')).length;

describe('the body of a login', () => {
  test.each([
    ['a polluting member', '{"__proto__":{"isAdmin":true,"email":"a@b.test","password":"x"}}'],
    ['a polluting constructor', '{"constructor":{"prototype":{"polluted":1,"email":"a","password":"b"}}}'],
    ['an array', '[{"email":"a@b.test","password":"x"}]'],
    ['an array of texts', '{"email":["a@b.test"],"password":["x"]}'],
    ['an object for a text', '{"email":{"$ne":null},"password":{"$gt":""}}'],
    ['a number', '{"email":1,"password":2}'],
    ['null', 'null'],
    ['a text', '"x"'],
    ['true', 'true'],
    ['nothing', ''],
    ['half of it', '{"email":"a@b.test","password":'],
    ['two of them', '{"email":"a","password":"b"}{"email":"c","password":"d"}'],
    ['a comment', '{/**/"email":"a","password":"b"}'],
    ['NaN', '{"email":NaN,"password":"b"}'],
    ['a nesting of four thousand', '['.repeat(4_000)],
    ['a closed nesting of four thousand', `{"email":${'['.repeat(4_000)}${']'.repeat(4_000)}}`],
    ['an email of two thousand characters', JSON.stringify({ email: 'a'.repeat(2_000), password: 'x' })],
    ['a password of two thousand characters', JSON.stringify({ email: 'a@b.test', password: 'x'.repeat(2_000) })],
    ['an empty email', '{"email":"","password":"x"}'],
    ['a line break in the email', '{"email":"a@b.test\\r\\nBcc: c@d.test","password":"x"}'],
    ['a NUL in the email', '{"email":"a@b.test\\u0000","password":"x"}'],
    [
      'four hundred keys that look like numbers',
      JSON.stringify(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [i * 1_000_003, 1]))),
    ],
  ])('%s is 400, quickly, and no password leaves', async (_what, body) => {
    const before = attemptsAtFinvera();
    const startedAt = performance.now();
    expect((await login(body)).statuses).toEqual([400]);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(attemptsAtFinvera()).toBe(before);
  });

  test('of the wrong coding or more than 8 KiB is refused before it is read', async () => {
    const good = '{"email":"a@b.test","password":"x"}';
    const { gzipSync, deflateSync, brotliCompressSync } = await import('node:zlib');
    const before = attemptsAtFinvera();
    for (const [coding, body] of [
      ['gzip', gzipSync(Buffer.alloc(8_000_000, ' '))],
      ['deflate', deflateSync(good)],
      ['br', brotliCompressSync(good)],
      ['gzip, gzip', gzipSync(gzipSync(good))],
      ['identity, gzip', gzipSync(good)],
    ] as const) {
      expect([
        coding,
        (await login(body.subarray(0, 8_000), 'application/json', [`Content-Encoding: ${coding}`])).statuses,
      ]).toEqual([coding, [415]]);
    }
    expect((await login(`{"x":"${'y'.repeat(10_000)}"}`)).statuses).toEqual([413]);
    expect((await login(`[${'{},'.repeat(100_000)}{}]`)).statuses).toEqual([413]);
    expect(attemptsAtFinvera()).toBe(before);
  });

  test('passes on the two members and nothing beside them', async () => {
    const body =
      '{"email":"a@b.test","password":"wrong","isAdmin":true,"__proto__":{"isAdmin":true},"toString":"x","email":"last@b.test"}';
    expect((await login(body)).statuses).toEqual([401]);
    const sent = scene.upstream.allRequests().at(-1)?.body ?? '';
    // Of two members of one name the last counts, here and there: what is sent is written anew.
    expect(JSON.parse(sent)).toEqual({ email: 'last@b.test', password: 'wrong' });
    expect(sent).not.toMatch(/isAdmin|__proto__|a@b\.test/);
  });
});

describe('names of object members elsewhere', () => {
  test('in headers and cookies pass or are dropped, as any other name', async () => {
    for (const name of NAMES) {
      const lines = [
        `${name}: x`,
        `${name}: y`,
        `Connection: ${name}`,
        `Cookie: ${name}=1; ${name}=2`,
        `X-Kept: ${name}`,
      ];
      const { statuses } = await scene.exchange(scene.request('GET', '/delivery/x', lines));
      expect([name, statuses]).toEqual([name, [200]]);
      const got = scene.upstream.requests().at(-1);
      expect([got?.values(name), got?.values('x-kept')]).toEqual([[], [name]]);
      const unnamed = await scene.exchange(scene.request('GET', '/delivery/x', [`${name}: x`]));
      expect([unnamed.statuses, scene.upstream.requests().at(-1)?.values(name)]).toEqual([[200], ['x']]);
    }
  });

  test('in queries pass unchanged; the gateway’s own parameters stay strict', async () => {
    for (const name of NAMES) {
      const target = `/delivery/x?${name}=1&${name}[a]=2&a[${name}]=3&a[]=4&a[]=5`;
      expect((await scene.exchange(scene.request('GET', target))).statuses).toEqual([200]);
      expect(scene.upstream.requests().at(-1)?.target).toBe(target);
      expect(
        (await scene.exchange(scene.request('GET', `/bff/session?${name}=1&slide[${name}]=false`))).statuses,
      ).toEqual([200]);
    }
    for (const query of [
      'except=current&except=current',
      'except[]=current',
      'except=',
      'except=all',
      'except[a]=current',
      'except=current%00',
      'excpt=current',
      '__proto__=current',
    ]) {
      const { statuses } = await scene.exchange(scene.request('DELETE', `/bff/sessions?${query}`));
      expect([query, statuses]).toEqual([query, [400]]);
    }
  });

  test('as the id of a session, a method or a path lead nowhere', async () => {
    for (const name of NAMES) {
      expect((await scene.exchange(scene.request('DELETE', `/bff/sessions/${name}`))).statuses).toEqual([404]);
      expect((await scene.exchange(scene.request('GET', `/bff/${name}`))).statuses).toEqual([404]);
      expect((await scene.exchange(scene.request('GET', `/${name}`))).statuses).toEqual([404]);
    }
  });

  test('in what Finvera says of a user show as text, or not at all', async () => {
    const page = scene.gateway.browser();
    expect((await page.login('__proto__')).status).toBe(200);
    const session = JSON.parse((await page.fetch('/bff/session')).text);
    expect(session.user.user_id).toBe('__proto__');
    expect(JSON.parse((await page.fetch('/bff/sessions')).text).sessions).toHaveLength(1);
  });
});
