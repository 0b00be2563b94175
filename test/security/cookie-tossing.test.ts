// Cookies that somebody else planted, or that no browser would send: the session's is taken only when it is beyond doubt, and
// the order never decides (RFC 6265bis §4.2.2, §5.4, §8.6). The gateway's own Set-Cookie lines follow the grammar.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { startGateway } from '../support/test-gateway.ts';

const NAME = '__Host-finvera_session';
const OTHER = `${NAME}=${'A'.repeat(43)}`;
const CLEARED = `${NAME}=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0`;

let scene: RawScene;
let good: string;

beforeAll(async () => {
  scene = await startRawScene();
  good = scene.browser.cookie ?? '';
});
afterAll(() => scene.close());

const started: RawScene[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.close()));
});

async function ask(cookieLines: readonly string[]) {
  const { answers } = await scene.exchange(
    Buffer.from(['GET /bff/session HTTP/1.1', 'Host: 127.0.0.1', ...cookieLines, '', ''].join('\r\n'), 'latin1'),
  );
  return { status: answers[0]?.status, setCookies: answers[0]?.values('set-cookie') };
}

describe('two session cookies that differ', () => {
  test('are both refused, in every order and number, by one line or many', async () => {
    for (const lines of [
      [`Cookie: ${good}; ${OTHER}`],
      [`Cookie: ${OTHER}; ${good}`],
      [`Cookie: ${good}`, `Cookie: ${OTHER}`],
      [`Cookie: ${OTHER}`, `cookie: ${good}`],
      [`Cookie: ${Array.from({ length: 50 }, () => OTHER).join('; ')}; ${good}`],
      [`Cookie: ${good}; ${Array.from({ length: 50 }, () => OTHER).join('; ')}`],
      Array.from({ length: 50 }, (_, i) => `Cookie: ${i === 25 ? good : OTHER}`),
      [`Cookie: ${NAME}=; ${good}`],
      [`Cookie: ${good};${NAME}="${good.split('=')[1]}"`],
      [`Cookie: ${good}; ${NAME}`, `Cookie: ${NAME}=x`],
    ]) {
      expect([lines.length, await ask(lines)]).toEqual([lines.length, { status: 401, setCookies: [CLEARED] }]);
    }
    // What was planted ends no session.
    expect((await ask([`Cookie: ${good}`])).status).toBe(200);
  });

  test('of which neither is right are no session either', async () => {
    expect((await ask([`Cookie: ${OTHER}; ${NAME}=${'E'.repeat(43)}`])).status).toBe(401);
  });
});

describe('the session’s cookie', () => {
  test('is found on several Cookie lines, among others, and fifty times the same', async () => {
    for (const lines of [
      ['Cookie: a=b', `Cookie: ${good}`, 'COOKIE: c=d'],
      [`Cookie: a=b; ${good}; c=d`],
      [`Cookie: a=b;${good};c=d`],
      [`Cookie: ${Array.from({ length: 50 }, () => good).join('; ')}`],
      [`Cookie: ${Array.from({ length: 200 }, (_, i) => `c${i}=${i}`).join('; ')}; ${good}`],
      [`Cookie: x="a;b"; ${good}`],
      [`Cookie: =nameless; ${good}; $Version=1; j=j:{"a":1}; e=a=b=c; ; ;`],
      [`Cookie: __proto__=1; constructor=2; toString=3; hasOwnProperty=4; ${good}`],
    ]) {
      expect([lines, (await ask(lines)).status]).toEqual([lines, 200]);
    }
  });

  test('is looked for in its own case and by its own name only', async () => {
    const value = good.split('=')[1];
    for (const name of [
      '__host-finvera_session',
      '__HOST-FINVERA_SESSION',
      '__Host-Finvera_Session',
      'finvera_session',
      '__Secure-finvera_session',
      '__Host-finvera_session2',
      'x__Host-finvera_session',
      '__Host_finvera_session',
      '%5F_Host-finvera_session',
    ]) {
      // A name that is another's is not even a reason to clear anything.
      expect([name, await ask([`Cookie: ${name}=${value}`])]).toEqual([name, { status: 401, setCookies: [] }]);
      expect([name, (await ask([`Cookie: ${name}=evil; ${good}`])).status]).toEqual([name, 200]);
    }
  });

  test.each([
    ['a non-breaking blank before the name, as a sibling domain may set', `\xa0${OTHER}`],
    ['a zero-width mark before the name', `\u00ad${OTHER}`],
  ])('is not %s', async (_what, planted) => {
    expect((await ask([`Cookie: ${planted}; ${good}`])).status).toBe(200);
    expect((await ask([`Cookie: ${planted.replace('A'.repeat(43), good.split('=')[1] ?? '')}`])).status).toBe(401);
  });

  test('is never a value of another form: no crash, no 500', async () => {
    for (const value of [
      '',
      ' ',
      '"',
      '*',
      '?',
      '[a]',
      '{x}',
      ':',
      '%0d%0a',
      '..',
      '__proto__',
      'j:{"a":1}',
      's:a.b',
      'a'.repeat(4_000),
      '\u00e4'.repeat(43),
      `${'A'.repeat(42)}!`,
      `${'A'.repeat(42)}B`,
      "'; DROP TABLE x",
      '$\u007b7*7}',
      '\u00ff\u00fe',
    ]) {
      expect([value, await ask([`Cookie: ${NAME}=${value}`])]).toEqual([value, { status: 401, setCookies: [CLEARED] }]);
    }
  });
});

