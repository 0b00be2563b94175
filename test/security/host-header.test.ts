// Forged hosts: exactly one valid Host, absolute-form only for the gateway's own, and no client chooses which host Finvera
// believes to be asked (RFC 9112 §3.2, ATK-H7, ATK-P8).
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { exchangeRaw, rawStatus } from '../support/raw-http.ts';
import { type RawScene, startRawScene } from '../support/raw-scene.ts';

let scene: RawScene;

beforeAll(async () => {
  scene = await startRawScene();
});
afterAll(() => scene.close());

const other: RawScene[] = [];
afterEach(async () => {
  await Promise.all(other.splice(0).map((each) => each.close()));
});

async function startWith(env: Record<string, string>): Promise<RawScene> {
  const started = await startRawScene({ env });
  other.push(started);
  return started;
}

const withHosts = (target: string, hosts: readonly string[], at = scene): string =>
  [`GET ${target} HTTP/1.1`, ...hosts.map((host) => `Host:${host}`), ...at.lines, '', ''].join('\r\n');

const hostAtFinvera = (at = scene) => {
  const last = at.upstream.requests().at(-1);
  return { host: last?.values('host'), forwarded: last?.values('x-forwarded-host'), list: last?.values('forwarded') };
};

describe('exactly one valid Host', () => {
  test.each([
    ['none', []],
    ['two', [' 127.0.0.1', ' 127.0.0.1']],
    ['two that differ', [' 127.0.0.1', ' evil.test']],
    ['an empty one', ['']],
    ['a blank', [' ']],
    ['userinfo', [' a@127.0.0.1']],
    ['userinfo with a port', [' 127.0.0.1:80@evil.test']],
    ['a path', [' evil.test/127.0.0.1']],
    ['a path and a query', [' 127.0.0.1/x?y']],
    ['a list', [' 127.0.0.1, evil.test']],
    ['a blank inside', [' 127.0.0.1 evil.test']],
    ['a tab inside', [' 127.0.0.1\tevil.test']],
    ['a port that is none', [' 127.0.0.1:x']],
    ['a port of six digits', [' 127.0.0.1:999999']],
    ['an open bracket', [' [::1']],
    ['quotes', [' "127.0.0.1"']],
    ['markup', [' <script>']],
    ['an escape', [' 127.0.0.1%0d%0aX:1']],
    ['bytes beyond ASCII', [' \xe4.test']],
    ['three hundred characters', [` ${'a'.repeat(300)}`]],
  ])('%s is 400, and Finvera gets nothing', async (_what, hosts) => {
    const before = scene.upstream.requests().length;
    const { statuses } = await scene.exchange(Buffer.from(withHosts('/delivery/x', hosts), 'latin1'));
    expect(statuses).toEqual([400]);
    expect(scene.upstream.requests()).toHaveLength(before);
  });

  test.each(['127.0.0.1', 'OWN.test', 'own.test.', 'own.test:80', '[::1]:3000', 'my_app'])(
    '%s is one',
    async (host) => {
      const { statuses } = await scene.exchange(withHosts('/delivery/x', [` ${host}`]));
      expect(statuses).toEqual([200]);
      expect(hostAtFinvera().host).toEqual([`127.0.0.1:${scene.upstream.port}`]);
    },
  );
});

describe('the absolute form', () => {
  test('of the gateway’s own host is its path; the Host line counts for nothing', async () => {
    const own = await startWith({ PUBLIC_URL: 'https://app.example.com' });
    const target = 'http://app.example.com/delivery/x?y';
    for (const host of [' app.example.com', ' evil.test']) {
      const { statuses } = await own.exchange(withHosts(target, [host], own));
      expect([statuses, own.upstream.requests().at(-1)?.target]).toEqual([[200], '/delivery/x?y']);
      expect(hostAtFinvera(own).forwarded).toEqual(['app.example.com']);
    }
  });

  test('of any other host is 400, whatever the Host line says', async () => {
    const own = await startWith({ PUBLIC_URL: 'https://app.example.com' });
    for (const target of [
      'http://evil.test/delivery/x',
      'http://app.example.com.evil.test/delivery/x',
      'http://app.example.com:444/delivery/x',
      'http://app.example.com@evil.test/delivery/x',
      'http://127.0.0.1/delivery/x',
    ]) {
      const { statuses } = await own.exchange(withHosts(target, [' app.example.com'], own));
      expect([target, statuses]).toEqual([target, [400]]);
    }
    expect(own.upstream.requests()).toEqual([]);
  });
});

describe('the host that Finvera is told of', () => {
  const CLAIMS = [
    'X-Forwarded-Host: evil.test',
    'X-Host: evil.test',
    'Forwarded: host=evil.test',
    'X-Forwarded-Server: evil.test',
  ];

  test('is PUBLIC_URL’s, whatever the request says', async () => {
    const own = await startWith({ PUBLIC_URL: 'https://app.example.com', TRUST_PROXY: '127.0.0.1' });
    const request = ['GET /delivery/x HTTP/1.1', 'Host: evil.test', ...own.lines, ...CLAIMS, '', ''].join('\r\n');
    expect((await own.exchange(request)).statuses).toEqual([200]);
    expect(hostAtFinvera(own)).toEqual({
      host: [`127.0.0.1:${own.upstream.port}`],
      forwarded: ['app.example.com'],
      list: [expect.stringMatching(/^for=127\.0\.0\.1;proto=http;host="app\.example\.com"$/)],
    });
  });

  test('is never what an untrusted client forwards', async () => {
    expect((await scene.exchange(scene.request('GET', '/delivery/x', CLAIMS))).statuses).toEqual([200]);
    expect(hostAtFinvera().forwarded).toEqual(['127.0.0.1']);
    expect(JSON.stringify(scene.upstream.requests().at(-1)?.values('forwarded'))).not.toContain('evil');
  });

  test('is the Host where a trusted proxy forwards what is no host', async () => {
    const trusting = await startWith({ TRUST_PROXY: '127.0.0.1' });
    for (const claim of ['a";for=1.2.3.4', 'evil.test/x', 'a b', '<x>', 'a@b', '']) {
      const { statuses } = await trusting.exchange(
        trusting.request('GET', '/delivery/x', [`X-Forwarded-Host: ${claim}`]),
      );
      expect([claim, statuses, hostAtFinvera(trusting).forwarded]).toEqual([claim, [200], ['127.0.0.1']]);
    }
  });
});

test('no answer builds an address from the Host', async () => {
  for (const target of ['/bff/session', '/nothing', '/health', '/bff/openapi.json', '/bff/client.js', '/delivery/x']) {
    const answer = await exchangeRaw(
      scene.gateway.port,
      [`GET ${target} HTTP/1.1`, 'Host: evil-host.test', 'Connection: close', ...scene.lines, '', ''].join('\r\n'),
    );
    expect(rawStatus(answer)).toBeLessThan(500);
    expect(answer).not.toContain('evil-host');
  }
});
