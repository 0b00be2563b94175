// Path confusion and forged targets: the path that was decided on is the path that is sent, byte for byte, or nothing is;
// and nothing in a request chooses another host (ATK-P1 to ATK-P7, ATK-S1).
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exchangeRaw, rawRequest, rawStatus } from '../support/raw-http.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';
import { rawAnswer } from '../support/raw-upstream.ts';
import { startGateway } from '../support/test-gateway.ts';

let scene: RawScene;
/** A host that must never be called. */
let canary: Server;
let canaryPort = 0;
let canaryCalls = 0;

beforeAll(async () => {
  canary = createServer((socket) => {
    canaryCalls += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => canary.listen(0, '127.0.0.1', resolve));
  canaryPort = (canary.address() as { port: number }).port;
  scene = await startRawScene();
});
afterAll(async () => {
  await scene.close();
  await new Promise((resolve) => canary.close(resolve));
});

/** What became of a target: its status, and what of it reached Finvera. */
async function send(target: string, lines: readonly string[] = [], method = 'GET') {
  const before = scene.upstream.requests().length;
  const { statuses, text } = await scene.exchange(scene.request(method, target, lines));
  const reached = scene.upstream.requests().slice(before);
  return {
    status: statuses[0],
    code: /"code":"(\w+)"/.exec(text)?.[1],
    reached: reached.map((request) => request.target),
  };
}

describe('a target that names a host', () => {
  const HOSTS = [
    '//CANARY/',
    '///CANARY/',
    '////CANARY/delivery',
    '/\\CANARY',
    '/\\/CANARY',
    '\\\\CANARY',
    '/%2f%2fCANARY',
    '/%5cCANARY',
    'http://CANARY/',
    'http://CANARY/delivery/x',
    'HTTP://CANARY/delivery/x',
    'https://CANARY/delivery/x',
    'http:CANARY',
    'http:///CANARY',
    'http://127.0.0.1@CANARY/delivery/x',
    'http://127.0.0.1:1@CANARY/delivery',
    'https://user:pw@127.0.0.1/delivery/x',
    'ftp://127.0.0.1/delivery/x',
    'ws://127.0.0.1/delivery',
    '@CANARY/',
    '.CANARY',
    ':80/delivery',
    'CANARY',
    '/delivery//CANARY/x',
    '/delivery/\\CANARY',
    '?@CANARY',
    '#@CANARY',
  ];

  test('is refused, whatever its form, and that host is never called', async () => {
    for (const form of HOSTS) {
      const target = form.replace('CANARY', `127.0.0.1:${canaryPort}`);
      expect([target, await send(target)]).toEqual([target, { status: 400, code: 'invalid_request', reached: [] }]);
    }
    expect(canaryCalls).toBe(0);
  });

  test('only inside a path is part of the path', async () => {
    for (const target of [
      `/delivery/@127.0.0.1:${canaryPort}`,
      `/delivery/http:127.0.0.1`,
      `/delivery?u=http://127.0.0.1:${canaryPort}/`,
    ]) {
      expect(await send(target)).toEqual({ status: 200, code: undefined, reached: [target] });
    }
    for (const target of [`/@127.0.0.1:${canaryPort}`, `/delivery@127.0.0.1:${canaryPort}/x`, '/.evil.test']) {
      expect(await send(target)).toEqual({ status: 404, code: 'not_found', reached: [] });
    }
    expect(canaryCalls).toBe(0);
  });

  test('in a header chooses no target either', async () => {
    const host = `127.0.0.1:${canaryPort}`;
    const lines = [
      'X-Forwarded-Host',
      'X-Host',
      'X-Original-Host',
      'X-Forwarded-Server',
      'Forwarded',
      'X-Rewrite-URL',
      'X-Original-URL',
      'X-Forwarded-Uri',
      'X-Forwarded-Prefix',
      'Destination',
      'X-Upstream',
      'X-HTTP-DestinationURL',
      'Referer',
    ].map((name) => `${name}: ${name === 'Forwarded' ? `host=${host}` : `http://${host}/kms/api/v1/keys`}`);
    expect(await send('/delivery/x', lines)).toEqual({ status: 200, code: undefined, reached: ['/delivery/x'] });
    expect(
      await send('/kms/api/v1/keys', [
        'X-Original-URL: /delivery/x',
        'X-Rewrite-URL: /health',
        'X-Forwarded-Uri: /health/live',
      ]),
    ).toEqual({ status: 404, code: 'not_found', reached: [] });
    expect(await send('/delivery/x', ['X-Original-URL: /kms/api/v1/keys'])).toMatchObject({ reached: ['/delivery/x'] });
    expect(canaryCalls).toBe(0);
  });
});

describe('a path that could be read in two ways', () => {
  const AMBIGUOUS = [
    '/delivery/../kms',
    '/delivery/./x',
    '/delivery/..;/kms',
    '/delivery/..;a=b/kms',
    '/delivery/.;/x',
    '/delivery/%2e%2e/kms',
    '/delivery/%2E%2E/kms',
    '/delivery/.%2e/kms',
    '/delivery/%2e./kms',
    '/delivery/%2e%2e%2fkms',
    '/delivery/..%2fkms',
    '/delivery/..%2Fkms',
    '/delivery/..%5ckms',
    '/delivery\\..\\kms',
    '/delivery/%252e%252e/kms',
    '/delivery/%252e%252e%252fkms',
    '/delivery/%25252e%25252e/kms',
    '/delivery/..%252fkms',
    '/delivery/..%c0%afkms',
    '/delivery/%c0%ae%c0%ae/kms',
    '/delivery/%e0%80%ae/kms',
    '/delivery/%u002e%u002e/kms',
    '/delivery/..%00/kms',
    '/delivery/x%00.js',
    '/delivery/x%0d%0aX:1',
    '/delivery/x%0aX:1',
    '/delivery/x%0dX',
    '/delivery/%09/x',
    '/delivery/%7f',
    '/delivery//x',
    '//delivery/x',
    '/delivery///',
    '/delivery/.../x',
    '/delivery/%20/x',
    '/delivery/x/..',
    '/delivery/x/.',
    '/delivery/..',
    '/..',
    '/.',
    '/../delivery/x',
    '/delivery/x#/public',
    '/x#/delivery',
    '/delivery/x%2f..%2f',
    '/delivery/x/%2e%2e;/kms',
    '/delivery/..%3b/kms',
    '/delivery/x y',
    '/delivery/x\ty',
    '/delivery/"x"',
    '/delivery/<x>',
    '/delivery/{x}',
    '/delivery/x|\\y',
    '/delivery/^x',
    '/delivery/`x`',
    '/delivery/\u00e4',
    '/delivery/%',
    '/delivery/%z',
    '/delivery/%zz',
    '/delivery/%2',
    '/delivery/%e0%a4',
    '/delivery/%ed%a0%80',
    '/delivery/%ff',
    '/delivery/%f8%a1%a1%a1%a1',
    '/%zz',
    '/bff/%zz',
    '/bff/sessions/%e0%a4',
    '/bff/%2e%2e/x',
    '/health/%2e%2e/bff/session',
  ];

  test('is 400 invalid_request, never 500, and reaches nobody', async () => {
    for (const target of AMBIGUOUS) {
      const { status, reached } = await send(target);
      expect([target, status, reached]).toEqual([target, 400, []]);
    }
  });

  test('is refused for every method, and for an upgrade', async () => {
    for (const target of ['/delivery/%2e%2e/kms', '/delivery/..;/kms', '//delivery/x', '/delivery/%zz']) {
      for (const method of ['POST', 'DELETE', 'OPTIONS', 'HEAD']) {
        const { statuses } = await scene.exchange(scene.request(method, target, ['Connection: close']));
        expect([method, target, statuses]).toEqual([method, target, [400]]);
      }
      const { text } = await scene.exchange(
        scene.request('GET', target, ['Connection: Upgrade', 'Upgrade: websocket']),
      );
      expect([target, rawStatus(text)]).toEqual([target, 400]);
    }
  });
});

describe('a path that can be read in one way only', () => {
  const SENT = [
    '/delivery',
    '/delivery/',
    '/delivery/x',
    '/delivery/x/',
    '/delivery/%78',
    '/delivery/%7E',
    '/delivery/a%20b',
    '/delivery/a%3Fb',
    '/delivery/a%23b',
    '/delivery/%C3%A4',
    '/delivery/a;b=c',
    '/delivery;x',
    '/delivery/..x',
    '/delivery/x..',
    '/delivery/a%2Bb+c',
    '/delivery/x?y=/../%2e%2e/%00&z=//evil.test',
    '/delivery?',
    '/delivery/x??y',
    '/delivery/x?a=1&a=2&a[]=3&a[b]=4',
    '/delivery/x?%zz=%',
    '/delivery/x?__proto__=1&constructor=2',
    `/delivery/${'a'.repeat(4_000)}`,
    "/delivery/!$&'()*+,;=:@~-._",
  ];

  test('reaches Finvera exactly as it was written, or is no route’s', async () => {
    for (const target of SENT) {
      const { status, reached } = await send(target);
      const isRoute = !target.startsWith('/delivery;');
      expect([target, status, reached]).toEqual([target, isRoute ? 200 : 404, isRoute ? [target] : []]);
    }
  });

  test('belongs to a route on whole segments and in its own case', async () => {
    for (const target of [
      '/deliver',
      '/deliveryx',
      '/delivery.x/y',
      '/DELIVERY/x',
      '/Delivery/x',
      '/%44elivery/x',
      '/delivery%20/x',
      '/delivery%3fx',
      '/delivery%23/x',
      '/x/delivery/y',
      '/',
    ]) {
      expect([target, await send(target)]).toEqual([target, { status: 404, code: 'not_found', reached: [] }]);
    }
    // An escape that needs none is the same path for the rules, and is sent as it was written.
    expect(await send('/%64elivery/x')).toMatchObject({ status: 200, reached: ['/%64elivery/x'] });
  });

  test('is no public one because of its query, its fragment or a file’s ending', async () => {
    const anonymous = (target: string) => scene.exchange(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    for (const target of [
      '/delivery/x?x=/health/live',
      '/delivery/x?/health',
      '/delivery/health/live',
      '/delivery/x%23/health',
      '/delivery/me/x.css',
      '/delivery/me;x.js',
      '/delivery/me?x=.css',
    ]) {
      const { statuses } = await anonymous(target);
      expect([target, statuses]).toEqual([target, [401]]);
    }
    expect((await anonymous('/delivery/me%2fx.png')).statuses).toEqual([400]);
  });

  test('below a base path of Finvera’s stays below it', async () => {
    const gateway = await startGateway(`${scene.upstream.url}/base/v1`);
    try {
      const browser = gateway.browser();
      expect((await browser.login()).status).toBe(200);
      for (const target of [
        '/delivery/%2E%2E/%2E%2E/admin',
        '/delivery/../../admin',
        '/delivery/..%2f..%2fadmin',
        '/delivery/%2e%2e;/admin',
      ]) {
        const answer = await exchangeRaw(gateway.port, rawRequest('GET', target, [`Cookie: ${browser.cookie}`]));
        expect([target, rawStatus(answer)]).toEqual([target, 400]);
      }
      expect((await browser.fetch('/delivery/x?y')).status).toBe(200);
      expect(scene.upstream.allRequests().at(-1)?.target).toBe('/base/v1/delivery/x?y');
    } finally {
      await gateway.close();
    }
  });
});

test('a very long path, cookie or header costs no time that grows with its square', async () => {
  const long = 'a'.repeat(14_000);
  const startedAt = performance.now();
  for (const lines of [
    [],
    [`X: ${'%2e'.repeat(4_000)}!`],
    [`Cookie: ${';'.repeat(7_000)}=`],
    [`X-CSRF: ${long}`],
    [`Content-Type: ${long};`],
    [`Via: ${','.repeat(7_000)}`],
    [`Connection: ${',x'.repeat(5_000)}`],
  ]) {
    await scene.exchange(scene.request('GET', '/delivery/x', lines));
    await scene.exchange(scene.request('GET', `/delivery/${'%2e'.repeat(1_000)}!`, lines));
  }
  expect((await send(`/delivery/${'%61'.repeat(4_000)}`)).status).toBe(200);
  expect((await send(`/delivery/${'a/'.repeat(7_000)}`)).status).toBe(200);
  expect((await send(`/${';'.repeat(14_000)}`)).status).toBe(404);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});

test('a thousand targets at random: refused, or decided and sent as one', async () => {
  scene.upstream.answerBy(() => rawAnswer());
  const PIECES = [
    '/',
    '.',
    '..',
    '%2e',
    '%2f',
    '%5c',
    '%25',
    ';',
    'delivery',
    'kms',
    'a',
    '%61',
    '?',
    '\\',
    '%00',
    '%',
    '@',
    ':',
  ];
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  for (let i = 0; i < 100; i += 1) {
    const targets = Array.from(
      { length: 10 },
      () => `/delivery/${Array.from({ length: 1 + random(6) }, () => PIECES[random(PIECES.length)]).join('')}`,
    );
    const before = scene.upstream.requests().length;
    const { answers } = await scene.exchange(
      targets.map((target) => scene.request('GET', target)).join(''),
      targets.length,
    );
    const passed = targets.filter((_, at) => answers[at]?.status === 200);
    expect(answers.every(({ status }) => status === 200 || status === 400)).toBe(true);
    expect(
      scene.upstream
        .requests()
        .slice(before)
        .map(({ target }) => target)
        .sort(),
    ).toEqual([...passed].sort());
    for (const target of passed) expect(new URL(target, 'http://x').pathname).toMatch(/^\/delivery\//);
  }
});