describe('the gateway’s Set-Cookie', () => {
  /** RFC 6265bis §4.1.1, with the attributes of this gateway. */
  const FORM =
    /^__Host-finvera_session=(?:[A-Za-z0-9_-]{43}|); Path=\/; HttpOnly; Secure; SameSite=Strict; Max-Age=\d+$/;

  test('is Secure, HttpOnly, SameSite=Strict, Path=/, without Domain, with its prefix, once, in every answer that has one', async () => {
    const each = await startRawScene();
    started.push(each);
    each.upstream.answer(rawAnswer('ok', [`Set-Cookie: ${OTHER}; Domain=evil.test`, 'Set-Cookie: a=b']));
    const page = each.gateway.browser();
    const replies = [
      await page.login(),
      await page.login(),
      await page.fetch('/delivery/x'),
      await page.fetch('/bff/session'),
      await page.fetch('/bff/refresh', { method: 'POST' }),
      await page.fetch('/bff/session', { headers: { Cookie: `${NAME}=x` } }),
      await page.fetch('/delivery/x', { headers: { Cookie: OTHER } }),
      await page.fetch('/bff/sessions', { headers: { Cookie: `${OTHER}; ${NAME}=y` } }),
      await page.login(),
      await page.fetch('/bff/logout', { method: 'POST' }),
      await page.login(),
      await page.fetch('/bff/sessions', { method: 'DELETE' }),
      await page.fetch('/nothing'),
    ];
    expect(replies.map(({ setCookies }) => setCookies.length)).toEqual([1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0]);
    for (const { setCookies } of replies) {
      for (const line of setCookies) {
        expect(line).toMatch(FORM);
        expect(line.length).toBeLessThan(4_096);
        expect(Number(/Max-Age=(\d+)/.exec(line)?.[1])).toBeLessThanOrEqual(400 * 86_400);
      }
    }
  });

  test('alone holds the session’s value: no body, header or address has it', async () => {
    const each = await startRawScene();
    started.push(each);
    const page = each.gateway.browser();
    const login = await page.login();
    const value = page.cookie?.split('=')[1] ?? '';
    expect(value).toMatch(/^[A-Za-z0-9_-]{43}$/);
    const { 'set-cookie': _, ...headers } = login.headers;
    expect(JSON.stringify(headers) + login.text).not.toContain(value);
    for (const path of ['/bff/session', '/bff/sessions', '/nothing', '/delivery/x', '/health']) {
      const reply = await page.fetch(path);
      expect(JSON.stringify(reply.headers) + reply.text).not.toContain(value);
    }
    expect(each.upstream.received()).not.toContain(value);
    expect(each.gateway.logText()).not.toContain(value);
  });
});

test('a frontend plants no session: named, in another case, or without a name and sent back as one', async () => {
  const frontend = await startRawUpstream();
  const gateway = await startGateway(frontend.url, { env: { FRONTEND: frontend.url } });
  const planted = [
    '__Host-finvera_session=planted; Path=/; Secure',
    '__HOST-FINVERA_SESSION=planted',
    ' finvera_session =planted',
    '=__Host-finvera_session=planted; Path=/; Secure',
    '= finvera_session=planted',
    '==finvera_session=planted',
  ];
  frontend.answer(rawAnswer('page', [...planted.map((line) => `Set-Cookie: ${line}`), 'Set-Cookie: theme=dark']));
  const reply = await gateway.browser().fetch('/page');
  expect([reply.text, reply.setCookies]).toEqual(['page', ['theme=dark']]);
  await gateway.close();
  await frontend.close();
});
