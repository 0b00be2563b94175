// Forged identity: what the gateway says of a caller (who, from where) is said by nobody else, in no spelling, and cannot be
// stripped from outside (ASVS 4.1.3, RFC 9110 §7.6.1, ATK-H1 to ATK-H4).
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openRaw } from '../support/raw-http.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { accessTokenOf, rawAnswer, startRawUpstream } from '../support/raw-upstream.ts';
import { startGateway } from '../support/test-gateway.ts';
import { until } from '../support/until.ts';

const PATH = '/delivery/x';
const BEARER = `Bearer ${accessTokenOf('demo@finvera.test')}`;

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene();
});
afterAll(() => scene.close());

const started: RawScene[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.close()));
});
async function startWith(env: Record<string, string>): Promise<RawScene> {
  const each = await startRawScene({ env });
  started.push(each);
  return each;
}

/** The header lines that reached Finvera, in lower-case names. */
async function reach(lines: readonly string[], at = scene) {
  const { statuses } = await at.exchange(at.request('GET', PATH, lines));
  expect(statuses).toEqual([200]);
  const got = at.upstream.requests().at(-1);
  return { text: (got?.lines ?? []).join('\n'), values: (name: string) => got?.values(name) };
}

const EVIL = '203.0.113.66';
const CLAIMS = [
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X-Forwarded-Scheme',
  'X-Forwarded-Server',
  'X-Forwarded-User',
  'X-Forwarded-Email',
  'X-Forwarded-Preferred-Username',
  'X-Forwarded-Access-Token',
  'X-Forwarded-Client-Cert',
  'Forwarded',
  'X-Real-IP',
  'X-Client-IP',
  'X-Cluster-Client-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
  'Fastly-Client-IP',
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-Original-Forwarded-For',
  'X-User-ID',
  'X-User-Email',
  'X-User-Roles',
  'X-Auth-Request-User',
  'X-Auth-Request-Email',
  'X-Userinfo',
  'Client-Cert',
  'Client-Cert-Chain',
  'X-Envoy-External-Address',
  'X-Request-Id',
  'Proxy-Authorization',
  'Cookie2',
  'X-HTTP-Method-Override',
  'X-Remote-User',
  'X-Remote-Addr',
  'Remote-User',
  'Remote-Addr',
  'X-Originating-IP',
  'X-Azure-ClientIP',
  'X-AppEngine-User-IP',
  'Fly-Client-IP',
  'DO-Connecting-IP',
  'CF-Connecting-IPv6',
  'Proxy',
];

describe('a claim of who or where the caller is', () => {
  test.each(CLAIMS)(
    '%s never reaches Finvera: in no case, not twice, not with underscores, not through Connection',
    async (name) => {
      const spellings = [
        [`${name}: ${EVIL}`],
        [`${name.toLowerCase()}: ${EVIL}`, `${name.toUpperCase()}: ${EVIL}`],
        [`${name.replaceAll('-', '_')}: ${EVIL}`],
        [`${name.replace('-', '_')}: ${EVIL}`],
        [`${name.replaceAll('-', '_').toUpperCase()}: ${EVIL}`],
        [`Connection: ${name}`, `${name}: ${EVIL}`],
        [`${name}:`, `${name}: ${EVIL}`],
      ];
      for (const lines of spellings) expect((await reach(lines)).text).not.toContain(EVIL);
    },
  );

  test('Authorization is replaced, in whatever spelling and number', async () => {
    for (const lines of [
      ['Authorization: Bearer mine'],
      ['authorization: Basic mine', 'AUTHORIZATION: Bearer mine'],
      ['Authorization:'],
      ['Authorization_: mine', 'HTTP_AUTHORIZATION: mine'],
      ['Connection: authorization', 'Authorization: Bearer mine'],
    ]) {
      const got = await reach(lines);
      expect(got.values('authorization')).toEqual([BEARER]);
    }
    const anonymous = await scene.exchange(`GET ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: ${BEARER}\r\n\r\n`);
    expect(anonymous.statuses).toEqual([401]);
  });

  test('the session’s cookie and every other one stays here', async () => {
    const got = await reach(['Cookie: theme=dark; DT_AUTH_TOKEN=mine', 'cookie: a=b']);
    expect(got.text).not.toMatch(/cookie|theme|mine|finvera_session/i);
  });

  test('a session is a cookie’s and nothing else’s', async () => {
    const id = scene.browser.cookie?.split('=')[1] ?? '';
    for (const [target, line] of [
      [`${PATH}?sid=${id}&__Host-finvera_session=${id}`, 'X: 1'],
      [`${PATH};jsessionid=${id}`, 'X: 1'],
      [PATH, `X-Session-Id: ${id}`],
      [PATH, `Authorization: Bearer ${id}`],
      [PATH, `__Host-finvera_session: ${id}`],
      [PATH, `Cookie2: __Host-finvera_session=${id}`],
      [PATH, `Set-Cookie: __Host-finvera_session=${id}`],
    ] as const) {
      const { statuses } = await scene.exchange(`GET ${target} HTTP/1.1\r\nHost: x\r\n${line}\r\n\r\n`);
      expect([line, statuses]).toEqual([line, [401]]);
    }
  });
});

