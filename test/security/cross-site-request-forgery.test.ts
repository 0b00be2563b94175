// Cross-site request forgery: whatever a foreign page can make a browser send, with the session's cookie attached, changes
// nothing and reaches Finvera not once (RFC 10017 §6.1.3.3, ASVS 3.5). The matrix of who may is in test/gateway/cross-site.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';

const OWN = 'https://app.example.com';
const EVIL = 'https://evil.test';

let scene: RawScene;
let cookie: string;

beforeAll(async () => {
  scene = await startRawScene({ env: { PUBLIC_URL: OWN } });
  cookie = `Cookie: ${scene.browser.cookie}`;
});
afterAll(() => scene.close());

/** Every state change there is, by every path to it. */
const CHANGES = [
  ['POST', '/bff/login'],
  ['POST', '/bff/refresh'],
  ['POST', '/bff/logout'],
  ['DELETE', '/bff/sessions'],
  ['DELETE', '/bff/sessions?except=current'],
  ['DELETE', '/bff/sessions/x'],
  ['POST', '/kms/api/v1/auth/token'],
  ['POST', '/api/v1/auth/token'],
  ['POST', '/kms/api/v1/auth/refresh'],
  ['POST', '/api/v1/auth/refresh'],
  ['POST', '/delivery/x'],
  ['PUT', '/delivery/x'],
  ['PATCH', '/delivery/x'],
  ['DELETE', '/search/x'],
] as const;

async function send(method: string, target: string, lines: readonly string[], body = '') {
  const before = scene.upstream.allRequests().length;
  const { statuses, answers, text } = await scene.exchange(
    [
      `${method} ${target} HTTP/1.1`,
      'Host: app.example.com',
      ...lines,
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n'),
  );
  return { status: statuses[0], answers, text, asked: scene.upstream.allRequests().length - before };
}

async function expectRefused(method: string, target: string, lines: readonly string[], body = ''): Promise<void> {
  const { status, text, asked } = await send(method, target, lines, body);
  expect([method, target, lines, status, asked]).toEqual([method, target, lines, 403, 0]);
  expect(text).not.toMatch(/^set-cookie/im);
  expect(text).toContain('"code":"origin_forbidden"');
}

const expectSessionUntouched = async (): Promise<void> =>
  expect((await send('GET', '/bff/session', [cookie, 'Sec-Fetch-Site: same-origin'])).status).toBe(200);

test('a state change from another site is 403 and reaches Finvera not once', async () => {
  for (const [method, target] of CHANGES) {
    await expectRefused(method, target, [cookie, 'Sec-Fetch-Site: cross-site', `Origin: ${EVIL}`]);
    await expectRefused(method, target, [cookie, 'Sec-Fetch-Site: cross-site']);
    await expectRefused(method, target, [cookie, `Origin: ${EVIL}`]);
    await expectRefused(method, target, [cookie, 'Sec-Fetch-Site: cross-site', `Origin: ${OWN}`, 'X-CSRF: 1']);
  }
  await expectSessionUntouched();
});

test('a state change without any sign of where it is from is 403 and reaches Finvera not once', async () => {
  for (const [method, target] of CHANGES) {
    await expectRefused(method, target, [cookie]);
    await expectRefused(method, target, [cookie, 'Referer: https://app.example.com/']);
  }
  await expectSessionUntouched();
});

test('the custom header is asked of every request that needs it, with exactly its value', async () => {
  for (const [method, target] of CHANGES) {
    for (const line of [
      'X-CSRF: 0',
      'X-CSRF: true',
      'X-CSRF:',
      'X-CSRF: 1, 1',
      'X_CSRF: 1',
      'X-CSRF-Token: 1',
      'X-Requested-With: XMLHttpRequest',
    ]) {
      await expectRefused(method, target, [cookie, line]);
    }
    await expectRefused(method, target, [cookie, 'X-CSRF: 1', 'X-CSRF: 1']);
  }
  expect((await send('POST', '/delivery/x', [cookie, 'X-CSRF: 1'])).status).toBe(200);
});

test('X-CSRF is no token: none is given out, none of another session counts, and who knows it may no more by it', async () => {
  const another = await scene.loginAs('second@finvera.test');
  const idIn = (lines: readonly string[]) => /_session=([\w-]+)/.exec(lines.join())?.[1] ?? '';
  const listed = await send('GET', '/bff/sessions', [cookie, 'Sec-Fetch-Site: same-origin']);
  const ids = [...listed.text.matchAll(/"id":"([\w-]+)"/g)].map(([, id]) => id);
  expect(ids.length).toBeGreaterThan(0);
  // What a token bound to a session would be made of is worth nothing, one's own no more than another's.
  for (const value of [idIn([cookie]), idIn(another), ...ids])
    for (const [method, target] of CHANGES) await expectRefused(method, target, [cookie, `X-CSRF: ${value}`]);
  // The constant makes a preflight necessary, and is no answer to where a request is from.
  for (const from of [
    ['Sec-Fetch-Site: cross-site'],
    ['Sec-Fetch-Site: same-site'],
    ['Sec-Fetch-Site: none'],
    [`Origin: ${EVIL}`],
    ['Origin: null'],
    ['Sec-Fetch-Site: ', `Origin: ${EVIL}`],
  ])
    for (const [method, target] of CHANGES) await expectRefused(method, target, [cookie, 'X-CSRF: 1', ...from]);
  // No answer brings one, so there is none to steal, to fix or to swap.
  for (const target of ['/bff/session', '/bff/sessions', '/bff/client.js', '/bff/openapi.json', '/delivery/x']) {
    const { text } = await send('GET', target, [cookie, 'Sec-Fetch-Site: same-origin']);
    expect([target, /^(?:x-)?(?:csrf|xsrf)[\w-]*:|^set-cookie:|csrf.?token/im.test(text)]).toEqual([target, false]);
  }
  await expectSessionUntouched();
});

test('simple content types and posts without a body do not slip by', async () => {
  const FORMS = [
    ['Content-Type: text/plain', '{"email":"a@b.test","password":"x"}'],
    ['Content-Type: text/plain;application/json', '{"email":"a@b.test","password":"x"}'],
    ['Content-Type: application/x-www-form-urlencoded', 'email=a@b.test&password=x'],
    [
      'Content-Type: multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="email"\r\n\r\na\r\n--b--',
    ],
    ['X: no content type', '{"email":"a@b.test","password":"x"}'],
    ['X: no body', ''],
  ] as const;
  for (const [method, target] of CHANGES.filter(([each]) => each === 'POST')) {
    for (const [type, body] of FORMS) {
      await expectRefused(method, target, [cookie, type], body);
      await expectRefused(
        method,
        target,
        [cookie, type, `Origin: ${EVIL}`, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors'],
        body,
      );
    }
  }
  // Not even from the gateway's own page is a form a login.
  const own = ['Sec-Fetch-Site: same-origin', `Origin: ${OWN}`];
  for (const [type, body] of FORMS.slice(0, 5)) {
    const { status, asked } = await send('POST', '/bff/login', [...own, type], body);
    expect([type, status, asked]).toEqual([type, 415, 0]);
  }
});

test('same-site is not trusted, and without a known Sec-Fetch-Site the Origin decides', async () => {
  for (const [method, target] of CHANGES) {
    await expectRefused(method, target, [cookie, 'Sec-Fetch-Site: same-site', 'Origin: https://b.example.com']);
    await expectRefused(method, target, [cookie, 'Sec-Fetch-Site: same-site', 'X-CSRF: 1']);
    await expectRefused(method, target, [cookie, 'Sec-Fetch-Site: none']);
    for (const unknown of ['foo', 'SAME-ORIGIN', 'same-origin, cross-site', '', 'same-origin;x']) {
      await expectRefused(method, target, [cookie, `Sec-Fetch-Site: ${unknown}`]);
      await expectRefused(method, target, [cookie, `Sec-Fetch-Site: ${unknown}`, `Origin: ${EVIL}`]);
    }
    await expectRefused(method, target, [cookie, 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site']);
  }
  expect((await send('POST', '/delivery/x', [cookie, 'Sec-Fetch-Site: foo', `Origin: ${OWN}`])).status).toBe(200);
});

test('an origin is compared exactly with the settings, never with what the request says; null is refused', async () => {
  const FOREIGN = [
    'null',
    'https://app.example.com.evil.test',
    'https://evil-app.example.com',
    'https://app.example.com@evil.test',
    'http://app.example.com',
    'https://app.example.com:444',
    'https://app.example.com:443',
    'HTTPS://APP.EXAMPLE.COM',
    'https://APP.example.com',
    'https://app.example.com/',
    'https://app.example.com.',
    'https://app.example.com, https://evil.test',
    'https://evil.test, https://app.example.com',
    'app.example.com',
    '//app.example.com',
    '',
    '*',
    'https://app%2eexample.com',
    'https://app.example.com\thttps://evil.test',
    'file://',
    'https://127.0.0.1',
  ];
  for (const origin of FOREIGN) {
    await expectRefused('POST', '/delivery/x', [cookie, `Origin: ${origin}`]);
    await expectRefused('POST', '/delivery/x', [
      cookie,
      `Origin: ${origin}`,
      'X-Forwarded-Host: evil.test',
      'X-CSRF: 1',
    ]);
  }
  await expectRefused('POST', '/delivery/x', [cookie, `Origin: ${EVIL}`, `Origin: ${OWN}`]);
  // A Host that agrees with the Origin proves nothing.
  const { statuses } = await scene.exchange(
    ['POST /delivery/x HTTP/1.1', 'Host: evil.test', cookie, `Origin: ${EVIL}`, 'Content-Length: 0', '', ''].join(
      '\r\n',
    ),
  );
  expect(statuses).toEqual([403]);
  expect((await send('POST', '/delivery/x', [cookie, `Origin: ${OWN}`])).status).toBe(200);
});

test('a login cannot be forged: nobody is logged in as somebody else', async () => {
  const body = JSON.stringify({ email: 'attacker@finvera.test', password: 'demo-password' });
  for (const target of ['/bff/login', '/api/v1/auth/token', '/kms/api/v1/auth/token']) {
    for (const lines of [
      ['Content-Type: application/json', `Origin: ${EVIL}`],
      ['Content-Type: application/json', 'Sec-Fetch-Site: cross-site'],
      ['Content-Type: application/json', 'Sec-Fetch-Site: same-site'],
      ['Content-Type: application/json', 'Origin: null'],
      ['Content-Type: application/json', 'Sec-Fetch-Site: none'],
    ]) {
      await expectRefused('POST', target, lines, body);
      await expectRefused('POST', target, [cookie, ...lines], body);
    }
  }
});

test('no safe method changes anything, and a foreign page reads nothing by one', async () => {
  for (const [method, target] of CHANGES) {
    if (method !== 'POST' || target.startsWith('/delivery')) continue;
    for (const safe of ['GET', 'HEAD']) {
      const { status, asked, text } = await send(safe, target, [cookie, 'Sec-Fetch-Site: same-origin']).catch(() => ({
        status: 405,
        asked: 0,
        text: '',
      }));
      expect([safe, target, status, asked]).toEqual([safe, target, 405, 0]);
      expect(text).not.toMatch(/^set-cookie/im);
    }
  }
  for (const target of ['/bff/session', '/bff/sessions', '/delivery/x', '/kms/api/v1/auth/validate']) {
    for (const mode of ['navigate', 'no-cors', 'cors']) {
      for (const dest of ['document', 'image', 'script', 'object', 'embed', 'iframe']) {
        await expectRefused('GET', target, [
          cookie,
          'Sec-Fetch-Site: cross-site',
          `Sec-Fetch-Mode: ${mode}`,
          `Sec-Fetch-Dest: ${dest}`,
        ]);
      }
    }
  }
  await expectSessionUntouched();
});

describe('a preflight', () => {
  test('of a foreign origin gets no approval, and never its own origin back', async () => {
    for (const origin of [EVIL, 'null', `${OWN}.evil.test`, '*', OWN]) {
      for (const target of ['/bff/session', '/delivery/x', '/nothing']) {
        const { text, asked } = await send('OPTIONS', target, [
          `Origin: ${origin}`,
          'Access-Control-Request-Method: DELETE',
          'Access-Control-Request-Headers: x-csrf',
        ]);
        expect([origin, target, asked, /access-control-allow/i.test(text)]).toEqual([origin, target, 0, false]);
      }
    }
  });
});

test('answers that depend on where a request is from say so to caches', async () => {
  for (const target of ['/bff/session', '/delivery/x']) {
    const { answers } = await send('GET', target, [cookie, 'Sec-Fetch-Site: same-origin']);
    expect(answers[0]?.values('vary').join(', ')).toMatch(/Origin, Sec-Fetch-Site/);
  }
});