describe('Connection', () => {
  test('strips what it names, and never what frames the request or what the gateway adds', async () => {
    const options =
      'x-named, content-length, transfer-encoding, host, authorization, cookie, origin, sec-fetch-site, x-forwarded-for, forwarded, via, x-request-id, traceparent, cache-control, close';
    const { statuses } = await scene.exchange(
      scene.request(
        'POST',
        PATH,
        [`Connection: ${options}`, 'X-Named: gone', 'X-Kept: kept', 'Cache-Control: no-cache', 'Content-Length: 5'],
        'hello',
      ),
    );
    expect(statuses).toEqual([200]);
    const got = scene.upstream.requests().at(-1);
    expect(got?.body).toBe('hello');
    expect(got?.values('x-named')).toEqual([]);
    expect(got?.values('x-kept')).toEqual(['kept']);
    expect(got?.values('cache-control')).toEqual(['no-cache']);
    expect(got?.values('authorization')).toEqual([BEARER]);
    expect(got?.values('host')).toEqual([`127.0.0.1:${scene.upstream.port}`]);
    for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-request-id', 'traceparent']) {
      expect([name, got?.values(name).length]).toEqual([name, 1]);
    }
  });

  test('naming the cookie or the origin hides neither from the guards', async () => {
    const before = scene.upstream.requests().length;
    const { statuses } = await scene.exchange(
      [
        'POST /delivery/x HTTP/1.1',
        'Host: 127.0.0.1',
        scene.lines[0],
        'Connection: cookie, origin, sec-fetch-site, x-csrf',
        'Origin: https://evil.test',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    expect(statuses).toEqual([403]);
    expect(scene.upstream.requests()).toHaveLength(before);
  });

  test('with a thousand options is as harmless, both ways', async () => {
    const options = Array.from({ length: 1_000 }, (_, i) => `x-${i}`).join(', ');
    expect((await reach([`Connection: ${options}`, 'X-7: gone', 'X-Kept: 1'])).text).not.toContain('gone');
    scene.upstream.answer(rawAnswer('ok', [`Connection: ${options}, content-length`, 'X-7: gone', 'X-Kept: 1']));
    const { answers, text } = await scene.exchange(scene.request('GET', PATH));
    scene.upstream.answer(rawAnswer());
    expect([answers[0]?.body, answers[0]?.values('x-kept'), text.includes('gone')]).toEqual(['ok', ['1'], false]);
  });

  test('and other fields of this hop reach Finvera in no spelling', async () => {
    const lines = [
      'Keep-Alive: timeout=9',
      'Proxy-Connection: keep-alive',
      'TE: trailers, gzip',
      'Trailer: X',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABk',
      'Keep_Alive: 1',
      'Transfer_Encoding: chunked',
      'Proxy_Authorization: x',
      'Http2_Settings: x',
    ];
    expect((await reach(lines)).text).not.toMatch(/^(keep.alive|proxy.|te:|trailer|upgrade|http2|transfer_)/im);
  });
});

describe('what a proxy before the gateway says', () => {
  const of = (at: RawScene) => at.upstream.requests().at(-1)?.values('x-forwarded-for');

  test('counts from a trusted one only', async () => {
    const trusting = await startWith({ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' });
    const other = await startWith({ TRUST_PROXY: '10.0.0.0/8' });
    const lines = [`X-Forwarded-For: ${EVIL}`, 'X-Forwarded-Proto: https'];
    await reach(lines, trusting);
    await reach(lines, other);
    expect([of(trusting), of(other)]).toEqual([[EVIL], ['127.0.0.1']]);
  });

  test.each([
    ['the last that is not trusted', '1.1.1.1, 203.0.113.66, 10.0.0.7', EVIL],
    [
      'the last of a hundred',
      `${Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`).join(', ')}, 203.0.113.66`,
      EVIL,
    ],
    ['without its port', '203.0.113.66:51234', EVIL],
    ['IPv6 without brackets and port', '[2001:db8::1]:443', '2001:db8::1'],
    ['IPv6 that is IPv4', '::ffff:203.0.113.66', EVIL],
    ['the proxy itself where it is no address', 'unknown', '127.0.0.1'],
    ['the proxy itself where it is a name', '_hidden', '127.0.0.1'],
    ['the proxy itself where it would break the field', '203.0.113.66";host="evil.test', '127.0.0.1'],
    ['the proxy itself where it is markup', '<script>', '127.0.0.1'],
    ['the proxy itself where it is empty', '', '127.0.0.1'],
  ])('is one address: %s', async (_what, sent, address) => {
    const trusting = await startWith({ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' });
    const got = await reach([`X-Forwarded-For: ${sent}`], trusting);
    expect(got.values('x-forwarded-for')).toEqual([address]);
    const node = address.includes(':') ? `"[${address}]"` : address;
    expect(got.values('forwarded')).toEqual([`for=${node};proto=http;host="127.0.0.1"`]);
  });

  test('with a changing port is still one client to the limit of logins', async () => {
    const trusting = await startWith({ TRUST_PROXY: '127.0.0.1', LOGIN_LIMIT_ADDRESS: '5/15m' });
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 8; i += 1) {
      const body = JSON.stringify({ email: `user-${i}@finvera.test`, password: 'wrong' });
      const request = trusting.request(
        'POST',
        '/bff/login',
        [`X-Forwarded-For: ${EVIL}:${50_000 + i}`, 'Content-Type: application/json', `Content-Length: ${body.length}`],
        body,
      );
      statuses.push((await trusting.exchange(request)).statuses[0]);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
  });
});

test('what is not the gateway’s to weigh passes as it came', async () => {
  const lines = [
    'X-Custom: a',
    'X-Custom: b',
    'Prefer: return=minimal',
    'Accept-Encoding: gzip, br',
    'Referer: https://app.test/x',
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'X_My_Own: 1',
    'Range: bytes=0-1',
  ];
  const got = await reach(lines);
  expect(got.values('x-custom')).toEqual(['a', 'b']);
  expect(got.values('prefer')).toEqual(['return=minimal']);
  expect(got.values('referer')).toEqual(['https://app.test/x']);
  expect(got.values('x_my_own')).toEqual(['1']);
  expect(got.values('traceparent')?.[0]?.slice(0, 36)).toBe('00-0af7651916cd43dd8448eb211c80319c-');
});

test.each([
  '00-00000000000000000000000000000000-b7ad6b7169203331-01',
  '00-xyz',
  'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  `00-${'a'.repeat(5_000)}`,
  '"; DROP',
])('a traceparent that is none is made anew: %s', async (sent) => {
  const [got = ''] = (await reach([`traceparent: ${sent}`, `tracestate: ${sent}`])).values('traceparent') ?? [];
  expect(got).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
  expect(sent).not.toContain(got.slice(3, 35));
});

test('a frontend gets neither the session nor a claim of the client’s, in no spelling', async () => {
  const frontend = await startRawUpstream();
  const gateway = await startGateway(scene.upstream.url, { env: { FRONTEND: frontend.url } });
  try {
    const browser = gateway.browser();
    await browser.login();
    const claims = CLAIMS.filter((name) => !/Request-Id|Method/.test(name)).flatMap((name) => [
      `${name}: ${EVIL}`,
      `${name.replaceAll('-', '_')}: ${EVIL}`,
    ]);
    const connection = await openRaw(gateway.port);
    connection.socket.write(
      [
        'GET /page HTTP/1.1',
        'Host: x',
        `Cookie: ${browser.cookie}; a=b`,
        `Authorization: ${EVIL}`,
        ...claims,
        '',
        '',
      ].join('\r\n'),
    );
    await until('the answer', () => connection.received().endsWith('ok'));
    connection.socket.destroy();
    const text = frontend.requests().at(-1)?.lines.join('\n') ?? '';
    expect(text.split('\n').filter((line) => line.includes(EVIL))).toEqual([]);
    expect(text).not.toMatch(/finvera_session/);
  } finally {
    await gateway.close();
    await frontend.close();
  }
});
